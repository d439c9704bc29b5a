"""The KISS line as a modem's firmware reads it: byte by byte, with a bound.

Enters: bytes from the host. Leaves: whole frames without their escapes. Written from the facts of
the firmware, apart from what meshd itself reads KISS with. Ref: docs/radios.md.
"""

from collections.abc import Callable

FRAME_END, ESCAPE = 0xC0, 0xDB
_ESCAPED = {0xDC: 0xC0, 0xDD: 0xDB}


class Unpacker:
    """Collects one line; `take(body)` gets each frame that is no longer than `body_max`."""

    def __init__(self, body_max: int, take: Callable[[bytes], None]) -> None:
        self._body_max = body_max
        self._take = take
        self._body: list[int] | None = None
        self._escaped = False

    def feed(self, data: bytes) -> None:
        """Read bytes; a frame that grows too long is forgotten up to the next end."""
        for byte in data:
            if byte == FRAME_END:
                if self._body:
                    self._take(bytes(self._body))
                self._body = []
                self._escaped = False
            elif self._body is None:
                continue
            elif self._escaped:
                self._escaped = False
                if byte in _ESCAPED:
                    self._body.append(_ESCAPED[byte])
            elif byte == ESCAPE:
                self._escaped = True
            elif len(self._body) < self._body_max:
                self._body.append(byte)
            else:
                self._body = None


def packed(*parts: int | bytes) -> bytes:
    """Return one frame of numbers and bytes."""
    body = b"".join(bytes((part,)) if isinstance(part, int) else part for part in parts)
    line = bytearray((FRAME_END,))
    for byte in body:
        if byte == FRAME_END:
            line += b"\xdb\xdc"
        elif byte == ESCAPE:
            line += b"\xdb\xdd"
        else:
            line.append(byte)
    line.append(FRAME_END)
    return bytes(line)
