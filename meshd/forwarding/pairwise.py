"""Seal what only two devices may read, in eight bytes more than the text, and acknowledge it.

Enters: this device's Ed25519 seed, the other's public key, plaintext. Leaves: a sealed body, or the
plaintext of one, or the eight bytes that prove who received it. Pure: nothing is drawn at random
and nothing but keys is remembered; who calls keeps numbers and windows.

Keys: X25519 of both identity keys, hashed with the mesh id and both full public keys, other ones in
each direction. Synthetic IV: the tag is a keyed hash over the plaintext, which has kind and number
in it, and the nonce is a hash of the tag. So one nonce means one plaintext, whatever a copied card
or lost state counted. Keys are static: who gets a device's key reads what was recorded before.
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


class Pairwise:
    """The pairwise keys of one device, by the other's public key."""

    def __init__(self, seed: bytes, mesh: bytes) -> None:
        self._public = crypto.sign_public(seed)
        self._secret = crypto.exchange_secret_of(seed)
        self._mesh = mesh
        self._pairs: OrderedDict[bytes, Pair | None] = OrderedDict()

    def with_device(self, public: bytes) -> Pair | None:
        """Return the keys with a device; None for what is no key, or is this device's own."""
        if public in self._pairs:
            self._pairs.move_to_end(public)
            return self._pairs[public]
        pair = self._agree(public)
        self._pairs[public] = pair
        if len(self._pairs) > PEERS_MAX:
            self._pairs.popitem(last=False)
        return pair

    def __len__(self) -> int:
        return len(self._pairs)

    def _agree(self, public: bytes) -> Pair | None:
        if len(public) != crypto.KEY_LEN or public == self._public:
            return None
        other = crypto.exchange_public_of(public)
        shared = None if other is None else crypto.exchange(self._secret, other)
        if shared is None:
            return None
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


def _tag(keys: PairKeys, plaintext: bytes) -> bytes:
    return crypto.digest(plaintext, key=keys.tag, size=TAG_LEN, person=b"meshd-pair-tag")


def _nonce(tag: bytes) -> bytes:
    return crypto.digest(tag, size=crypto.XNONCE_LEN, person=b"meshd-pair-iv")
