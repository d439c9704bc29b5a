"""The LoRa radios of a daemon: each on its serial port, and the ledger's file beside them.

Enters: `[[radio]]` of the configuration, `RadioSend` and `AirtimeSave` of the node. Leaves: the
node's radio inputs, and for each radio a state with advice for `status`. A port that went away is
opened again after growing pauses; nothing here blocks the event loop.
Must not know: what frames hold; the law, but for naming it.
"""

import asyncio
import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import replace
from shlex import quote
from typing import Protocol

from meshd.config.paths import SYSTEM_STATE_DIR, default_state_dir
from meshd.config.values import AUTO, RadioConfig, radio_name
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError, UsageError
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink, RadioSend
from meshd.core.law import HOUR_US
from meshd.core.snapshot import Problem, RadioStatus
from meshd.node import Node
from meshd.radio.kinds import made
from meshd.radio.modem import (
    Advised,
    BoardAired,
    Broken,
    Configured,
    Dropped,
    Event,
    Heard,
    Modem,
    Noise,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
    plausible,
)
from meshd.runtime.airtime_file import AirtimeDisk
from meshd.runtime.key_file import key_doubt, read_key
from meshd.runtime.serial.port import PAUSE_FIRST_S, PAUSE_MAX_S, SerialPort, pause
from meshd.runtime.serial.scan import Found, identify

NO_REGION = "no region"
KEY_AGAIN_S = 5.0
"""After so long a key that could not be read is looked for again."""
CLOCK_STEP_US = 100_000
"""A difference of clocks below this is how long it took to read them."""

_STATES = {
    DropReason.MODEM_GONE: "port gone",
    DropReason.MODEM_PORT: "port refused",
    DropReason.MODEM_OTHER_KIND: "other kind",
    DropReason.MODEM_SILENT: "silent",
    DropReason.MODEM_SETTING: "setting refused",
    DropReason.MODEM_REFUSED: "refused",
    DropReason.MODEM_RESET: "restarts",
}
_CHOOSE = (
    "meshd radio set {port} --region NAME, whose law holds where it stands (without --region it "
    "lists them); then start meshd again"
)
_CHANGE = (
    "meshd radio set {port} with another value, or with --usual KEY for the default; then start "
    "meshd again"
)
_MEND = "meshd radio set {port} {mend}; then start meshd again"

_COMMAND = re.compile(r"meshd radio (?:set /\S+(?: --set-board)?|list\b|duty\b)")
_AGAIN = "it is tried again by itself, every half minute at least"
_KEEP = "leave the files `airtime` of the state directory alone, and copy none back"

log = logging.getLogger("meshd.radio")


class RadioHost(Protocol):
    """Who carries the node; see `Daemon`."""

    node: Node

    def drain(self) -> None: ...
    def problem(self, kind: str, problem: Problem | None) -> None: ...


class LoraRadios:
    """All radios that the configuration names."""

    def __init__(
        self, configs: tuple[RadioConfig, ...], airtime_path: str, host: RadioHost
    ) -> None:
        self._host = host
        self._path = airtime_path
        self.folder = os.path.dirname(airtime_path)
        self._disk: AirtimeDisk | None = None
        self._ahead_us = 0
        self._final: bytes | None = None
        self._later: asyncio.TimerHandle | None = None
        self._told: dict[str, Problem | None] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._saving: set[asyncio.Task[None]] = set()
        self._radios = {
            radio_name(number): _Radio(radio_name(number), config, self)
            for number, config in enumerate(configs)
        }

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to open the ports of all radios whose region is chosen."""
        chosen = [radio for radio in self._radios.values() if radio.config.usable]
        for radio in self._radios.values():
            if radio.config.unfit:
                change = _MEND if radio.config.mend else _CHANGE
                advice = change.format(port=radio.config.port, mend=radio.config.mend)
                radio.trouble("unfit", f"it stays closed: {radio.config.unfit}", advice)
                log.warning("unfit name=%s error=%s", radio.name, radio.config.unfit)
            elif not radio.config.law.region:
                advice = _CHOOSE.format(port=radio.config.port)
                radio.trouble(NO_REGION, "it sends nothing before one is chosen", advice)
        if not chosen:
            return
        try:
            self._disk = AirtimeDisk(self._path, self._host.node.id)
            state = self._disk.read()
        except (OSError, RequestError) as error:
            self._disk = None
            remedy = getattr(error, "remedy", "") or "without it nobody knows what was sent"
            for radio in chosen:
                radio.trouble("no ledger", f"the file airtime can not be read: {error}", remedy)
            return
        if self._disk.suspicion:
            text = f"{self._disk.suspicion}: the hour counts as spent, radios wait it out"
            self._tell("airtime past", Problem("airtime-suspect", text, _KEEP))
            log.warning("airtime suspect: %s", self._disk.suspicion)
            self._later = asyncio.get_running_loop().call_later(
                HOUR_US / 1e6, self._tell, "airtime past", None
            )
        self._ahead_us = self._disk.now() - _now()
        law = chosen[0].config.law
        image = AirtimeImage(law, self._disk.boot, self._ahead_us, state)
        self._host.node.radios_start(image, _now())
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(radio.run()) for radio in chosen]
        self._host.drain()

    async def stop(self) -> None:
        """Close the ports, and write the ledger's last state; the node has stopped."""
        if self._later is not None:
            self._later.cancel()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        if self._saving:
            await asyncio.wait(self._saving)
        if self._disk is not None and self._final is not None:
            try:
                self._disk.write(self._final)
            except RequestError as error:
                log.error("airtime not saved error=%s", error)

    # --- what the node wants ----------------------------------------------------------------------

    def send(self, sent: RadioSend) -> None:
        """Give a modem a frame; one that takes none now says so."""
        radio = self._radios[sent.link]
        try:
            if radio.port is None:
                raise UsageError("its port is closed")
            radio.port.transmit(sent.data)
        except UsageError:
            self._host.node.radio_not_sent(sent.link, DropReason.MODEM_GONE, False, _now())

    def save(self, event: AirtimeSave) -> None:
        """Make the ledger's state durable, in a thread."""
        if not event.number:
            self._final = event.state
            return
        saving = asyncio.get_running_loop().create_task(self._save(event))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)

    async def _save(self, event: AirtimeSave) -> None:
        assert self._disk is not None
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._disk.write, event.state)
        except RequestError as error:
            text = f"radios do not send: {error.text}"
            self._tell("airtime", Problem("airtime-unsaved", text, error.remedy))
            self._host.node.airtime_saved(event.number, False, _now())
        else:
            self._tell("airtime", None)
            self._tell("airtime witness", _unwitnessed(self._disk.unwitnessed))
            self._host.node.airtime_saved(event.number, True, _now())
        self._host.drain()

    def statuses(self, known: tuple[RadioStatus, ...]) -> tuple[RadioStatus, ...]:
        """Return each radio: what the engine knows of it, and what its port shows."""
        by_name = {status.name: status for status in known}
        return tuple(radio.status(by_name.get(name)) for name, radio in self._radios.items())

    # --- what the radios tell ---------------------------------------------------------------------

    def problem(self, name: str, problem: Problem | None) -> None:
        """Show or clear what is wrong with a radio."""
        self._tell(f"radio {name}", problem)

    def _tell(self, kind: str, problem: Problem | None) -> None:
        """Show or clear a problem, once: what is told is recorded, and most is looked at again."""
        if self._told.get(kind) != problem:
            self._told[kind] = problem
            self._host.problem(kind, problem)

    def told(self, radio: "_Radio", event: Event) -> None:
        """Carry an event of a modem into the node."""
        node, name = self._host.node, radio.name
        self._check_clock()
        match event:
            case Configured(plan):
                node.radio_up(radio.link(plan), _now())
            case Heard(frame, rssi_dbm, snr_db):
                node.radio_heard(name, frame, plausible(rssi_dbm), plausible(snr_db), _now())
            case Sent():
                node.radio_sent(name, _now())
            case NotSent(reason, maybe):
                node.radio_not_sent(name, reason, maybe, _now())
            case BoardAired(hour_us, up_us):
                node.radio_aired(name, hour_us, up_us, _now())
            case Dropped(reason):
                node.radio_dropped(name, reason, _now())
            case Broken(reason, _):
                node.radio_dropped(name, reason, _now())
                node.radio_down(name, _now())
        self._host.drain()

    def _check_clock(self) -> None:
        """Tell the node when the machine slept: its hour went on meanwhile."""
        ahead_us = AirtimeDisk.now() - _now()
        if ahead_us > self._ahead_us + CLOCK_STEP_US:
            self._ahead_us = ahead_us
            self._host.node.radios_clock(ahead_us, _now())


class _Radio:
    """One radio: what was configured, and what it is now."""

    def __init__(self, name: str, config: RadioConfig, owner: LoraRadios) -> None:
        self.name = name
        self.config = config
        self.port: SerialPort | None = None
        self._owner = owner
        self._state = "looking"
        self._kind = config.kind
        self._model: str | None = None
        self._firmware: str | None = None
        self._advice: str | None = None
        self._noise_dbm: float | None = None
        self._other = asyncio.Event()
        self._key: bytes | None = None
        self._plan = RadioPlan(config.frequency_hz, config.modulation, config.tx_dbm)

    async def run(self) -> None:
        """Keep it at work until cancelled."""
        await self._keyed()
        watching = asyncio.create_task(self._watch_key())
        try:
            await self._serve()
        finally:
            watching.cancel()

    async def _serve(self) -> None:
        while True:
            if self.config.kind == AUTO:
                self._kind = await self._identified()
            self._other.clear()
            self.port = SerialPort(self.config.port, self._make, self._told)
            serving = asyncio.create_task(self.port.run())
            try:
                await self._other.wait()
            finally:
                self.port = None
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving

    async def _keyed(self) -> None:
        """Read the key of its closed mesh; without it, it stays silent and says why."""
        while self.config.key_file is not None:
            try:
                self._key = read_key(self.config.key_file)
                return
            except RequestError as error:
                self.trouble("no key", f"{error}; it stays silent", error.remedy)
            await asyncio.sleep(KEY_AGAIN_S)

    async def _watch_key(self) -> None:
        """Tell what becomes of the file of the key in use: the next start is silent without it."""
        path, key = self.config.key_file, self._key
        while path is not None and key is not None:
            await asyncio.sleep(KEY_AGAIN_S)
            wrong = key_doubt(path, key)
            where = f"{self.name} ({self.config.port})"
            text = f"{where} goes on with the key that it has until meshd starts again: {wrong}"
            told = None if wrong is None else Problem("radio-key-doubt", text, wrong.remedy)
            self._owner.problem(f"{self.name} key", told)

    async def _identified(self) -> str:
        """Ask the port until a modem answers; return its kind."""
        pause_s = PAUSE_FIRST_S
        while True:
            found = await identify(Found(self.config.port))
            if found.kind:
                return found.kind
            state = "no modem found" if os.path.exists(self.config.port) else "port gone"
            broken = Broken(DropReason.MODEM_GONE, found.problem)
            self.trouble(state, f"{broken.cause}; {_AGAIN}", broken.remedy)
            await pause(self.config.port, pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _make(self) -> Modem:
        config = self.config
        return made(
            self._kind, self._plan, rssi_scale=config.rssi_scale, module_dbm=config.module_dbm
        )

    def link(self, plan: RadioPlan) -> RadioLink:
        """Return what the node needs to know of it; the modem holds this plan."""
        assert self.port is not None and self.port.modem is not None
        modem = self.port.modem
        return RadioLink(
            self.name,
            modem.kind,
            self._plan.frequency_hz,
            self._plan.modulation,
            min(plan.tx_dbm, self._plan.tx_dbm),
            tuple(modem.airtime_us(size) for size in range(modem.frame_max + 1)),
            self.config.antenna_dbi,
            modem.listens,
            self._key,
        )

    def trouble(self, state: str, text: str, advice: str) -> None:
        """Note why it does not work, for `status`."""
        advice = of_node(advice, self._owner.folder)
        self._state, self._advice = state, advice
        code = "radio-" + state.replace(" ", "-")
        where = f"{self.name} ({self.config.port})"
        self._owner.problem(self.name, Problem(code, f"{where}: {state}: {text}", advice))

    def _told(self, event: Event) -> None:
        match event:
            case Opened(model, firmware):
                self._model, self._firmware = model, firmware
            case Configured(plan):
                self._up(plan)
                self._owner.problem(self.name, None)
            case Noise(dbm):
                self._noise_dbm = plausible(dbm)
            case Advised(advice):
                self._advised(advice)
            case Broken(reason, advice):
                self._noise_dbm = None
                state = _STATES.get(reason, str(reason))
                self.trouble(state, f"{event.cause}; {_AGAIN}", event.remedy)
                self._advice = of_node(advice, self._owner.folder)
                if reason is DropReason.MODEM_OTHER_KIND and self.config.kind == AUTO:
                    self._other.set()
        self._owner.told(self, event)

    def _advised(self, advice: str) -> None:
        """Show what its owner should know though it works; "": nothing any more."""
        advice = of_node(advice, self._owner.folder)
        self._advice = advice or None
        cause, _, remedy = advice.partition(": ")
        where = f"{self.name} ({self.config.port})"
        problem = Problem("radio-advice", f"{where}: {cause}", remedy) if advice else None
        self._owner.problem(self.name, problem)

    def _up(self, plan: RadioPlan) -> None:
        """Note that it is set, and say once how."""
        if self._state != "up":
            (hertz, rate, _, _), region = self._plan, self.config.law.region
            log.info(
                "up name=%s port=%s kind=%s region=%s frequency_mhz=%g sf=%d bandwidth_khz=%g "
                "power_dbm=%d",
                self.name,
                self.config.port,
                self._kind,
                region,
                hertz / 1e6,
                rate.spreading_factor,
                rate.bandwidth_hz / 1e3,
                min(plan.tx_dbm, self._plan.tx_dbm),
            )
        self._state, self._advice = "up", None

    def status(self, known: RadioStatus | None) -> RadioStatus:
        """Return what there is to show."""
        config = self.config
        if known is None:
            known = RadioStatus(name=self.name, port="", state="", kind="")
        if config.usable:
            known = replace(
                known,
                region=config.law.region,
                frequency_mhz=config.frequency_hz / 1e6,
                spreading_factor=config.modulation.spreading_factor,
                bandwidth_khz=config.modulation.bandwidth_hz / 1e3,
                tx_dbm=config.tx_dbm if known.tx_dbm is None else known.tx_dbm,
            )
        return replace(
            known,
            port=config.port,
            state=self._state,
            kind=self._kind,
            model=self._model,
            firmware=self._firmware,
            advice=self._advice,
            noise_dbm=self._noise_dbm,
        )


def _unwitnessed(where: str) -> Problem | None:
    """Return what to say of a ledger that old files put back would deceive, in the same boot."""
    if not where:
        return None
    text = f"nothing outside of the state directory tells an old ledger of airtime: no {where}"
    remedy = "run meshd as a service, or let XDG_RUNTIME_DIR name a folder of this user in memory"
    return Problem("airtime-unwitnessed", text, remedy)


def _now() -> int:
    return time.monotonic_ns() // 1000


def of_node(advice: str, folder: str) -> str:
    """Return advice whose commands name the state directory, where it is not the usual one."""
    if folder in (default_state_dir(), SYSTEM_STATE_DIR):
        return advice
    return _COMMAND.sub(lambda found: f"{found[0]} --state-dir {quote(folder)}", advice)
