"""Finds serial ports, and asks each which modem is on it.

Enters: paths, or nothing for all USB ports. Leaves: a `Found` for each port: the modem, or why
there is none and what to do next. Nothing is set and nothing goes on the air: modems are only asked
who they are, in the order of `radio/kinds.py`, and once more for boards that restart when their
port is opened. Ports that are no USB ports may belong to a console or a GPS: they are asked when
named.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from meshd.core.airtime import Modulation
from meshd.radio.kinds import KINDS
from meshd.radio.modem import Event, Modem, Opened, RadioPlan
from meshd.radio.strangers import looks_like
from meshd.runtime.serial.device import LISTS, PortError
from meshd.runtime.serial.pins import pins_beside
from meshd.runtime.serial.port import Line, closed, opened

_BY_ID = "/dev/serial/by-id"

_NO_PLAN = RadioPlan(868_100_000, Modulation(), 0)
"""Nothing of it is set: modems are only asked."""

_RESTART = ("rnode", "meshcore", "meshtastic")
"""Boards that may restart when their port is opened: they are asked once more at the end."""

_ASK_MAX_S = 4.0
_OTHERS = "`meshd radio scan` without --port asks all that there are"
_NOTHING = (
    "nothing answers: unplug it, plug it in again and scan once more, or see docs/radios.md for "
    "its firmware and wiring"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A port and what is on it. `kind` is "" when no modem answered; then `problem` says why.

    `stable` is a name of the port that stays when radios are plugged in in another order.
    """

    port: str
    about: str = ""
    stable: str = ""
    kind: str = ""
    model: str = ""
    firmware: str = ""
    baud: int = 0
    problem: str = ""


def ports(paths: Sequence[str]) -> tuple[list[Found], list[Found]]:
    """Return the ports to ask, and those that there are beside them; a port named is asked."""
    from serial.tools import list_ports

    known = {entry.device: entry for entry in list_ports.comports()}
    if paths:
        return [_found(path, known.get(os.path.realpath(path))) for path in paths], []
    asked: list[Found] = []
    others: list[Found] = []
    for path in sorted(known):
        found = _found(path, known[path])
        (asked if known[path].vid is not None else others).append(found)
    return asked, others


def _found(path: str, entry: Any) -> Found:
    return Found(path, _about(entry), _stable(path))


def _stable(path: str) -> str:
    """Return the link to a port that udev names after the device itself, "" when there is none."""
    try:
        links = sorted(entry.path for entry in os.scandir(_BY_ID))
    except OSError:
        return ""
    device = os.path.realpath(path)
    return next((link for link in links if os.path.realpath(link) == device), "")


def _about(entry: Any) -> str:
    """Return what the USB device says of itself."""
    if entry is None or entry.vid is None:
        return ""
    name = " ".join(part for part in (entry.manufacturer, entry.product) if part)
    return f"{name} [{entry.vid:04x}:{entry.pid:04x}]".strip()


async def scan(asked: Sequence[Found], told: Callable[[Found], None]) -> list[Found]:
    """Ask all ports at the same time; `told` gets each as soon as it is known."""

    async def one(found: Found) -> Found:
        answer = await identify(found)
        told(answer)
        return answer

    return list(await asyncio.gather(*(one(found) for found in asked)))


async def identify(found: Found, *, first: str = "") -> Found:
    """Ask one port, for the kind `first` before all others; never raises for what is on it."""
    heard, sample = 0, b""
    order = _order(found.port)
    order = [kind for kind in order if kind.kind == first][:1] + order
    for baud, kinds in groupby(order, lambda kind: kind.baud):
        try:
            port = await opened(found.port, baud)
        except PortError as error:
            return replace(found, problem=error.advice.replace(LISTS, _OTHERS))
        try:
            for kind in kinds:
                answer, line = await _ask(found.port, port, kind(_NO_PLAN))
                if answer is not None:
                    model, firmware = answer
                    return replace(found, kind=kind.kind, model=model, firmware=firmware, baud=baud)
                heard += line.heard
                sample += line.sample
        finally:
            await closed(port)
    return replace(found, problem=_strange(heard, sample) if heard else _NOTHING)


def _order(port: str) -> list[type[Modem]]:
    """Return who asks on a port.

    A module with mode pins is a pipe to the air while they are low: it sends whatever is written.
    Where there are such pins only those ask who move them first.
    """
    if pins_beside(port) is not None:
        return [kind for kind in KINDS.values() if kind.needs_pins]
    without_pins = [kind for kind in KINDS.values() if not kind.needs_pins]
    return [*without_pins, *(KINDS[kind] for kind in _RESTART)]


def _strange(heard: int, sample: bytes) -> str:
    """Say what may be there that is no modem."""
    like = looks_like(sample)
    guess = f"it looks like {like}" if like else "it is no modem that meshd knows"
    return (
        f"something speaks here ({heard} bytes came): {guess}; if it is a radio, does it run the "
        "firmware that docs/radios.md names?"
    )


async def _ask(path: str, port: Any, modem: Modem) -> tuple[Opened | None, Line]:
    """Let one dialect ask; return what it found, and the line on which it asked."""
    answers: list[Opened] = []

    def tell(event: Event) -> None:
        if isinstance(event, Opened):
            answers.append(event)
            line.leave()

    line = Line(port, modem, tell, pins_beside(path))
    try:
        await asyncio.wait_for(line.serve(modem.ask), _ASK_MAX_S)
    except TimeoutError:
        pass  # A dialect that did not end by itself found nothing.
    return (answers[0] if answers else None), line
