"""Write, verify and open single entries: the crypto of docs/wire-format.md#entry.

Enters: a draft and the keys of a space; or a decoded entry. Leaves: encoded entries, opened
payloads. Knows neither feeds nor rights.
"""

from typing import NamedTuple

from meshd.core import crypto
from meshd.space.keys import SpaceKeys
from meshd.wire import entry as wire
from meshd.wire.entry import Entry, Head

_NO_SEED = bytes(wire.SHORT_LEN)


class Draft(NamedTuple):
    """What a caller wants to append: a kind, a part that relays read, a part that they do not."""

    kind: int
    clear: bytes
    payload: bytes


class Place(NamedTuple):
    """Where and when an entry goes: seq, running hash before it, membership digest, wall clock."""

    seq: int
    running: bytes
    membership: bytes
    time_s: int


class Opened(NamedTuple):
    """An entry as a member reads it."""

    kind: int
    payload: bytes
    time_s: int
    seq: int
    clear: bytes = b""


def write(keys: SpaceKeys, space: bytes, seed: bytes, *, place: Place, draft: Draft) -> Entry:
    """Encrypt and sign an entry with the signing seed `seed`.

    Raises: WireError when a part of the draft is too long.
    """
    author = crypto.sign_public(seed)
    head = Head(
        draft.kind,
        0,
        keys.author_id(author),
        place.seq,
        place.time_s,
        keys.epoch_id,
        place.membership[: wire.SHORT_LEN],
        place.running[: wire.SHORT_LEN],
        _NO_SEED,
    )
    context = _context(space, author, head, draft.clear)
    head = head._replace(seed=keys.nonce_seed(context + draft.payload))
    context = _context(space, author, head, draft.clear)
    sealed = keys.seal(_nonce_of(author, head), draft.payload, context)
    body = wire.pack_body(draft.clear, sealed)
    body_hash = wire.hash_body(body)
    signature = crypto.sign(seed, wire.statement(space, author, head, body_hash))
    return Entry(head, body, body_hash, signature)


def verify(space: bytes, author: bytes, entry: Entry) -> bool:
    """Tell whether `author` signed `entry` for `space`; nothing else is judged."""
    return crypto.verify(author, entry.statement(space, author), entry.signature)


def open_entry(keys: SpaceKeys, space: bytes, author: bytes, entry: Entry) -> Opened | None:
    """Decrypt an entry; None without the epoch key, for an erased body or a wrong tag."""
    head = entry.head
    if entry.body is None or head.epoch_id != keys.epoch_id:
        return None
    clear = entry.clear
    context = _context(space, author, head, clear)
    payload = keys.unseal(_nonce_of(author, head), entry.sealed, context)
    if payload is None:
        return None
    return Opened(head.kind, payload, head.time_s, head.seq, clear)


def _context(space: bytes, author: bytes, head: Head, clear: bytes) -> bytes:
    return space + author + head.encode() + len(clear).to_bytes(2, "big") + clear


def _nonce_of(author: bytes, head: Head) -> bytes:
    return author + head.seq.to_bytes(4, "big") + head.epoch_id + head.seed
