"""Modems and their emulators on a desk: one air, serial lines, virtual time, no sleeping.

Enters: dialects of `meshd.radio` and emulators. Leaves: what the dialects tell, in order. This is
where the two meet; neither knows the other.
"""

from collections.abc import Collection
from typing import TypeVar

from meshd.radio.modem import Event, Modem, Pins
from meshd.simulation.media.lora import LoraAir, Radio
from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.modems.line import SerialLine
from meshd.simulation.schedule import SECOND, Schedule

E = TypeVar("E", bound=Event)


class Desk:
    """One air; every radio on it hears every other with the same loss."""

    def __init__(self, *, loss_db: float = 110.0) -> None:
        self.schedule = Schedule(1)
        self.loss_db = loss_db
        self.air = LoraAir(self.schedule, lambda sender, hearer: self.loss_db)
        self.plugs: list[Plug] = []

    def plug(
        self, modem: Modem, emulator: type[Emulator], *, faults: Collection[str] = ()
    ) -> "Plug":
        """Put an emulator on the desk and a modem on its line; the emulator has power from now."""
        plug = Plug(self, modem, emulator, frozenset(faults))
        self.plugs.append(plug)
        plug.emulator.power_on()
        return plug

    def run(self, duration_us: int) -> None:
        """Let time pass."""
        self.schedule.run(duration_us)


class Plug:
    """A modem, its line and its emulator. `events` are all that the modem told."""

    def __init__(
        self, desk: Desk, modem: Modem, emulator: type[Emulator], faults: frozenset[str]
    ) -> None:
        self.desk = desk
        self.modem = modem
        self.events: list[Event] = []
        self.written = bytearray()
        self._seen = 0
        self._wake_us = -1
        schedule = desk.schedule
        radio = Radio(f"radio {len(desk.plugs)}", emulator.factory)
        desk.air.attach(radio)
        self.emulator = emulator(radio, schedule, faults)
        self.line = SerialLine(
            schedule, modem.baud, host=self._to_modem_code, modem=self.emulator.receive
        )
        self.emulator.written = self.line.to_host

    def open(self) -> None:
        """Open the port."""
        self.modem.open(self.desk.schedule.now)
        self._drain()

    def ask(self) -> None:
        """Open the port only to learn what is there."""
        self.modem.ask(self.desk.schedule.now)
        self._drain()

    def transmit(self, frame: bytes) -> None:
        """Send a frame."""
        self.modem.transmit(frame, self.desk.schedule.now)
        self._drain()

    def unplug(self) -> None:
        """Pull the plug: the line is dead, the radio is off the air."""
        self.line.unplug()
        self.desk.air.detach(self.emulator.radio)

    def wait(self, kind: type[E], limit_us: int = 30 * SECOND) -> E:
        """Let time pass until the modem tells one of a kind that was not waited for before.

        Raises: TimeoutError.
        """
        schedule = self.desk.schedule
        end_us = schedule.now + limit_us
        while True:
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if isinstance(event, kind):
                    return event
            if schedule.now >= end_us:
                raise TimeoutError(f"no {kind.__name__} in {limit_us} us: {self.events[-5:]}")
            schedule.run(min(1_000, end_us - schedule.now))

    def told(self, kind: type[E]) -> list[E]:
        """Return all events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def _to_modem_code(self, piece: bytes) -> None:
        self.modem.receive(piece, self.desk.schedule.now)
        self._drain()

    def _timeout(self, due_us: int) -> None:
        if due_us == self._wake_us:
            self._wake_us = -1
            self.modem.handle_timeout(self.desk.schedule.now)
            self._drain()

    def _drain(self) -> None:
        """Take what the modem has: events first, then bytes, then its timer."""
        while True:
            event = self.modem.poll_event()
            if event is not None:
                self.events.append(event)
                if isinstance(event, Pins):
                    self.emulator.pins(m0=event.m0, m1=event.m1)
                continue
            data = self.modem.poll_write()
            if data is None:
                break
            self.written += data
            self.line.to_modem(data)
        due_us = self.modem.poll_timeout()
        if due_us is not None and due_us != self._wake_us:
            self._wake_us = due_us
            self.desk.schedule.at(due_us, self._timeout, due_us)
