"""radio test: a few frames by hand, within the law, and what is heard meanwhile."""

import asyncio
import logging
from argparse import ArgumentParser, Namespace
from typing import Any

from meshd.cli.client import state_dir
from meshd.cli.output import argument, common, print_json, say, seconds, talk
from meshd.config.regions import law_of
from meshd.config.values import EBYTE_DBM
from meshd.core.airtime import Modulation
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.law import SubBand
from meshd.link.ledger import Wait
from meshd.radio.ebyte import UNNAMED, Ebyte
from meshd.radio.kinds import KINDS
from meshd.radio.modem import Broken, Configured, Event, Heard, Noise, NotSent, RadioPlan, Sent
from meshd.runtime.airtime_file import AIRTIME_FILE, AirtimeFile
from meshd.runtime.radio_test import RadioTest, Trial
from meshd.runtime.statedir import open_state_dir

COUNT_MAX = 20


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `meshd radio test`."""
    common(parser)
    parser.add_argument("port", metavar="PORT", help="as `meshd radio scan` tells it")
    parser.add_argument("kind", metavar="KIND", choices=tuple(KINDS), help=", ".join(KINDS))
    parser.add_argument(
        "--frequency", required=True, type=argument(_megahertz), metavar="MHZ", help="as 869.525"
    )
    parser.add_argument("--region", metavar="NAME", help="whose law holds here; needed to send")
    _add_number(parser, "--sf", 9, "spreading factor")
    parser.add_argument(
        "--bandwidth", type=argument(_kilohertz), default=125_000, metavar="KHZ", help="default 125"
    )
    _add_number(parser, "--power", 10, "in dBm")
    _add_number(parser, "--count", 0, "how many frames to send")
    parser.add_argument(
        "--module-dbm",
        type=int,
        choices=EBYTE_DBM,
        help="Ebyte only, and needed there: the number after the T in its name",
    )
    parser.add_argument(
        "--listen", type=seconds, default=10.0, metavar="SECONDS", help="and then; default 10"
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


def _kilohertz(text: str) -> int:
    try:
        return round(float(text) * 1_000)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is no bandwidth in kHz, as 125 or 62.5') from None


def run_test(options: Namespace) -> int:
    """Carry out `meshd radio test`."""
    try:
        modulation = Modulation(options.sf, options.bandwidth).checked()
        plan = RadioPlan(options.frequency, modulation, options.power)
        band = _band(options, plan) if options.count else None
    except UsageError as error:
        raise RequestError(
            str(error), code=Exit.USAGE, remedy="see docs/regions.md for what may be sent where"
        ) from error
    if not 0 <= options.count <= COUNT_MAX:
        raise RequestError(f"--count is at most {COUNT_MAX}", code=Exit.USAGE)
    if options.kind == Ebyte.kind and options.module_dbm is None:
        raise RequestError(
            UNNAMED, code=Exit.USAGE, remedy="add --module-dbm 22 or --module-dbm 30"
        )
    trial = Trial(
        *(options.port, options.kind, plan, band, options.count, options.listen),
        module_dbm=options.module_dbm,
    )
    return _with_ledger(options, trial) if band else _carry_out(options, trial, None)


def _band(options: Namespace, plan: RadioPlan) -> SubBand:
    """Return the rule to send under. Raises: UsageError."""
    if not options.region:
        raise UsageError("nothing is sent before a region is chosen: give --region")
    bandwidth_hz = plan.modulation.bandwidth_hz
    listens = KINDS[options.kind].listens
    law = law_of(options.region)
    return law.judge(plan.frequency_hz, bandwidth_hz, plan.tx_dbm, listens=listens)


def _with_ledger(options: Namespace, trial: Trial) -> Exit:
    """Hold the state directory: what is sent here counts for the node."""
    state = open_state_dir(state_dir(options.state_dir))
    try:
        node = state.identity().node
        airtime = AirtimeFile(state.file(AIRTIME_FILE), law_of(options.region), node)
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

    def tell(event: Event | Wait) -> None:
        if options.json:
            print_json("radio.test", {"event": type(event).__name__.lower(), **_fields(event)})
        else:
            (say if isinstance(event, Heard) else talk)(_words(event))

    test = RadioTest(trial, airtime, tell)
    worked = asyncio.run(test.run())
    if test.held is not None:
        return Exit.TEMPORARY
    return Exit.OK if worked else Exit.HARDWARE


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


def _words(event: Event | Wait) -> str:
    """Say what happened in a line."""
    match event:
        case Configured(plan):
            return f"set: {plan.frequency_hz / 1e6:g} MHz, {plan.tx_dbm} dBm; listening"
        case Heard(frame, rssi_dbm, snr_db):
            rssi = "" if rssi_dbm is None else f", {rssi_dbm:g} dBm"
            snr = "" if snr_db is None else f", SNR {snr_db:g} dB"
            return f"heard {len(frame)} bytes{rssi}{snr}: {frame[:40]!r}"
        case Sent(told):
            return "sent" if told else "sent, as far as can be reckoned"
        case NotSent(reason, maybe):
            return f"not sent ({reason})" + (", but perhaps it was" if maybe else "")
        case Noise(dbm):
            return f"noise {dbm:g} dBm"
        case Broken(_, advice):
            return advice
        case Wait(reason, _):
            return f"not sent, for the law: {reason}; see docs/drops.md"
        case _:
            return " ".join(str(part) for part in event)
