"""What emulated modems that speak in lines share: lines in and out, common ways to misbehave.

Enters: bytes from the host. Leaves: lines to the host. Must not know: any command.
"""

from abc import abstractmethod
from typing import ClassVar

from meshd.simulation.media.lora import Radio, TimeAndChance
from meshd.simulation.modems.emulator import Emulator

LINE_MAX = 600
LATE_US = 700_000
VERY_LATE_US = 1_500_000
BOOT_US = 900_000
BOOT_LOG = b"\xff\x00\x1bBoot v2\r\nclock 32k ok\r\nflash: 0 bad, 17 cycles\r\nno host"

COMMON_FAULTS = {
    "silent": "never says anything",
    "late": "answers everything 0.7 s late",
    "very-late": "answers everything 1.5 s late",
    "boot-log": "prints a boot log, and answers only 0.9 s after power came",
    "garbage": "puts random bytes before every fifth line",
    "half-frames": "loses the second half of every fifth packet that it hands over",
    "resets": "restarts when it should send its third packet",
    "hangs": "says nothing more after its third packet",
}


class TextEmulator(Emulator):
    """A module that takes a command a line."""

    FAULTS: ClassVar[dict[str, str]] = COMMON_FAULTS

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._random = schedule.random(f"{self.kind} {radio.name}")
        self._line = bytearray()
        self._deaf_until_us = 0
        self._dead = "silent" in faults
        self._said = self._given = self._asked_to_send = 0

    def power_on(self) -> None:
        """Begin with the settings that are lost without power at their defaults."""
        self._line.clear()
        self.listening = False
        self._forget()
        if "boot-log" in self.faults:
            self._deaf_until_us = self.schedule.now + BOOT_US
            self._put(BOOT_LOG)
            self.schedule.at(self._deaf_until_us, self._started)
        else:
            self._started()

    @abstractmethod
    def _forget(self) -> None:
        """Lose what is lost without power."""

    @abstractmethod
    def _started(self) -> None:
        """Say what is said after a start."""

    @abstractmethod
    def _command(self, line: bytes) -> None:
        """Do what the host says."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; nobody reads them while it starts."""
        if self.schedule.now < self._deaf_until_us:
            return
        for byte in data:
            if byte == 0x0A:
                line = bytes(self._line).rstrip(b"\r")
                self._line.clear()
                if line:
                    self._command(line)
            elif len(self._line) < LINE_MAX:
                self._line.append(byte)

    def _may_send(self) -> bool:
        """Count a packet that is to be sent; False: a fault got in the way."""
        self._asked_to_send += 1
        if self._asked_to_send == 3 and "resets" in self.faults:
            self.power_on()
            return False
        if self._asked_to_send == 3 and "hangs" in self.faults:
            self._dead = True
        return not self._dead

    def _say(self, line: bytes) -> None:
        self._said += 1
        line += b"\r\n"
        if "garbage" in self.faults and self._said % 5 == 0:
            line = self._random.randbytes(self._random.randrange(1, 12)) + line
        self._put(line)

    def _hand_over(self, line: bytes) -> None:
        """Say a packet that came in."""
        self._given += 1
        if "half-frames" in self.faults and self._given % 5 == 0:
            self._put(line[: len(line) // 2])
        else:
            self._say(line)

    def _put(self, data: bytes) -> None:
        if "very-late" in self.faults:
            self.schedule.at(self.schedule.now + VERY_LATE_US, self._write, data)
        elif "late" in self.faults:
            self.schedule.at(self.schedule.now + LATE_US, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._dead:
            self.written(data)
