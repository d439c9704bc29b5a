"""Seal what only two devices may read, in eight bytes more than the text, and acknowledge it.

Enters: this device's Ed25519 seed, the other's public key, plaintext. Leaves: a sealed body, or the
plaintext of one, or the eight bytes that prove who received it. Pure: nothing is drawn at random
and nothing but keys is remembered; who calls keeps numbers and windows.

Keys: X25519 of both identity keys, hashed with the mesh id and both full public keys, other ones in
each direction. Where both have told a prekey, the X25519 of the two is hashed in: who gets a
device's identity key later reads nothing of that, but all that was sealed without prekeys.
Synthetic IV: the tag is a keyed hash over the plaintext, which has kind and number in it, and the
nonce is a hash of the tag. So one nonce means one plaintext, whatever a copied card or lost state
counted.
Ref: docs/wire-format.md#letters, docs/decisions/0013-letters.md.
"""

from collections import OrderedDict
from hmac import compare_digest
from typing import NamedTuple

from meshd.core import crypto

TAG_LEN = 8
ANSWER_LEN = 8
PEERS_MAX = 128
"""Devices whose keys are kept ready; those used longest ago are computed anew."""

PREKEYED_MAX = 512
"""The same for two prekeys."""


class PairKeys(NamedTuple):
    """The keys of one direction between two devices."""

    tag: bytes
    cipher: bytes
    answer: bytes

    def __repr__(self) -> str:
        return "PairKeys()"


class Pair(NamedTuple):
    """Both directions between this device and another one."""

    there: PairKeys
    back: PairKeys


class Prekey(NamedTuple):
    """An own prekey: its number, both halves, and after how much uptime of the node it was made."""

    number: int
    secret: bytes
    public: bytes
    made_us: int

    def __repr__(self) -> str:
        return f"Prekey(number={self.number})"


class Pairwise:
    """The pairwise keys of one device, by the other's public key."""

    def __init__(self, seed: bytes, mesh: bytes) -> None:
        self._public = crypto.sign_public(seed)
        self._secret = crypto.exchange_secret_of(seed)
        self._mesh = mesh
        self._pairs: OrderedDict[bytes, tuple[bytes, Pair] | None] = OrderedDict()
        self._prekeyed: OrderedDict[tuple[bytes, bytes, bytes], Pair | None] = OrderedDict()

    def with_device(self, public: bytes) -> Pair | None:
        """Return the keys with a device; None for what is no key, or is this device's own."""
        agreed = self._agreed(public)
        return None if agreed is None else agreed[1]

    def with_prekeys(self, public: bytes, own: Prekey, other: bytes) -> Pair | None:
        """Return the keys with a device that hang on a prekey of each, too; None for no key."""
        name = (public, own.public, other)
        if name in self._prekeyed:
            self._prekeyed.move_to_end(name)
            return self._prekeyed[name]
        agreed = self._agreed(public)
        fresh = crypto.exchange(own.secret, other) if len(other) == crypto.KEY_LEN else None
        pair = None
        if agreed is not None and fresh is not None:
            ends = sorted(((self._public, own.public), (public, other)))
            material = fresh + b"".join(prekey for _, prekey in ends)
            shared = crypto.digest(material, key=agreed[0], person=b"meshd-pair-pre")
            pair = self._both(shared, public)
        self._prekeyed[name] = pair
        if len(self._prekeyed) > PREKEYED_MAX:
            self._prekeyed.popitem(last=False)
        return pair

    def forget(self, own: bytes) -> None:
        """Let go of all keys that hang on a prekey of this device, by its public half."""
        for name in [name for name in self._prekeyed if name[1] == own]:
            del self._prekeyed[name]

    def __len__(self) -> int:
        return len(self._pairs) + len(self._prekeyed)

    def _agreed(self, public: bytes) -> tuple[bytes, Pair] | None:
        """Return what both identity keys give, and the keys that follow from that alone."""
        if public in self._pairs:
            self._pairs.move_to_end(public)
            return self._pairs[public]
        agreed = self._agree(public)
        self._pairs[public] = agreed
        if len(self._pairs) > PEERS_MAX:
            self._pairs.popitem(last=False)
        return agreed

    def _agree(self, public: bytes) -> tuple[bytes, Pair] | None:
        if len(public) != crypto.KEY_LEN or public == self._public:
            return None
        other = crypto.exchange_public_of(public)
        shared = None if other is None else crypto.exchange(self._secret, other)
        return None if shared is None else (shared, self._both(shared, public))

    def _both(self, shared: bytes, public: bytes) -> Pair:
        there = direction(shared, self._mesh, self._public, public)
        return Pair(there, direction(shared, self._mesh, public, self._public))


def direction(shared: bytes, mesh: bytes, origin: bytes, destination: bytes) -> PairKeys:
    """Return the keys under which the device `origin` seals for the device `destination`."""
    material = mesh + origin + destination
    tag, cipher, answer = (
        crypto.digest(material, key=shared, person=person)
        for person in (b"meshd-pair-mac", b"meshd-pair-key", b"meshd-pair-ack")
    )
    return PairKeys(tag, cipher, answer)


def seal(keys: PairKeys, plaintext: bytes) -> bytes:
    """Return tag and ciphertext."""
    tag = _tag(keys, plaintext)
    return tag + crypto.keystream_xor(keys.cipher, _nonce(tag), plaintext)


def unseal(keys: PairKeys, body: bytes) -> bytes | None:
    """Return the plaintext; None when this was not sealed with these keys."""
    if len(body) <= TAG_LEN:
        return None
    tag = body[:TAG_LEN]
    plaintext = crypto.keystream_open(keys.cipher, _nonce(tag), body[TAG_LEN:])
    return plaintext if compare_digest(tag, _tag(keys, plaintext)) else None


def answer(keys: PairKeys, body: bytes) -> bytes:
    """Return what proves that who could open `body` has received it."""
    name = crypto.digest(body, person=b"meshd-pair-name")
    return crypto.digest(name, key=keys.answer, size=ANSWER_LEN, person=b"meshd-pair-ackn")


def answers(keys: PairKeys, body: bytes, tag: bytes) -> bool:
    """Tell whether `tag` is the answer to `body`, in constant time."""
    return compare_digest(answer(keys, body), tag)


def refusal(keys: PairKeys, body: bytes) -> bytes:
    """Return what proves that who has the identity key could not open `body`."""
    name = crypto.digest(body, person=b"meshd-pair-name")
    return crypto.digest(name, key=keys.answer, size=ANSWER_LEN, person=b"meshd-pair-none")


def refuses(keys: PairKeys, body: bytes, tag: bytes) -> bool:
    """Tell whether `tag` is the refusal of `body`, in constant time."""
    return compare_digest(refusal(keys, body), tag)


def tag_of(keys: PairKeys, plaintext: bytes) -> bytes:
    """Return the tag that a plaintext has under these keys."""
    return _tag(keys, plaintext)


def _tag(keys: PairKeys, plaintext: bytes) -> bytes:
    return crypto.digest(plaintext, key=keys.tag, size=TAG_LEN, person=b"meshd-pair-tag")


def _nonce(tag: bytes) -> bytes:
    return crypto.digest(tag, size=crypto.XNONCE_LEN, person=b"meshd-pair-iv")
