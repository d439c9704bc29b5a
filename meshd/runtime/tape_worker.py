"""A recording's file written by a thread of its own: a slow disk must not stall the routing.

Enters: lines, on the event loop. Leaves: the same lines in the file, in their order. What waits is
bounded; when the disk falls behind by more than that, the recording ends there and says so.
Must not know: what the lines hold.
"""

import threading

from meshd.core.snapshot import Problem
from meshd.recording.tape import Tape

QUEUE_BYTES_MAX = 16 << 20
"""What may wait for the disk; the first line of all, which may be longer, always may."""

CLOSE_S = 5.0
"""How long a stop waits for the disk."""


class TapeWorker:
    """A tape that takes lines at once and writes them soon. `problem` says why it has ended."""

    def __init__(self, tape: Tape, *, queue_bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self.path = tape.path
        self.problem: Problem | None = None
        self._tape = tape
        self._queue_bytes_max = queue_bytes_max
        self._wake = threading.Condition()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._last = False
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="meshd-recording", daemon=True)
        self._thread.start()

    def write(self, line: bytes, *, last: bool = False) -> bool:
        """Append a line; False when the recording has ended, for whatever reason."""
        with self._wake:
            if self.problem is None:
                self.problem = self._tape.problem
            if self.problem is not None or self._closing:
                return False
            if self._bytes and self._bytes + len(line) > self._queue_bytes_max:
                self.problem = _slow(self.path, self._bytes)
                self._closing = True
                self._wake.notify()
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self._last = last
            self._wake.notify()
        return True

    def close(self) -> bool:
        """End the file after what waits; False when the disk did not take that in time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        """Write what waits, all of it by one call, until the end or a fault."""
        well = True
        while well:
            with self._wake:
                while not self._lines and not self._closing:
                    self._wake.wait()
                lines, self._lines, last = self._lines, [], self._last
            if not lines:
                break
            well = self._tape.write_all(lines, last=last)
            with self._wake:
                self._bytes -= sum(map(len, lines))
        self._tape.close()


def _slow(path: str, waiting: int) -> Problem:
    return Problem(
        "recording-slow",
        f"{path}: recording has ended: {waiting // 1_000_000} MB waited for its disk",
        "the node goes on; start it again with --record and a file on a quicker disk",
    )
