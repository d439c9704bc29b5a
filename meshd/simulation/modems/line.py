"""A serial line: bytes take their time, and arrive in the pieces of a small FIFO.

Enters: bytes of either end. Leaves: the same bytes at the other end, ten bits a byte later, in
order. Time comes from the schedule: virtual in tests, real behind a pseudo-terminal. On slow ports
the line takes longer than the air.
"""

from collections.abc import Callable

from meshd.simulation.media.lora import TimeAndChance

PIECE_BYTES = 16
_BITS_A_BYTE = 10

Take = Callable[[bytes], None]


class SerialLine:
    """Both directions between a host and a modem. `unplug` ends them at once."""

    def __init__(self, schedule: TimeAndChance, baud: int, *, host: Take, modem: Take) -> None:
        self._schedule = schedule
        self._byte_us = _BITS_A_BYTE * 1_000_000 / baud
        self._free_us = {"host": 0.0, "modem": 0.0}
        self._take = {"host": host, "modem": modem}
        self.plugged = True
        self.carried = {"host": 0, "modem": 0}

    def to_modem(self, data: bytes) -> None:
        """Take bytes that the host writes."""
        self._carry("modem", data)

    def to_host(self, data: bytes) -> None:
        """Take bytes that the modem writes."""
        self._carry("host", data)

    def unplug(self) -> None:
        """Lose what is on the way, and everything after it."""
        self.plugged = False

    def _carry(self, end: str, data: bytes) -> None:
        if not self.plugged:
            return
        self.carried[end] += len(data)
        at = max(self._free_us[end], float(self._schedule.now))
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            at += len(piece) * self._byte_us
            self._schedule.at(round(at), self._arrive, end, piece)
        self._free_us[end] = at

    def _arrive(self, end: str, piece: bytes) -> None:
        if self.plugged:
            self._take[end](piece)
