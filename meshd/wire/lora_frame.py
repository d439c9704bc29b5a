"""Encode and decode a frame on the air: header, sealed body, tag. 16 or 18 bytes beside the body.

Enters: bytes from a modem. Leaves: a `LoraFrame` whose body is still sealed, or WireError. Knows no
key: what the header says is believed when the tag fits, in `link/seal.py`.
Ref: docs/wire-format.md#lora-frame.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from meshd.core.errors import UsageError, WireError
from meshd.core.ids import SHORT_LEN

VERSION = 1
TAG_LEN = 8
ECHO_LEN = 4
"""So many of the first bytes of a tag show who heard the frame."""
FRAME_LEN_MAX = 255

_HEAD = Struct(f">BB{SHORT_LEN}s{SHORT_LEN}sH")
HEAD_LEN = _HEAD.size


class FrameKind(IntEnum):
    """What a frame is. BEACON and CHALLENGE open with the link key alone."""

    BEACON = 0
    CHALLENGE = 1
    LOCAL = 2
    ROUTED = 4


GROUP_KINDS = (FrameKind.BEACON, FrameKind.CHALLENGE)
_DESTINATION_LEN = {FrameKind.ROUTED: SHORT_LEN}


def overhead(kind: FrameKind) -> int:
    """Return how many bytes a frame of this kind has beside its body."""
    return HEAD_LEN + _DESTINATION_LEN.get(kind, 0) + TAG_LEN


def echo_of(data: bytes) -> bytes:
    """Return what shows that a frame was heard."""
    return data[-TAG_LEN:][:ECHO_LEN]


class LoraFrame(NamedTuple):
    """A frame as it is on the air.

    `next_hop` is `EVERYONE` or two bytes that only the one who is meant knows for his own;
    `counter` is the low half; `destination` is where a routed frame ends, else empty.
    """

    kind: FrameKind
    hop_limit: int
    context: int
    next_hop: bytes
    source: bytes
    counter: int
    destination: bytes = b""
    body: bytes = b""
    tag: bytes = bytes(TAG_LEN)

    def header(self) -> bytes:
        """Return everything before the body: what the tag covers in clear."""
        first = VERSION << 6 | self.kind << 3 | self.hop_limit
        head = _HEAD.pack(first, self.context, self.next_hop, self.source, self.counter)
        return head + self.destination

    def encode(self) -> bytes:
        """Return the frame.

        Raises: UsageError when it does not fit on the air, or its destination its kind.
        """
        if len(self.destination) != _DESTINATION_LEN.get(self.kind, 0):
            raise UsageError(f"a {self.kind.name} frame with {len(self.destination)} bytes to go")
        data = self.header() + self.body + self.tag
        if len(data) > FRAME_LEN_MAX:
            raise UsageError(f"a frame of {len(data)} bytes; LoRa takes {FRAME_LEN_MAX}")
        return data

    @classmethod
    def decode(cls, data: bytes) -> "LoraFrame":
        """Decode a frame.

        Raises: WireError for another version, kind or length.
        """
        if not HEAD_LEN + TAG_LEN <= len(data) <= FRAME_LEN_MAX:
            raise WireError(f"{len(data)} bytes are no frame")
        first, context, next_hop, source, counter = _HEAD.unpack_from(data)
        if first >> 6 != VERSION:
            raise WireError(f"frame of version {first >> 6}")
        try:
            kind = FrameKind(first >> 3 & 7)
        except ValueError as error:
            raise WireError(f"frame of kind {first >> 3 & 7}") from error
        begin = HEAD_LEN + _DESTINATION_LEN.get(kind, 0)
        if len(data) < begin + TAG_LEN:
            raise WireError(f"{len(data)} bytes are no {kind.name} frame")
        return cls(
            kind,
            first & 7,
            context,
            next_hop,
            source,
            counter,
            data[HEAD_LEN:begin],
            data[begin:-TAG_LEN],
            data[-TAG_LEN:],
        )
