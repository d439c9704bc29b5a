"""Drives one rival engine on one LoRa radio.

Enters: an engine, a radio, time. Leaves: frames on the air, and events to whoever scores them. A
station asks before each frame whether the channel is free, and gives the frame back if not; one
whose module does not listen sends at once.
"""

from collections.abc import Callable

from meshd.simulation.media.lora import Radio, TimeAndChance
from meshd.simulation.rivals.engine import Engine, Event


class Station:
    """Calls the engine's verbs when time and the radio want it."""

    __slots__ = ("_airtime_us", "_armed_us", "_schedule", "_stopped", "engine", "happened", "radio")

    def __init__(self, schedule: TimeAndChance, radio: Radio, engine: Engine) -> None:
        self.engine = engine
        self.radio = radio
        self.happened: Callable[[Event], None] = _ignore
        self._schedule = schedule
        self._armed_us: int | None = None
        self._airtime_us = 0
        self._stopped = False
        radio.received = self._received
        radio.sent = self._sent
        self._drain()

    def send_broadcast(self, payload: bytes) -> int:
        """Send to all; return the message's number."""
        number = self.engine.send_broadcast(payload, self._schedule.now)
        self._drain()
        return number

    def send_direct(self, to: int, payload: bytes) -> int:
        """Send to one; return the message's number."""
        number = self.engine.send_direct(to, payload, self._schedule.now)
        self._drain()
        return number

    def stop(self) -> None:
        """Do nothing any more: the power is gone."""
        self._stopped = True

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        self.engine.receive(frame, rssi_dbm, snr_db, self._schedule.now)
        self._drain()

    def _sent(self) -> None:
        self.engine.sent(self._airtime_us, self._schedule.now)
        self._drain()

    def _wake(self, armed_us: int) -> None:
        if armed_us != self._armed_us or self._stopped:
            return
        self._armed_us = None
        self.engine.handle_timeout(self._schedule.now)
        self._drain()

    def _drain(self) -> None:
        engine, now = self.engine, self._schedule.now
        while (event := engine.poll_event()) is not None:
            self.happened(event)
        if not self.radio.sending and (frame := engine.poll_transmit()) is not None:
            if self.radio.setting.module.listens and self.radio.busy():
                engine.refused(frame, now)
            else:
                self._airtime_us = self.radio.transmit(frame.data, frame.purpose)
        due_us = engine.poll_timeout()
        if due_us is not None and (self._armed_us is None or due_us < self._armed_us):
            self._armed_us = due_us
            self._schedule.at(due_us, self._wake, due_us)


def _ignore(_: Event) -> None:
    """Nobody scores yet."""
