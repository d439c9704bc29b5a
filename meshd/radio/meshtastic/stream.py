"""Messages of a Meshtastic radio out of the bytes of its port, console text and noise between them.

Enters: bytes, cut anywhere. Leaves: each message to `understood`, what is none to `left_out`. There
is no checksum: what `understood` refuses was no message, and the search goes on right behind its
mark, since a real one may begin inside. Must not know: what messages mean.
"""

from collections.abc import Callable

MARK = b"\x94\xc3"
HEAD_BYTES = 4
MESSAGE_MAX = 512


def framed(message: bytes) -> bytes:
    """Return a message as it goes through the port."""
    return MARK + len(message).to_bytes(2, "big") + message


class Stream:
    """One direction of a port. Holds one message at most."""

    def __init__(
        self, understood: Callable[[bytes, int], bool], left_out: Callable[[bytes], None]
    ) -> None:
        self._understood = understood
        self._left_out = left_out
        self._buffer = bytearray()
        self._over = False

    @property
    def waits(self) -> bool:
        """Tell whether something has begun that may be a message."""
        return bool(self._buffer)

    def close(self) -> None:
        """Forget everything, and take no more."""
        self._over = True
        self._buffer.clear()

    def feed(self, data: bytes, now: int) -> None:
        """Take bytes."""
        for start in range(0, len(data), MESSAGE_MAX):
            if self._over:
                return
            self._buffer += data[start : start + MESSAGE_MAX]
            self._search(now)

    def quiet(self, now: int) -> None:
        """No more comes: a message that has begun was cut, or was never one."""
        while self._buffer:
            self._skip(1)
            self._search(now)

    def _search(self, now: int) -> None:
        while not self._over:
            start = self._buffer.find(MARK)
            if start < 0:
                half = self._buffer.endswith(MARK[:1])
                self._skip(len(self._buffer) - half)
                return
            self._skip(start)
            if len(self._buffer) < HEAD_BYTES:
                return
            end = HEAD_BYTES + int.from_bytes(self._buffer[2:HEAD_BYTES], "big")
            if end > HEAD_BYTES + MESSAGE_MAX:
                self._skip(len(MARK))
            elif len(self._buffer) < end:
                return
            elif self._understood(bytes(self._buffer[HEAD_BYTES:end]), now):
                del self._buffer[:end]
            else:
                self._skip(len(MARK))

    def _skip(self, count: int) -> None:
        if count > 0:
            piece = bytes(self._buffer[:count])
            del self._buffer[:count]
            self._left_out(piece)
