"""Encode and decode the mesh echo: a token that comes back unchanged.

Enters: bytes of a datagram. Leaves: an `EchoPacket`. A reply is as long as its request, so that a
forged source gains nothing by it.
Ref: docs/wire-format.md#echo.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.wire.datagrams import ECHO_KINDS, DatagramKind

TOKEN_LEN = 16
_LAYOUT = Struct(f">B{TOKEN_LEN}s")
ECHO_LEN = _LAYOUT.size


class EchoPacket(NamedTuple):
    """A request or a reply with its 16-byte random token."""

    token: bytes
    reply: bool = False

    def encode(self) -> bytes:
        """Return the datagram."""
        kind = DatagramKind.ECHO_REPLY if self.reply else DatagramKind.ECHO_REQUEST
        return _LAYOUT.pack(kind, self.token)

    @classmethod
    def decode(cls, data: bytes) -> "EchoPacket":
        """Decode a datagram.

        Raises: WireError for another kind or length.
        """
        if len(data) != ECHO_LEN:
            raise WireError(f"an echo has {ECHO_LEN} bytes, not {len(data)}")
        kind, token = _LAYOUT.unpack(data)
        if kind not in ECHO_KINDS:
            raise WireError(f"kind {kind} is no echo")
        return cls(token, kind == DatagramKind.ECHO_REPLY)
