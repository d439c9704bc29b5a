"""Encode and decode the knock: an unauthenticated hint that a node listens for sessions on a link.

Enters: bytes of a datagram. Leaves: a `Knock`. Nothing in it is proven; the handshake that it may
lead to proves everything again.
Ref: docs/wire-format.md#knock.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.core.ids import MESH_ID_LEN, NODE_ID_LEN
from meshd.wire.datagrams import KNOCK_KINDS, DatagramKind

VERSION = 1
_LAYOUT = Struct(f">BB{MESH_ID_LEN}s{NODE_ID_LEN}sH")
KNOCK_LEN = _LAYOUT.size
PORT_MIN = 1024


class Knock(NamedTuple):
    """Who claims to be here: mesh id (5), NodeId (10), TCP port; 0 means "I only dial".

    `answer` marks the reply to a knock, which gets no reply itself.
    """

    mesh: bytes
    node: bytes
    port: int
    answer: bool = False

    def encode(self) -> bytes:
        """Return the datagram."""
        kind = DatagramKind.KNOCK_ANSWER if self.answer else DatagramKind.KNOCK
        return _LAYOUT.pack(kind, VERSION, self.mesh, self.node, self.port)

    @classmethod
    def decode(cls, data: bytes) -> "Knock":
        """Decode a datagram.

        Raises: WireError for another kind, version or length, and for a privileged port, so that a
        forged knock cannot point a node at another service.
        """
        if len(data) != KNOCK_LEN:
            raise WireError(f"a knock has {KNOCK_LEN} bytes, not {len(data)}")
        kind, version, mesh, node, port = _LAYOUT.unpack(data)
        if kind not in KNOCK_KINDS:
            raise WireError(f"kind {kind} is no knock")
        if version != VERSION:
            raise WireError(f"knock version {version}")
        if 0 < port < PORT_MIN:
            raise WireError(f"knock with privileged port {port}")
        return cls(mesh, node, port, kind == DatagramKind.KNOCK_ANSWER)
