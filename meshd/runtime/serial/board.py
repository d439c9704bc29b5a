"""Sets a Meshtastic board at its port, or looks how it is set: once, and as its owner asked to.

Enters: a port, a plan, the name of a region. Leaves: a `Board`, how it was set and how it is now.
Its port may go away while it restarts, as that of a board with USB of its own does, and comes back.
Must not know: where the plan comes from, and words for people beside advice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.radio.meshtastic.plan import LoraSettings
from meshd.radio.meshtastic.setup import BACK_US, NOT_BACK, Journal, MeshtasticSetup
from meshd.radio.modem import SECOND, Broken, Configured, Event, RadioPlan
from meshd.runtime.serial.device import PortError
from meshd.runtime.serial.port import Line, closed, opened

HELD_MAX_S = 40.0
"""A daemon that refuses a board closes its port between tries, for half a minute at most."""

LOOK_S = 0.25
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Board:
    """How a board was set, how it is now, and whether it was written to."""

    before: LoraSettings
    after: LoraSettings
    written: bool


async def set_board(port: str, plan: RadioPlan, region: str, tell: Tell) -> Board:
    """Set a board; `tell` gets what goes on. Raises: RequestError with what to do next."""
    return await _Setting(port, plan, region, tell, may_write=True).run()


async def look_at_board(port: str, plan: RadioPlan, region: str) -> str:
    """Return why a board does not fit a plan and what to do next, "" when it does."""
    try:
        await _Setting(port, plan, region, lambda _: None, may_write=False).run()
    except RequestError as error:
        return f"{error}: {error.remedy}" if error.remedy else str(error)
    return ""


class _Setting:
    """One board that is being set, over all openings of its port."""

    def __init__(
        self, port: str, plan: RadioPlan, region: str, tell: Tell, *, may_write: bool
    ) -> None:
        self._port = port
        self._plan = plan
        self._region = region
        self._tell = tell
        self._journal = Journal(may_write)
        self._said_held = False
        self._line: Line | None = None

    async def run(self) -> Board:
        """Carry it out. Raises: RequestError."""
        begun_us = _now()
        while True:
            try:
                broken = await self._once()
            except PortError as error:
                broken = Broken(DropReason.MODEM_GONE, error.advice)
                await self._patient(begun_us, broken, held="has it open" in error.advice)
                continue
            before, after = self._journal.before, self._journal.after
            if broken is None and before is not None and after is not None:
                return Board(before, after, self._journal.written_us is not None)
            if broken is None or broken.reason is not DropReason.MODEM_GONE:
                raise self._wrong(broken or Broken(DropReason.MODEM_SILENT, NOT_BACK))
            await self._patient(begun_us, broken, held=False)

    async def _once(self) -> Broken | None:
        """Open the port and let the board be set; None: it is. Raises: PortError."""
        modem = MeshtasticSetup(self._plan, self._region, self._journal)
        port = await opened(self._port, modem.baud)
        try:
            self._line = Line(port, modem, self._event, None)
            return await self._line.serve(modem.open)
        finally:
            self._line = None
            await closed(port)

    async def _patient(self, begun_us: int, broken: Broken, *, held: bool) -> None:
        """Wait before the port is tried again. Raises: RequestError when it was long enough."""
        written_us = self._journal.written_us
        if written_us is not None:
            if _now() > written_us + BACK_US:
                raise self._wrong(Broken(DropReason.MODEM_GONE, NOT_BACK))
        elif not held or not self._journal.may_write:
            raise self._wrong(broken)
        elif _now() > begun_us + HELD_MAX_S * SECOND:
            raise self._wrong(broken)
        elif not self._said_held:
            self._said_held = True
            self._tell(f"{broken.cause}; waiting up to {HELD_MAX_S:g} s until it lets go")
        await asyncio.sleep(LOOK_S)

    def _event(self, event: Event) -> None:
        if isinstance(event, Configured) and self._line is not None:
            self._line.leave()

    def _wrong(self, broken: Broken) -> RequestError:
        remedy = broken.remedy.replace(" PORT ", f" {self._port} ")
        if broken.reason is DropReason.MODEM_SILENT and self._journal.before is None:
            remedy += f"; `meshd radio scan --port {self._port}` tells what is there"
        return RequestError(f"{self._port}: {broken.cause}", code=Exit.HARDWARE, remedy=remedy)


def _now() -> int:
    return int(asyncio.get_running_loop().time() * 1e6)
