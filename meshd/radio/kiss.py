"""KISS: frames between C0 bytes on a serial line, as TNCs have spoken it since 1987.

Enters: bytes cut anywhere. Leaves: frames without their escapes, and the reason for what is none.
Must not know: commands; the first byte of a frame is its reader's.

A frame ends where the next begins, so a lost C0 costs two frames at most. Between frames a modem
may print what it likes: text before the first C0 is skipped, later text looks like a frame of an
unknown command and is its reader's to drop. A frame that lies half finished while the line is
quiet for `STALE_US` will never be finished; the limit is far above any pause of a loaded host.
Ref: M. Chepponis, P. Karn, "The KISS TNC", 1987.
"""

from meshd.core.drops import DropReason

FEND, FESC, TFEND, TFESC = 0xC0, 0xDB, 0xDC, 0xDD
STALE_US = 1_000_000

_END = bytes((FEND,))
_ESCAPE = bytes((FESC,))
_ESCAPED_ESCAPE = bytes((FESC, TFESC))
_ESCAPED_END = bytes((FESC, TFEND))


def frame(command: int, payload: bytes = b"") -> bytes:
    """Return a frame as it goes over the line."""
    body = bytes((command,)) + payload
    escaped = body.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_END, _ESCAPED_END)
    return _END + escaped + _END


class Reader:
    """Takes the bytes of one line apart. `body_max`: the longest frame without its escapes."""

    def __init__(self, body_max: int) -> None:
        self._raw_max = 2 * body_max
        self._body_max = body_max
        self._part = bytearray()
        self._inside = False
        self._heard_us = 0

    def read(self, data: bytes, now: int) -> list[bytes | DropReason]:
        """Return the frames that `data` completes, and a reason for each piece that is none."""
        found: list[bytes | DropReason] = []
        if self._part and now - self._heard_us > STALE_US:
            self._leave(found)
        self._heard_us = now
        *ended, rest = data.split(_END)
        for piece in ended:
            self._take(piece, found)
            if self._part:
                found.append(self._finished())
                self._part.clear()
            self._inside = True
        self._take(rest, found)
        return found

    def _take(self, piece: bytes, found: list[bytes | DropReason]) -> None:
        """Add a piece to what lies inside a frame; outside it is garbage."""
        if not piece:
            return
        if not self._inside:
            found.append(DropReason.MODEM_GARBAGE)
            return
        if len(self._part) + len(piece) > self._raw_max:
            self._part.clear()
            self._inside = False
            found.append(DropReason.MODEM_TOO_LONG)
            return
        self._part += piece

    def _finished(self) -> bytes | DropReason:
        body = _unescaped(self._part)
        if body is None:
            return DropReason.MODEM_GARBAGE
        return bytes(body) if len(body) <= self._body_max else DropReason.MODEM_TOO_LONG

    def _leave(self, found: list[bytes | DropReason]) -> None:
        self._part.clear()
        self._inside = False
        found.append(DropReason.MODEM_GARBAGE)


def _unescaped(raw: bytearray) -> bytearray | None:
    """Return what was escaped, or None when an escape means nothing."""
    if FESC not in raw:
        return raw
    body = bytearray()
    escaped = False
    for byte in raw:
        if escaped:
            if byte not in (TFEND, TFESC):
                return None
            body.append(FEND if byte == TFEND else FESC)
            escaped = False
        elif byte == FESC:
            escaped = True
        else:
            body.append(byte)
    return None if escaped else body
