"""Entries made thin for LoRa, and made whole again by what is known of their space and feed.

Enters: stored entries, thin ones, a space. Leaves: the same, or why not. A thin entry can be made
whole only when the one before it is held: until then nobody knows whether its author signed it.
A call for help leaves nothing of that out, so that it is proven whatever is missing before it.
What is put together here is judged by `Spaces.accept`, as if it had come by a session.
Ref: docs/wire-format.md#entries-over-lora.
"""

from collections.abc import Mapping

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.space.space import Space
from meshd.wire import entry as wire
from meshd.wire.air_entry import HINT_LEN, ID_LEN, MEMBERSHIP_LEN, Thin, prev_length, split
from meshd.wire.entry import Entry, Head, Kind


def contract(space: Space, author: bytes, data: bytes, *, whole: bool) -> Thin | None:
    """Return an entry as it goes over LoRa; None for one that has no body or is too long.

    `whole` writes the membership digest out, for who may never have had the same.
    """
    try:
        entry = wire.decode(data)
    except WireError:
        return None
    if entry.body is None:
        return None
    head = entry.head
    whole = whole or head.kind == Kind.DISTRESS
    present = space.log.digest()[:MEMBERSHIP_LEN] == head.membership and not whole
    begins = head.kind == Kind.SUCCESSOR and head.seq == 1
    return Thin(
        head.kind,
        head.flags,
        author if begins else head.author_id,
        head.seq,
        head.time_s,
        head.membership[:HINT_LEN] if present else head.membership,
        head.prev[: prev_length(head.kind)],
        head.seed,
        entry.clear,
        entry.sealed,
        entry.signature,
    )


def fitting(space: Space, author: bytes, data: bytes, *, room: int, whole: bool) -> Thin | None:
    """Return an entry for frames with `room` bytes; parts have one form, whoever sends them.

    None for what is too long even for parts, or has no body.
    """
    thin = contract(space, author, data, whole=whole)
    if thin is not None and not whole and len(thin.encode()) > room:
        thin = contract(space, author, data, whole=True)
    if thin is None:
        return None
    encoded = thin.encode()
    fits = len(encoded) <= room or split(thin.author[:ID_LEN], thin.seq, encoded, room)
    return thin if fits else None


def stub(entry: Entry) -> Thin:
    """Return what shows that an entry was signed: all of it but its body."""
    head = entry.head
    return Thin(
        head.kind,
        head.flags,
        head.author_id,
        head.seq,
        head.time_s,
        head.membership,
        head.prev,
        head.seed,
        b"",
        entry.body_hash,
        entry.signature,
        is_stub=True,
    )


def whole_stub(space: Space, thin: Thin) -> Entry:
    """Return the entry that a stub shows, without its body and not yet verified."""
    head = Head(
        thin.kind,
        thin.flags,
        thin.author,
        thin.seq,
        thin.time_s,
        space.epoch_id,
        thin.membership,
        thin.prev,
        thin.seed,
    )
    return Entry(head, None, thin.sealed, thin.signature)


def expand(
    space: Space, author: bytes, thin: Thin, memberships: Mapping[bytes, bytes]
) -> bytes | DropReason:
    """Return the entry as it is stored, not yet verified; or what is missing for that.

    `memberships` has the digests that this node knew, by their first 2 bytes.
    """
    feed = space.feeds.get(author)
    held, running = (feed.seq, feed.hash32) if feed else (0, space.first_running(author))
    if thin.seq != held + 1:
        return DropReason.ENTRY_GAP
    if thin.prev != running[: len(thin.prev)]:
        return DropReason.FORK_SUSPECTED
    membership = thin.membership
    if len(membership) == HINT_LEN:
        if membership not in memberships:
            return DropReason.MEMBERSHIP_MISSING
        membership = memberships[membership]
    return _put_together(space, author, thin, membership, running[: wire.SHORT_LEN])


def expand_early(space: Space, author: bytes, thin: Thin) -> bytes | DropReason:
    """Return a call for help as it is stored, not yet verified, whatever is missing before it."""
    return _put_together(space, author, thin, thin.membership, thin.prev)


def _put_together(
    space: Space, author: bytes, thin: Thin, membership: bytes, prev: bytes
) -> bytes | DropReason:
    head = Head(
        thin.kind,
        thin.flags,
        space.keys.author_id(author),
        thin.seq,
        thin.time_s,
        space.epoch_id,
        membership,
        prev,
        thin.seed,
    )
    try:
        body = wire.pack_body(thin.clear, thin.sealed)
    except WireError:
        return DropReason.ENTRY_MALFORMED
    return Entry(head, body, b"", thin.signature).encode()


def same(one: Thin, other: Thin) -> bool:
    """Tell whether two thin entries are one, whatever form their membership digest has."""
    return one._replace(membership=b"", author=b"") == other._replace(membership=b"", author=b"")
