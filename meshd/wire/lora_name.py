"""Encode and decode what a node calls itself, as its radio tells it: a name, signed.

Enters: the body of a LOCAL item. Leaves: an `OwnName`, or WireError. Who reads one must check the
signature: in the open mesh anybody can send frames in anybody's name.
Ref: docs/wire-format.md#own-names.
"""

from typing import NamedTuple

from meshd.core.crypto import SIGNATURE_LEN
from meshd.core.errors import UsageError, WireError
from meshd.wire.session_records import NODE_NAME_MAX, node_name

_CONTEXT = b"meshd-own-name-1"


class OwnName(NamedTuple):
    """A name, and the signature of the device that goes by it."""

    name: str
    signature: bytes

    def encode(self) -> bytes:
        """Return the body. Raises: UsageError for a name that is too long."""
        name = self.name.encode()
        if not 0 < len(name) <= NODE_NAME_MAX:
            raise UsageError(f"a name of {len(name)} bytes")
        return self.signature + name

    @classmethod
    def decode(cls, data: bytes) -> "OwnName":
        """Decode a body. Raises: WireError."""
        name = node_name(data[SIGNATURE_LEN:])
        if not name:
            raise WireError("no name")
        return cls(name, data[:SIGNATURE_LEN])


def statement(mesh: bytes, public: bytes, name: str) -> bytes:
    """Return what is signed: for one mesh, by one device key."""
    return _CONTEXT + mesh + public + name.encode()
