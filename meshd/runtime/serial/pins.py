"""The mode pins of a module, set through files, as the kernel shows GPIO lines.

Enters: the paths of two files. Leaves: "0" or "1" written to them. A module that has such pins and
whose port is PATH finds them as PATH.m0 and PATH.m1: links to /sys/class/gpio/gpioN/value on real
wires, and what `meshd emulate` makes beside its port.
"""

import os

from meshd.radio.modem import Pins


class PinFiles:
    """Two pins, each behind a file."""

    def __init__(self, m0: str, m1: str) -> None:
        self._m0 = m0
        self._m1 = m1

    def set(self, pins: Pins) -> None:
        """Set both pins. Raises: OSError, whose file name says which one failed."""
        for path, value in ((self._m0, pins.m0), (self._m1, pins.m1)):
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(file, b"1" if value else b"0")
            finally:
                os.close(file)


def pins_beside(port: str) -> PinFiles | None:
    """Return the pins that belong to a port, or None when it has none."""
    m0, m1 = f"{port}.m0", f"{port}.m1"
    return PinFiles(m0, m1) if os.path.exists(m0) and os.path.exists(m1) else None
