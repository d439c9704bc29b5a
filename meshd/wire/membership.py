"""Membership records: the clear parts that relays judge, and the cards that only members read.

Enters: the clear part or the decrypted payload of an entry whose kind is below 32. Leaves: frozen
values. Each record but the founding carries its frontier: the hashes of the newest membership
records that its author knew, so that whether it holds follows from signed records alone.
Ref: docs/wire-format.md#membership.
"""

from enum import IntEnum
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN, SIGNATURE_LEN
from meshd.core.errors import WireError
from meshd.core.names import shows

FRONTIER_MAX = 16
NAME_MAX = 64
"""Bytes of UTF-8 in the name of a person, a device or a space."""
SEALED_MAX = 256
_HASH_LEN = 32


class Rank(IntEnum):
    """What a signing key may do; each rank may do what the ranks below it may."""

    RELAY = 0
    READER = 1
    WRITER = 2
    ADMIN = 3
    OWNER = 4


INVITABLE = {rank.name.lower(): rank for rank in Rank if rank is not Rank.OWNER}


class Founding(NamedTuple):
    """The founder's first entry; its clear part is empty."""

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """Nothing comes before it."""
        return ()

    def encode(self) -> bytes:
        """Return the clear part."""
        return b""


class Admit(NamedTuple):
    """A signing key is let in by an invitation.

    `invite` is the hash of the INVITE record; `commitment` hides the device (see `MemberCard`);
    `proof` is by the invite key, `consent` by the joiner's signing key. `time_unchecked`: the
    admitter had no clock to judge the expiry by.
    """

    frontier: tuple[bytes, ...]
    author: bytes
    rank: Rank
    time_unchecked: bool
    invite: bytes
    commitment: bytes
    proof: bytes
    consent: bytes

    def encode(self) -> bytes:
        """Return the clear part."""
        fields = (self.author, self.rank, self.time_unchecked, self.invite, self.commitment)
        return _pack_frontier(self.frontier) + _ADMIT.pack(*fields, self.proof, self.consent)


class Invite(NamedTuple):
    """An invitation: `public` verifies the joiner's proof. `expires_s` 0 means never."""

    frontier: tuple[bytes, ...]
    public: bytes
    rank: Rank
    uses: int
    expires_s: int

    def encode(self) -> bytes:
        """Return the clear part."""
        fields = (self.public, self.rank, self.uses, self.expires_s)
        return _pack_frontier(self.frontier) + _INVITE.pack(*fields)


class RevokeInvite(NamedTuple):
    """The INVITE record with hash `invite` admits nobody who is admitted knowing this."""

    frontier: tuple[bytes, ...]
    invite: bytes

    def encode(self) -> bytes:
        """Return the clear part."""
        return _pack_frontier(self.frontier) + self.invite


class Successor(NamedTuple):
    """The first entry of a feed that takes over the rights of `old`, with `old`'s signature.

    `seq` and `running` tell how far the device itself knew the old feed.
    """

    frontier: tuple[bytes, ...]
    old: bytes
    seq: int
    running: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Return the clear part."""
        fields = (self.old, self.seq, self.running, self.signature)
        return _pack_frontier(self.frontier) + _SUCCESSOR.pack(*fields)


Record = Founding | Admit | Invite | RevokeInvite | Successor

_ADMIT = Struct("!32sBB32s32s64s64s")
_INVITE = Struct("!32sBHI")
_SUCCESSOR = Struct("!32sI32s64s")


class MemberCard(NamedTuple):
    """Who stands behind a signing key: the device, its signature, a role byte, a display name.

    The ADMIT record commits to `device` and `signature` together: the signature cannot be guessed,
    so a relay cannot test whether a known device is behind a signing key.
    """

    device: bytes
    signature: bytes
    role: int
    name: str

    def encode(self) -> bytes:
        """Return the encrypted part of ADMIT."""
        return self.device + self.signature + bytes([self.role]) + self.name.encode()


class FoundingCard(NamedTuple):
    """The encrypted part of the founding: the space's name and the founder's card."""

    space_name: str
    card: MemberCard

    def encode(self) -> bytes:
        """Return the encrypted part of FOUNDING."""
        name = self.space_name.encode()
        return bytes([len(name)]) + name + self.card.encode()


class InviteCard(NamedTuple):
    """The encrypted part of INVITE: the key that join requests are sealed with, and the keys of
    the space, sealed to the invite's X25519 key. Only a member can hand these out.
    """

    join_key: bytes
    sealed: bytes

    def encode(self) -> bytes:
        """Return the encrypted part of INVITE."""
        return self.join_key + self.sealed


def decode_founding(data: bytes) -> Founding:
    """Decode the clear part of FOUNDING.

    Raises: WireError.
    """
    if data:
        raise WireError("founding has a clear part")
    return Founding()


def decode_admit(data: bytes) -> Admit:
    """Decode the clear part of ADMIT.

    Raises: WireError.
    """
    frontier, rest = _take_frontier(data, _ADMIT.size)
    author, rank, flags, *others = _ADMIT.unpack(rest)
    if flags > 1:
        raise WireError("admission flags")
    return Admit(frontier, author, _rank(rank), bool(flags), *others)


def decode_invite(data: bytes) -> Invite:
    """Decode the clear part of INVITE.

    Raises: WireError.
    """
    frontier, rest = _take_frontier(data, _INVITE.size)
    public, rank, uses, expires_s = _INVITE.unpack(rest)
    if not uses:
        raise WireError("invitation without uses")
    return Invite(frontier, public, _rank(rank), uses, expires_s)


def decode_revoke_invite(data: bytes) -> RevokeInvite:
    """Decode the clear part of REVOKE_INVITE.

    Raises: WireError.
    """
    return RevokeInvite(*_take_frontier(data, _HASH_LEN))


def decode_successor(data: bytes) -> Successor:
    """Decode the clear part of SUCCESSOR.

    Raises: WireError.
    """
    frontier, rest = _take_frontier(data, _SUCCESSOR.size)
    return Successor(frontier, *_SUCCESSOR.unpack(rest))


def decode_member_card(data: bytes) -> MemberCard:
    """Decode the encrypted part of ADMIT.

    Raises: WireError.
    """
    start = KEY_LEN + SIGNATURE_LEN
    if len(data) <= start:
        raise WireError("member card length")
    return MemberCard(
        data[:KEY_LEN], data[KEY_LEN:start], data[start], decode_name(data[start + 1 :])
    )


def decode_founding_card(data: bytes) -> FoundingCard:
    """Decode the encrypted part of FOUNDING.

    Raises: WireError.
    """
    end = 1 + data[0] if data else 0
    if not data or len(data) < end:
        raise WireError("founding card length")
    return FoundingCard(decode_name(data[1:end]), decode_member_card(data[end:]))


def decode_invite_card(data: bytes) -> InviteCard:
    """Decode the encrypted part of INVITE.

    Raises: WireError.
    """
    if not KEY_LEN < len(data) <= KEY_LEN + SEALED_MAX:
        raise WireError("invite card length")
    return InviteCard(data[:KEY_LEN], data[KEY_LEN:])


def decode_name(data: bytes) -> str:
    """Decode a name: UTF-8, at most `NAME_MAX` bytes, all of which can be seen.

    Raises: WireError.
    """
    try:
        name = data.decode()
    except UnicodeDecodeError as error:
        raise WireError("name is not UTF-8") from error
    if len(data) > NAME_MAX or not shows(name):
        raise WireError("name too long or not printable")
    return name


def _pack_frontier(frontier: tuple[bytes, ...]) -> bytes:
    return bytes([len(frontier)]) + b"".join(frontier)


def _take_frontier(data: bytes, rest_len: int) -> tuple[tuple[bytes, ...], bytes]:
    count = data[0] if data else 0
    end = 1 + count * _HASH_LEN
    if not 1 <= count <= FRONTIER_MAX or len(data) != end + rest_len:
        raise WireError("membership record length")
    frontier = tuple(data[at : at + _HASH_LEN] for at in range(1, end, _HASH_LEN))
    if any(first >= second for first, second in pairwise(frontier)):
        raise WireError("frontier is not in order")
    return frontier, data[end:]


def _rank(value: int) -> Rank:
    if value > Rank.ADMIN:
        raise WireError("rank that no invitation can give")
    return Rank(value)
