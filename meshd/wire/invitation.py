"""Invitations outside the log: the link that a person passes on, the join request, its answer.

The link holds a secret and the space's id, never a key of the space. It is upper- or lower-case
base32 behind `meshd:`, so that a QR code can use its alphanumeric mode. The request is sealed with
a key that link holders and members know, so that a relay learns nothing from it.
Ref: docs/wire-format.md#invitations.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import TAG_LEN, XNONCE_LEN, digest
from meshd.core.errors import UsageError, WireError
from meshd.core.ids import NODE_ID_LEN, decode_text, encode_text
from meshd.core.limits import INVITATION_START
from meshd.wire.genesis import GENESIS_LEN
from meshd.wire.membership import NAME_MAX, SEALED_MAX, Rank, decode_name

VERSION = 0
SECRET_LEN = 16
HINTS_MAX = 3
_SPACE_LEN = 32
_CHECK_LEN = 4
_LINK_LENS = {
    1 + SECRET_LEN + _SPACE_LEN + hints * NODE_ID_LEN + _CHECK_LEN for hints in range(HINTS_MAX + 1)
}
_REQUEST = Struct(f"!B32s{XNONCE_LEN}s")
_INNER = Struct("!32s32s64s64s64s")
REQUEST_LEN_MAX = _REQUEST.size + _INNER.size + NAME_MAX + TAG_LEN
_ANSWER = Struct(f"!BB{GENESIS_LEN}s")
ANSWER_LEN_MAX = _ANSWER.size + SEALED_MAX


class Invitation(NamedTuple):
    """What a link says. `hints` are nodes that may admit, the likeliest first."""

    secret: bytes
    space: bytes
    hints: tuple[bytes, ...]

    def encode(self) -> str:
        """Return the link's text."""
        data = bytes([VERSION]) + self.secret + self.space + b"".join(self.hints)
        return INVITATION_START + encode_text(data + _check(data))

    def __repr__(self) -> str:
        return f"Invitation(space={self.space.hex()[:16]})"


class JoinRequest(NamedTuple):
    """The outer part: which invitation (its public key), and the sealed inner part."""

    invite: bytes
    nonce: bytes
    sealed: bytes

    def encode(self) -> bytes:
        """Return the request's bytes."""
        return _REQUEST.pack(VERSION, self.invite, self.nonce) + self.sealed


class JoinKeys(NamedTuple):
    """The inner part: the joiner's keys, and what ties them together.

    `device_signature` is by the device, `proof` by the invite key, `consent` by the signing key.
    """

    author: bytes
    device: bytes
    device_signature: bytes
    proof: bytes
    consent: bytes
    name: str

    def encode(self) -> bytes:
        """Return the bytes that are sealed."""
        return _INNER.pack(*self[:5]) + self.name.encode()


class JoinAnswer(NamedTuple):
    """What an admitter gives: rank, genesis, and the keys sealed to the invite's X25519 key."""

    rank: Rank
    genesis: bytes
    sealed: bytes

    def encode(self) -> bytes:
        """Return the answer's bytes."""
        return _ANSWER.pack(VERSION, self.rank, self.genesis) + self.sealed


def decode_link(text: str) -> Invitation:
    """Decode a link.

    Raises: WireError, whose text tells a person what is wrong.
    """
    letters = "".join(text.split())
    if not letters.lower().startswith(INVITATION_START):
        raise WireError(f"an invitation starts with {INVITATION_START}")
    letters = letters[len(INVITATION_START) :]
    length = len(letters.replace("-", "")) * 5 // 8
    if length not in _LINK_LENS:
        raise WireError("the invitation is cut short or has letters too many")
    try:
        data = decode_text(letters, length)
    except UsageError as error:
        raise WireError("the invitation has letters that do not belong in it") from error
    data, check = data[:-_CHECK_LEN], data[-_CHECK_LEN:]
    if check != _check(data):
        raise WireError("the invitation has a wrong letter: its checksum does not fit")
    if data[0] != VERSION:
        raise WireError("the invitation is of a newer version of meshd")
    at = 1 + SECRET_LEN + _SPACE_LEN
    hints = tuple(data[start : start + NODE_ID_LEN] for start in range(at, len(data), NODE_ID_LEN))
    return Invitation(data[1 : 1 + SECRET_LEN], data[1 + SECRET_LEN : at], hints)


def decode_request(data: bytes) -> JoinRequest:
    """Decode the outer part of a join request.

    Raises: WireError.
    """
    if not _REQUEST.size + _INNER.size + TAG_LEN <= len(data) <= REQUEST_LEN_MAX:
        raise WireError("join request length")
    version, invite, nonce = _REQUEST.unpack_from(data)
    if version != VERSION:
        raise WireError("join request version")
    return JoinRequest(invite, nonce, data[_REQUEST.size :])


def decode_join_keys(data: bytes) -> JoinKeys:
    """Decode the inner part of a join request.

    Raises: WireError.
    """
    if len(data) < _INNER.size:
        raise WireError("join keys length")
    author, device, device_signature, proof, consent = _INNER.unpack_from(data)
    name = decode_name(data[_INNER.size :])
    return JoinKeys(author, device, device_signature, proof, consent, name)


def decode_answer(data: bytes) -> JoinAnswer:
    """Decode an answer.

    Raises: WireError.
    """
    if not _ANSWER.size < len(data) <= ANSWER_LEN_MAX:
        raise WireError("join answer length")
    version, rank, genesis = _ANSWER.unpack_from(data)
    if version != VERSION or rank > Rank.ADMIN:
        raise WireError("join answer version or rank")
    return JoinAnswer(Rank(rank), genesis, data[_ANSWER.size :])


def _check(data: bytes) -> bytes:
    return digest(data, size=_CHECK_LEN, person=b"meshd-link")
