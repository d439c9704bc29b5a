"""The genesis: the signed record that a space begins with, and whose hash is the space's id.

It names the founder's signing key and commits to the first epoch key; 32 bytes are kept for the
public key of a recovery phrase (zero: none). Names of people and of the space are not in it: relays
hold it. Ref: docs/wire-format.md#genesis.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN, SIGNATURE_LEN, digest
from meshd.core.errors import WireError

_GENESIS = Struct("!BB32s32s32sI16s")
_DOMAIN = b"meshd-genesis-1"
VERSION = 0
SALT_LEN = 16
GENESIS_LEN = _GENESIS.size + SIGNATURE_LEN
NO_RECOVERY = bytes(KEY_LEN)


class Genesis(NamedTuple):
    """What a space begins with. `commitment` is to epoch key 0, `salt` makes the id unique."""

    founder: bytes
    commitment: bytes
    recovery: bytes
    created_s: int
    salt: bytes
    signature: bytes = b""

    def statement(self) -> bytes:
        """Return what the founder signs."""
        return _DOMAIN + _GENESIS.pack(VERSION, 0, *self[:5])

    def encode(self) -> bytes:
        """Return the 182 bytes of the record."""
        return _GENESIS.pack(VERSION, 0, *self[:5]) + self.signature


def space_id(genesis: bytes) -> bytes:
    """Return the 32-byte id of the space that `genesis` begins."""
    return digest(genesis)


def decode(data: bytes) -> Genesis:
    """Decode a genesis; the signature is not checked here.

    Raises: WireError.
    """
    if len(data) != GENESIS_LEN:
        raise WireError("genesis length")
    version, flags, *fields = _GENESIS.unpack_from(data)
    if version != VERSION or flags:
        raise WireError("genesis version")
    return Genesis(*fields)._replace(signature=data[_GENESIS.size :])
