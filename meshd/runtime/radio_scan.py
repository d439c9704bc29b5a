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
from meshd.runtime.serial_device import PortError
from meshd.runtime.serial_port import Line, closed, opened

_NO_PLAN = RadioPlan(868_100_000, Modulation(), 0)
"""Nothing of it is set: modems are only asked."""

_ROUNDS = 2
_ASK_MAX_S = 15.0


@dataclass(frozen=True, slots=True)
class Found:
    """A port and what is on it. `kind` is "" when no modem answered; then `problem` says why."""

    port: str
    about: str = ""
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
        return [Found(path, _about(known.get(os.path.realpath(path)))) for path in paths], []
    asked: list[Found] = []
    others: list[Found] = []
    for path in sorted(known):
        found = Found(path, _about(known[path]))
        (asked if known[path].vid is not None else others).append(found)
    return asked, others


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


async def identify(found: Found) -> Found:
    """Ask one port; never raises for what is on it."""
    heard = 0
    for _ in range(_ROUNDS):
        for baud, kinds in groupby(KINDS.values(), lambda kind: kind.baud):
            try:
                port = await opened(found.port, baud)
            except PortError as error:
                return replace(found, problem=str(error))
            try:
                for kind in kinds:
                    answer, more = await _ask(port, kind(_NO_PLAN))
                    heard += more
                    if answer is not None:
                        return replace(
                            found,
                            kind=kind.kind,
                            model=answer.model,
                            firmware=answer.firmware,
                            baud=baud,
                        )
            finally:
                await closed(port)
    if heard:
        return replace(
            found,
            problem=f"something speaks here ({heard} bytes came), but it is no modem that meshd "
            "knows; does it run the firmware that docs/radios.md names?",
        )
    return replace(
        found,
        problem="nothing answers; unplug it, plug it in again and scan once more, or see "
        "docs/radios.md for its firmware and wiring",
    )


async def _ask(port: Any, modem: Modem) -> tuple[Opened | None, int]:
    """Let one dialect ask; return what it found, and how many bytes came."""
    answers: list[Opened] = []

    def tell(event: Event) -> None:
        if isinstance(event, Opened):
            answers.append(event)
            line.leave()

    line = Line(port, modem, tell)
    try:
        await asyncio.wait_for(line.serve(modem.ask), _ASK_MAX_S)
    except TimeoutError:
        pass  # A dialect that did not end by itself found nothing.
    return (answers[0] if answers else None), line.heard
