"""radio test: a few frames by hand, within the law, and what is heard meanwhile."""

import asyncio
import logging
from argparse import ArgumentParser, Namespace
from typing import Any

from meshd.cli.client import state_dir
from meshd.cli.output import argument, common, print_json, say, seconds, talk
from meshd.cli.regions import law_named, no_region
from meshd.config.radio_plan import PlanError, radio_config
from meshd.config.radios import bandwidth_hz
from meshd.config.values import EBYTE_DBM, USUAL_RATE
from meshd.core.airtime import Modulation
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.law import SubBand
from meshd.link.ledger import Wait
from meshd.radio.ebyte import UNNAMED, Ebyte
from meshd.radio.kinds import KINDS
from meshd.radio.meshtastic.modem import Meshtastic
from meshd.radio.modem import (
    Advised,
    Broken,
    Configured,
    Dropped,
    Event,
    Heard,
    Noise,
    NotSent,
    Opened,
    RadioPlan,
    Sent,
)
from meshd.runtime.airtime_file import AIRTIME_FILE, AirtimeFile
from meshd.runtime.serial.trial import RadioTest, Trial
from meshd.runtime.statedir import open_state_dir

COUNT_MAX = 20
POWER_DBM = 10
_HELP = "meshd radio test --help; docs/radios.md shows an example"
_LAW = "see docs/regions.md for what may be sent where"


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `meshd radio test`."""
    common(parser)
    parser.add_argument("port", metavar="PORT", help="as `meshd radio scan` tells it")
    parser.add_argument("kind", metavar="KIND", choices=tuple(KINDS), help=", ".join(KINDS))
    parser.add_argument(
        "--region",
        metavar="NAME",
        help="whose law holds here, as EU868; needed to send, and then a mesh of this region "
        "gives frequency, spreading factor and bandwidth",
    )
    parser.add_argument(
        "--frequency", type=argument(_megahertz), metavar="MHZ", help="as 869.525; or --region"
    )
    parser.add_argument(
        "--sf", type=int, metavar="N", help="spreading factor; default 9, or as the region needs"
    )
    parser.add_argument(
        "--bandwidth", type=argument(_kilohertz), metavar="KHZ", help="as 125, which is usual"
    )
    parser.add_argument(
        "--power",
        type=int,
        metavar="N",
        help=f"in dBm; default {POWER_DBM}, or for a Meshtastic board that of a mesh in the region",
    )
    _add_number(parser, "--count", 0, "how many frames to send, 0 only listens")
    parser.add_argument(
        "--module-dbm",
        type=int,
        choices=EBYTE_DBM,
        help="Ebyte only, and needed there: the number after the T in its name",
    )
    parser.add_argument(
        "--listen",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to listen, after sending; default 10",
    )


def _add_number(parser: ArgumentParser, name: str, default: int, about: str) -> None:
    about = f"{about}; default {default}"
    parser.add_argument(name, type=int, default=default, metavar="N", help=about)


def _megahertz(text: str) -> int:
    try:
        hz = round(float(text) * 1_000_000)
    except (ValueError, OverflowError):
        hz = 0
    if not 100_000_000 <= hz <= 3_000_000_000:
        raise ValueError(f'"{text}" is no frequency in MHz, as 869.525')
    return hz


def _kilohertz(text: str) -> float:
    try:
        khz = float(text)
        round(khz)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is no bandwidth in kHz, as 125 or 62.5') from None
    return khz


def run_test(options: Namespace) -> int:
    """Carry out `meshd radio test`."""
    if not 0 <= options.count <= COUNT_MAX:
        raise RequestError(f"--count is at most {COUNT_MAX}", code=Exit.USAGE, remedy=_HELP)
    if options.count and not options.region:
        raise no_region("nothing is sent before a region is chosen")
    if options.kind == Ebyte.kind and options.module_dbm is None:
        cause, _, _ = UNNAMED.partition(": ")
        what = "add --module-dbm 22 or --module-dbm 30, the number after the T in its name"
        raise RequestError(cause, code=Exit.USAGE, remedy=what)
    plan = _plan(options)
    band = _band(options, plan) if options.count else None
    trial = Trial(
        options.port,
        options.kind,
        plan,
        band,
        options.count,
        options.listen,
        module_dbm=options.module_dbm,
    )
    return _with_ledger(options, trial) if band else _carry_out(options, trial, None)


def _plan(options: Namespace) -> RadioPlan:
    """Return how the radio is set: as said, the rest as a mesh of the region is. Raises:
    RequestError."""
    frequency_hz, usual, tx_dbm = options.frequency, USUAL_RATE, POWER_DBM
    if options.region:
        table = {"port": options.port, "region": law_named(options.region).region}
        if options.kind == Ebyte.kind:  # which does not have the usual frequency of each region
            table |= {"kind": options.kind, "module_dbm": options.module_dbm}
        try:
            config = radio_config(table)
        except PlanError as error:
            raise RequestError(error.text, code=Exit.USAGE, remedy=_LAW) from error
        frequency_hz, usual = frequency_hz or config.frequency_hz, config.modulation
        if options.kind == Meshtastic.kind:  # which is set as the mesh is, and keeps that
            tx_dbm = config.tx_dbm
    if not frequency_hz:
        what = "add --frequency MHZ, or --region NAME for the usual one of the region"
        raise RequestError("on which frequency?", code=Exit.USAGE, remedy=what)
    factor = usual.spreading_factor if options.sf is None else options.sf
    khz = usual.bandwidth_hz / 1000 if options.bandwidth is None else options.bandwidth
    try:
        modulation = Modulation(factor, bandwidth_hz(options.kind, khz)).checked()
    except UsageError as error:
        raise RequestError(str(error), code=Exit.USAGE, remedy=_HELP) from error
    return RadioPlan(frequency_hz, modulation, tx_dbm if options.power is None else options.power)


def _band(options: Namespace, plan: RadioPlan) -> SubBand:
    """Return the rule to send under. Raises: RequestError."""
    wide_hz, listens = plan.modulation.bandwidth_hz, KINDS[options.kind].listens
    law = law_named(options.region)
    try:
        return law.judge(plan.frequency_hz, wide_hz, plan.tx_dbm, listens=listens)
    except UsageError as error:
        raise RequestError(str(error), code=Exit.USAGE, remedy=_LAW) from error


def _with_ledger(options: Namespace, trial: Trial) -> Exit:
    """Hold the state directory: what is sent here counts for the node."""
    state = open_state_dir(state_dir(options.state_dir))
    try:
        node = state.identity().node
        airtime = AirtimeFile(state.file(AIRTIME_FILE), law_named(options.region), node)
        if airtime.suspicion and not options.json:
            talk(f"{airtime.suspicion}: the hour counts as spent")
        try:
            return _carry_out(options, trial, airtime)
        finally:
            airtime.close()
    finally:
        state.close()


def _carry_out(options: Namespace, trial: Trial, airtime: AirtimeFile | None) -> Exit:
    logging.getLogger("meshd").addHandler(logging.NullHandler())  # we tell it ourselves
    if not options.json:
        talk(f"opening {trial.port} as {trial.kind}")
    teller = _Json() if options.json else _Person(options, trial)
    test = RadioTest(trial, airtime, teller.tell)
    asyncio.run(test.run())
    if test.broken is not None:
        raise RequestError(
            f"{trial.port}: {test.broken.cause}", code=Exit.HARDWARE, remedy=test.broken.remedy
        )
    teller.end(test)
    if test.held is not None:
        return Exit.TEMPORARY
    if not test.heard and not trial.count and trial.listen_s:
        raise RequestError(
            f"heard nothing in {trial.listen_s:g} s at {_channel(trial.plan)}",
            code=Exit.TIMEOUT,
            remedy="let the other side send meanwhile, a radio of the same kind, set to the same "
            "three figures; are both antennas on? Try from nearer, or --listen longer",
        )
    return Exit.OK


class _Json:
    """Tells each event as an object on a line of its own."""

    def tell(self, event: Event | Wait) -> None:
        print_json("radio.test", {"event": type(event).__name__.lower(), **_fields(event)})

    def end(self, test: RadioTest) -> None:
        print_json("radio.test", {"event": "end", "sent": test.sent, "heard": test.heard})


class _Person:
    """Tells what happens in words, and what it is waiting for."""

    def __init__(self, options: Namespace, trial: Trial) -> None:
        self._region = law_named(options.region).region if options.region else ""
        self._trial = trial
        self._begun = False
        self._tried = 0
        self._garbage = 0

    def tell(self, event: Event | Wait) -> None:
        if isinstance(event, Dropped):
            self._garbage += 1
        elif isinstance(event, Heard):
            say(_heard(event))
        elif words := self._words(event):
            talk(words)

    def end(self, test: RadioTest) -> None:
        if self._garbage:
            talk(f"{self._garbage} times bytes came from the port that are no frame")
        if self._trial.count:
            talk(f"sent {test.sent} of {self._trial.count}, heard {test.heard}")
        elif test.heard:
            talk(f"heard {test.heard}")

    def _words(self, event: Event | Wait) -> str:
        """Say what happened in a line; "" for what is told at the end."""
        match event:
            case Opened(model, firmware):
                return f"{model}, firmware {firmware}" if firmware else model
            case Configured(plan):
                self._begun = True
                return self._set(plan)
            case Broken(_, advice):
                return f"{advice} (it is tried again)" if self._begun else ""
            case Sent(told):
                return self._next("sent" if told else "sent, as far as can be reckoned")
            case NotSent(reason, maybe):
                perhaps = ", but perhaps it was" if maybe else ""
                return self._next(f"not sent ({reason}{perhaps}; see docs/drops.md)")
            case Advised(advice):
                return advice
            case Noise(dbm):
                return f"noise {dbm:g} dBm"
            case Wait(reason, _):
                return f"not sent, for the law: {reason}; see docs/drops.md"
            case _:
                return ""

    def _set(self, plan: RadioPlan) -> str:
        trial = self._trial
        said = f"set: {_channel(plan)}, {plan.tx_dbm} dBm"
        if trial.count:
            return f"{said}, by the law of {self._region}; sending {trial.count}"
        hertz, (factor, wide_hz, _, _), _, _ = plan
        other = f"--frequency {hertz / 1e6:g} --sf {factor} --bandwidth {wide_hz / 1000:g}"
        region = self._region or "NAME"
        return (
            f"{said}; listening for {trial.listen_s:g} s; on the other machine:\n"
            f"  meshd radio test PORT {trial.kind} --region {region} {other} --count 3"
        )

    def _next(self, said: str) -> str:
        """Count a frame that was tried; after the last one say what goes on."""
        self._tried += 1
        said = f"frame {self._tried} of {self._trial.count}: {said}"
        if self._tried == self._trial.count and self._trial.listen_s:
            said += f"; listening for {self._trial.listen_s:g} s more"
        return said


def _channel(plan: RadioPlan) -> str:
    modulation = plan.modulation
    return (
        f"{plan.frequency_hz / 1e6:g} MHz, SF{modulation.spreading_factor}, "
        f"{modulation.bandwidth_hz / 1000:g} kHz"
    )


def _heard(event: Heard) -> str:
    frame, rssi_dbm, snr_db = event
    rssi = "" if rssi_dbm is None else f", {rssi_dbm:g} dBm"
    snr = "" if snr_db is None else f", SNR {snr_db:g} dB"
    return f"heard {len(frame)} bytes{rssi}{snr}: {frame[:40]!r}"


def _fields(event: Any) -> dict[str, Any]:
    """Return the fields of an event as JSON takes them."""
    return {
        name: value.hex()
        if isinstance(value, bytes)
        else _fields(value)
        if hasattr(value, "_asdict")
        else value
        for name, value in event._asdict().items()
    }
