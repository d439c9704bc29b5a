"""One modem on one serial port: opened, driven, and opened again after each trouble.

Enters: the path of a port, a modem dialect, frames. Leaves: the modem's events, each once. When
the port goes away, or the modem is of no use, it is closed and tried again after growing pauses;
plugged in again, it comes back by itself. Nothing here blocks the event loop.
Must not know: what frames mean, and what the law allows.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.radio.modem import Broken, Configured, Event, Modem, NotSent, Opened, Pins, Sent
from meshd.runtime.serial.device import PortError, close_port, open_port
from meshd.runtime.serial.pins import PinFiles, pins_beside

PAUSE_FIRST_S, PAUSE_MAX_S = 0.5, 30.0
LOOK_S = 0.5
"""How often a port that is not there is looked for: only its name, which costs nothing."""
_READ_BYTES = 4_096
_UNWRITTEN_MAX = 16_384
_SAMPLE_BYTES = 512
_UNPLUGGED = "the port went away: plug the radio in again"
_NO_PINS = (
    "this radio sends whatever is written to it until its pins M0 and M1 say otherwise: wire them "
    "to outputs of this computer and link those as {path}.m0 and {path}.m1"
)

log = logging.getLogger("meshd.radio")

Tell = Callable[[Event], None]


class SerialPort:
    """A modem's port. `make` gives a new modem each time that the port is opened.

    `tell` gets the events; `Broken` only when it says something else than the last time.
    """

    def __init__(self, path: str, make: Callable[[], Modem], tell: Tell) -> None:
        self.path = path
        self.modem: Modem | None = None
        self._line: Line | None = None
        self._make = make
        self._tell = tell
        self._told: Broken | None = None
        self._worked = False

    async def run(self) -> None:
        """Keep the modem at work until cancelled."""
        pause_s = PAUSE_FIRST_S
        while True:
            self._worked = False
            self._end(await self._once())
            pause_s = PAUSE_FIRST_S if self._worked else min(2 * pause_s, PAUSE_MAX_S)
            await pause(self.path, pause_s)

    def transmit(self, frame: bytes) -> None:
        """Send a frame. Raises: UsageError while the modem is not ready."""
        if self.modem is None or self._line is None:
            raise UsageError(f"{self.path}: no modem is ready")
        self._line.transmit(frame)

    async def _once(self) -> Broken | None:
        """Open the port and serve it until something breaks."""
        modem = self._make()
        pins = pins_beside(self.path)
        if modem.needs_pins and pins is None:
            return Broken(DropReason.MODEM_SETTING, _NO_PINS.format(path=self.path))
        try:
            port = await opened(self.path, modem.baud)
        except PortError as error:
            reason = DropReason.MODEM_GONE if error.gone else DropReason.MODEM_PORT
            return Broken(reason, error.advice)
        line = Line(port, modem, self._event, pins)
        self.modem, self._line = modem, line
        log.debug("opened port=%s kind=%s", self.path, modem.kind)
        try:
            return await line.serve(modem.open)
        finally:
            self.modem = self._line = None
            await closed(port)

    def _event(self, event: Event) -> None:
        if isinstance(event, Opened):
            log.info("found port=%s model=%s firmware=%s", self.path, event.model, event.firmware)
        elif isinstance(event, Configured):
            self._worked = True
            self._told = None
        self._tell(event)

    def _end(self, broken: Broken | None) -> None:
        if broken is None:
            return
        broken = broken._replace(advice=broken.advice.replace(" PORT ", f" {self.path} "))
        if broken != self._told:
            self._told = broken
            log.debug("down port=%s reason=%s %s", self.path, broken.reason, broken.advice)
            self._tell(broken)


class Line:
    """Carries bytes between an open port and a modem, and keeps its timer."""

    def __init__(self, port: Any, modem: Modem, tell: Tell, pins: PinFiles | None) -> None:
        self._fileno: int = port.fileno()
        self._modem = modem
        self._tell = tell
        self._pins = pins
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Broken | None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten = bytearray()
        self._waits = False
        self._sending = False
        self.heard = 0
        """How many bytes came from the port, and the first of them."""
        self.sample = b""

    @property
    def now(self) -> int:
        """Return the time in microseconds."""
        return int(self._loop.time() * 1e6)

    async def serve(self, begin: Callable[[int], None]) -> Broken | None:
        """Let the modem `begin`, and carry bytes until it breaks, the port goes, or `leave`."""
        self._loop.add_reader(self._fileno, self._readable)
        try:
            begin(self.now)
            self._drain()
            return await self._ended
        finally:
            self._loop.remove_reader(self._fileno)
            if self._waits:
                self._loop.remove_writer(self._fileno)
            if self._timer is not None:
                self._timer.cancel()

    def transmit(self, frame: bytes) -> None:
        """Give the modem a frame. Raises: UsageError while it is not ready."""
        self._modem.transmit(frame, self.now)
        self._sending = True
        self._drain()

    def leave(self) -> None:
        """End `serve`."""
        self._finish(None)

    def _drain(self) -> None:
        """Take what the modem has: events first, then bytes, then its timer."""
        while not self._ended.done():
            event = self._modem.poll_event()
            if event is not None:
                self._event(event)
                continue
            data = self._modem.poll_write()
            if data is None:
                break
            self._unwritten += data
        if self._unwritten and not self._waits:
            self._write()
        self._arm()

    def _event(self, event: Event) -> None:
        if isinstance(event, Broken):
            self._finish(event)
            return
        if isinstance(event, Sent | NotSent):
            self._sending = False
        elif isinstance(event, Pins) and self._pins is not None:
            try:
                self._pins.set(event)
            except OSError as error:
                trouble = f"the mode pin {error.filename} can not be set: {error.strerror}"
                self._finish(Broken(DropReason.MODEM_SETTING, trouble))
            return
        self._tell(event)

    def _finish(self, broken: Broken | None) -> None:
        if self._ended.done():
            return
        self._ended.set_result(broken)
        if self._sending and broken is not None:
            self._sending = False
            self._tell(NotSent(broken.reason, maybe=True))

    def _readable(self) -> None:
        try:
            data = os.read(self._fileno, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._finish(Broken(DropReason.MODEM_GONE, _UNPLUGGED))
            return
        self.heard += len(data)
        self.sample += data[: _SAMPLE_BYTES - len(self.sample)]
        self._modem.receive(data, self.now)
        self._drain()

    def _write(self) -> None:
        """Write what the port takes now, and the rest when it takes more."""
        try:
            written = os.write(self._fileno, self._unwritten)
        except (BlockingIOError, InterruptedError):
            written = 0
        except OSError:
            self._finish(Broken(DropReason.MODEM_GONE, _UNPLUGGED))
            return
        del self._unwritten[:written]
        if len(self._unwritten) > _UNWRITTEN_MAX:
            stuck = "the port takes no more bytes: unplug the radio and plug it in again"
            self._finish(Broken(DropReason.MODEM_SILENT, stuck))
        waits = bool(self._unwritten)
        if waits and not self._waits:
            self._loop.add_writer(self._fileno, self._write)
        elif self._waits and not waits:
            self._loop.remove_writer(self._fileno)
        self._waits = waits

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_us = self._modem.poll_timeout()
        if due_us is not None and not self._ended.done():
            self._timer = self._loop.call_at(due_us / 1e6, self._due)

    def _due(self) -> None:
        self._timer = None
        self._modem.handle_timeout(self.now)
        self._drain()


async def pause(path: str, pause_s: float) -> None:
    """Wait before a port is tried again: less long when it was away, and was plugged in now."""
    away = not os.path.exists(path)
    while pause_s > 0:
        await asyncio.sleep(min(pause_s, LOOK_S))
        pause_s -= LOOK_S
        there = os.path.exists(path)
        if away and there:
            return
        away = not there


async def opened(path: str, baud: int) -> Any:
    """Open a port in a thread. Raises: PortError."""
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, open_port, path, baud)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


async def closed(port: Any) -> None:
    """Close a port in a thread."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, close_port, port))


def _close_late(opening: "asyncio.Future[Any]") -> None:
    """Nobody waits for this port any more."""
    if not opening.cancelled() and opening.exception() is None:
        close_port(opening.result())
