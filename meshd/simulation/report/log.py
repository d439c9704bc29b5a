"""Write what happens in a world as text: one line an event, a legend on top.

Enters: what an `Observer` sees. Leaves: lines, the same for the same seed, in columns that `grep`
and `cut` can take apart. Must not know: where the lines go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshd.core.ids import address_text
from meshd.simulation.observer import Observer, Violation
from meshd.simulation.plan.plan import Plan

if TYPE_CHECKING:
    from meshd.core.events import Notice, Reply
    from meshd.simulation.anyworld import AnyHost, AnyWorld
    from meshd.simulation.host import Host

SYMBOLS = {
    "^": "a device boots",
    "_": "a device loses its power",
    "{": "a fault begins",
    "}": "a fault ends",
    "?": "somebody asks a device for something",
    "=": "the device answers",
    "-": "the device refuses, and why",
    "~": "a route is set or lost",
    ">": "a LoRa radio sends a frame: what for, bytes, milliseconds",
    "*": "a device tells something: a note arrived, a problem",
    "!": "a rule is broken; these lines stand at the end",
}
_WORLD = "."
_SHOWN = 40


def legend(plan: Plan, seed: int) -> str:
    """Return the head of a log."""
    lines = [f"# {plan.name}, seed {seed}: virtual time, symbol, device, what"]
    lines += [f"# {symbol}  {about}" for symbol, about in SYMBOLS.items()]
    return "\n".join(lines) + "\n"


def clock(time_us: int) -> str:
    """Return virtual time as hours, minutes, seconds and milliseconds."""
    minutes, rest_us = divmod(time_us, 60_000_000)
    whole, rest_us = divmod(rest_us, 1_000_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}.{rest_us // 1000:03}"


def broken(violations: Sequence[Violation]) -> str:
    """Return the end of a log: the rules that did not hold, by their time."""
    return "".join(
        f"{clock(item.at_us)} ! {item.host or _WORLD} {item.checker}: {item.text}\n"
        for item in violations
    )


class Log(Observer):
    """The writer of one log."""

    def __init__(self, world: AnyWorld[AnyHost], write: Callable[[str], object]) -> None:
        self._world = world
        self._write = write
        self._width = max((len(host.name) for host in world.hosts), default=1)
        for host in world.hosts:
            if host.running:
                self.started(host)

    def line(self, symbol: str, name: str, text: str) -> None:
        """Write one event of now."""
        self._write(
            f"{clock(self._world.now)} {symbol} {name:<{self._width}} {text}".rstrip() + "\n"
        )

    def started(self, host: AnyHost) -> None:
        self.line("^", host.name, "on")

    def crashed(self, host: AnyHost) -> None:
        self.line("_", host.name, "off")

    def fault(self, kind: str, text: str, *, begins: bool) -> None:
        self.line("{" if begins else "}", _WORLD, f"{kind}: {text}")

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        said = " ".join(f"{key}={_short(value)}" for key, value in args.items())
        self.line("?", host.name, f"#{ticket} {verb} {said}")

    def reply(self, host: Host, reply: Reply) -> None:
        if reply.value is None:
            self.line("-", host.name, f"#{reply.ticket} {reply.error}")
            return
        said = " ".join(f"{key}={_short(value)}" for key, value in reply.value.items())
        self.line("=", host.name, f"#{reply.ticket} {said}")

    def notice(self, host: Host, notice: Notice) -> None:
        said = " ".join(f"{key}={_short(value)}" for key, value in notice.fields.items())
        self.line("*", host.name, f"{notice.kind} {said}")

    def route_changed(self, host: Host, address: bytes) -> None:
        hop = host.routes.get(address)
        way = f"by {_name(host, hop.next_hop)} on {hop.link}" if hop else "lost"
        self.line("~", host.name, f"to {_name(host, address)} {way}")

    def frame_sent(self, name: str, purpose: str, size: int, airtime_us: int) -> None:
        self.line(">", name, f"{purpose} {size} B {airtime_us / 1000:.0f} ms")


def _name(host: Host, address: bytes) -> str:
    found = host.world.find(address)
    return found.name if found is not None else address_text(address)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
