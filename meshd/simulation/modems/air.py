"""Emulated modems on one air in real time, each behind a pseudo-terminal.

Enters: what modems are wanted, where, with which faults. Leaves: ports that behave like theirs.
The air is the one of the simulator (`media/lora.py`): distance decides what is heard, frames
collide, radios that send are deaf. Everybody on an air lives in one process; `meeting.py` brings
modems of other processes here.
"""

from dataclasses import dataclass

from meshd.core.errors import Exit, RequestError
from meshd.simulation.media.lora import LoraAir, Radio
from meshd.simulation.media.place import PathLoss, Place
from meshd.simulation.modems.clock import RealTime
from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.modems.kinds import EMULATORS
from meshd.simulation.modems.line import SerialLine
from meshd.simulation.modems.pty import PinPipes, PseudoTerminal
from meshd.simulation.plan.plan import Terrain

MODEMS_MAX = 100

_FLAT = Terrain(shadowing_db=0.0, asymmetry_db=0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A modem that somebody wants: its kind, the path of its port, its place in metres."""

    kind: str
    port: str
    at: Place = (0.0, 0.0)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A modem that is there. `device` is the pseudo-terminal that its port links to."""

    wanted: Wanted
    device: str
    baud: int
    emulator: Emulator
    _line: SerialLine
    _terminal: PseudoTerminal
    _pins: PinPipes | None


class RealAir:
    """The modems of one air."""

    def __init__(self, seed: int) -> None:
        self.schedule = RealTime(seed)
        self._loss = PathLoss(_FLAT, seed)
        self._places: dict[Radio, Place] = {}
        self._air = LoraAir(self.schedule, self._loss_db)
        self._placed: dict[str, Placed] = {}
        self._count = 0

    def place(self, wanted: Wanted) -> Placed:
        """Plug a modem in. Raises: RequestError."""
        kind = EMULATORS.get(wanted.kind)
        if kind is None:
            raise RequestError(
                f'"{wanted.kind}" is no modem that can be emulated',
                code=Exit.USAGE,
                remedy=f"one of {', '.join(EMULATORS)}",
            )
        if len(self._placed) >= MODEMS_MAX:
            raise RequestError(f"this air holds {MODEMS_MAX} modems and takes no more")
        self._count += 1
        radio = Radio(f"radio {self._count}", kind.factory)
        try:
            emulator = kind(radio, self.schedule, frozenset(wanted.faults))
        except ValueError as error:
            raise RequestError(
                str(error), code=Exit.USAGE, remedy=f"one of {', '.join(kind.FAULTS)}"
            ) from error

        def taken(data: bytes) -> None:
            self.schedule.catch_up()
            line.to_modem(data)

        terminal = PseudoTerminal(wanted.port, kind.baud, taken)
        line = SerialLine(self.schedule, kind.baud, host=terminal.write, modem=emulator.receive)
        emulator.written = line.to_host
        pins = _pins(emulator, wanted.port) if kind.has_pins else None
        self._places[radio] = wanted.at
        self._air.attach(radio)
        emulator.power_on()
        placed = Placed(wanted, terminal.device, kind.baud, emulator, line, terminal, pins)
        self._placed[wanted.port] = placed
        return placed

    def remove(self, placed: Placed) -> None:
        """Unplug a modem."""
        if self._placed.pop(placed.wanted.port, None) is None:
            return
        placed._line.unplug()
        placed._terminal.close()
        if placed._pins is not None:
            placed._pins.close()
        radio = placed.emulator.radio
        placed.emulator.listening = False
        self._air.detach(radio)
        self._places.pop(radio, None)

    def close(self) -> None:
        """Unplug all."""
        for placed in list(self._placed.values()):
            self.remove(placed)
        self.schedule.close()

    def _loss_db(self, sender: Radio, hearer: Radio) -> float:
        here, there = self._places[sender], self._places[hearer]
        return self._loss.loss_db(here, there, 0, 1, sender.setting.frequency_hz / 1e6)


def _pins(emulator: Emulator, path: str) -> PinPipes:
    return PinPipes(path, lambda m0, m1: emulator.pins(m0=m0, m1=m1))
