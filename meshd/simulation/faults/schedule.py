"""Puts the faults of a plan on a world's heap: each begins at its time, and ends at its time.

Enters: a world with its hosts, a plan. Leaves: calls of `faults.network`, `faults.attacks` and
hosts; observers are told of each begin and end. Faults overlap freely: a host boots when the last
fault that holds it off has ended, rules and delays add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from meshd.simulation.faults import attacks
from meshd.simulation.faults.network import Clog, Rule, Split, Trouble, uniform_split
from meshd.simulation.faults.radio import RadioTrouble
from meshd.simulation.plan.plan import POWER_CUTS, Fault, Plan, means
from meshd.simulation.schedule import SECOND

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnHost, AnyHost, AnyWorld
    from meshd.simulation.host import Host
    from meshd.simulation.world import World

End = Callable[[], None]
Begin = Callable[["World", Fault, "list[Host]"], End]
Cut = Callable[["AnyWorld[AnyHost]", Fault, "Sequence[AnyHost]"], End]

_CHURN_MIN_US = SECOND


def apply_faults(world: World, plan: Plan) -> None:
    """Schedule all faults of a plan, before the world begins."""
    for fault in plan.faults:
        hosts = _hosts(world, fault.nodes)
        begin = partial(_BEGINS[fault.kind], world, fault, hosts)
        _schedule(world, fault, _text(fault, hosts), begin)


def apply_power_cuts(world: AnyWorld[AnyHost], plan: Plan) -> None:
    """Schedule the faults of a plan that has no others, in a world of any protocol."""
    for fault in plan.faults:
        hosts = _hosts(world, fault.nodes)
        begin = partial(_CUTS[fault.kind], world, fault, hosts)
        _schedule(world, fault, _text(fault, hosts), begin)


def _schedule(world: AnyWorld[AnyHost], fault: Fault, text: str, begin: Callable[[], End]) -> None:
    world.at(round(fault.at_s * SECOND), _begin, world, fault, text, begin)


def _begin(world: AnyWorld[AnyHost], fault: Fault, text: str, begin: Callable[[], End]) -> None:
    for observer in world.observers:
        observer.fault(fault.kind, text, begins=True)
    world.at(world.now + round(fault.for_s * SECOND), _end, world, fault, text, begin())


def _end(world: AnyWorld[AnyHost], fault: Fault, text: str, end: End) -> None:
    end()
    for observer in world.observers:
        observer.fault(fault.kind, text, begins=False)


def _text(fault: Fault, hosts: Sequence[AnyHost]) -> str:
    said = [fault.nodes if len(hosts) != 1 else hosts[0].name]
    said += [word for word in (fault.mode, fault.behaviour) if word]
    said += [f"disk {fault.disk}"] if fault.kind in POWER_CUTS and fault.disk != "kept" else []
    return " ".join(said)


def _hosts(world: AnyWorld[AnHost], pattern: str) -> list[AnHost]:
    return [host for host in world.hosts if means(pattern, host.name)]


def _numbers(hosts: Sequence[Host]) -> frozenset[int]:
    return frozenset(host.number for host in hosts)


# --- between hosts --------------------------------------------------------------------------------


def _network(make: Callable[[World, Fault, list[Host]], Rule]) -> Begin:
    def begin(world: World, fault: Fault, hosts: list[Host]) -> End:
        rule = make(world, fault, hosts)
        world.faults.begin(rule)
        return lambda: world.faults.end(rule)

    return begin


def _split(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    if fault.mode == "uniform" or (not fault.mode and len(hosts) == len(world.hosts)):
        return uniform_split(_numbers(world.hosts), fault.share, world.random("partitions"))
    return Split(_numbers(hosts), one_way=fault.mode == "one-way")


def _clog(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    others = _numbers(_hosts(world, fault.other))
    return Clog(_numbers(hosts), others, round(fault.delay_s * SECOND))


def _duplicate(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    return Trouble(_numbers(hosts), duplicate=fault.share)


def _reorder(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    delay_us = round(fault.delay_s * SECOND)
    return Trouble(_numbers(hosts), reorder=fault.share, reorder_us=delay_us)


def _corrupt(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    return Trouble(_numbers(hosts), corrupt=fault.share)


def _lose(world: World, fault: Fault, hosts: list[Host]) -> Rule:
    return Trouble(_numbers(hosts), lose=fault.share)


# --- LoRa radios ----------------------------------------------------------------------------------


def _radio(world: World, fault: Fault, hosts: list[Host]) -> End:
    trouble = RadioTrouble(fault.mode or fault.kind, fault.share)
    radios = [host.lora for host in hosts if host.lora is not None]
    for radio in radios:
        radio.begin(trouble)

    def end() -> None:
        for radio in radios:
            radio.end(trouble)

    return end


# --- on hosts -------------------------------------------------------------------------------------


def _crash(world: AnyWorld[AnyHost], fault: Fault, hosts: Sequence[AnyHost]) -> End:
    for host in hosts:
        host.power.off("crash")

    def end() -> None:
        for host in hosts:
            host.power.on("crash", fault.disk)

    return end


def _slow_disk(world: World, fault: Fault, hosts: list[Host]) -> End:
    delay_us = round(fault.delay_s * SECOND)
    for host in hosts:
        host.disk.slower_us += delay_us

    def end() -> None:
        for host in hosts:
            host.disk.slower_us -= delay_us

    return end


def _failing_disk(world: World, fault: Fault, hosts: list[Host]) -> End:
    for host in hosts:
        host.disk.failing.append(fault.share)

    def end() -> None:
        for host in hosts:
            host.disk.failing.remove(fault.share)

    return end


def _clock(world: World, fault: Fault, hosts: list[Host]) -> End:
    """Let wall clocks jump, and jump back in the end; one that knows no time learns a wrong one."""
    known = [(host, host.clock.wall_error_us) for host in hosts]
    for host, error_us in known:
        host.set_wall_clock((error_us or 0) + round(fault.delay_s * SECOND))

    def end() -> None:
        for host, error_us in known:
            host.set_wall_clock(error_us)

    return end


def _hostile(world: World, fault: Fault, hosts: list[Host]) -> End:
    begun = [attacks.begin(world, host, fault) for host in hosts]

    def end() -> None:
        for attack in begun:
            attack.end()

    return end


class _Churn:
    """One host at a time is off, each time another one."""

    def __init__(self, world: AnyWorld[AnyHost], fault: Fault, hosts: Sequence[AnyHost]) -> None:
        self._world = world
        self._hosts = hosts
        self._disk = fault.disk
        self._every_us = max(round(fault.delay_s * SECOND), _CHURN_MIN_US)
        self._off: AnyHost | None = None
        self._over = False
        self._turn()

    def _turn(self) -> None:
        if self._over or not self._hosts:
            return
        others = [host for host in self._hosts if host is not self._off]
        self._release()
        self._off = self._world.random("churn").choice(others or self._hosts)
        self._off.power.off("churn")
        self._world.at(self._world.now + self._every_us, self._turn)

    def _release(self) -> None:
        if self._off is not None:
            self._off.power.on("churn", self._disk)
            self._off = None

    def end(self) -> None:
        self._over = True
        self._release()


def _churn(world: AnyWorld[AnyHost], fault: Fault, hosts: Sequence[AnyHost]) -> End:
    return _Churn(world, fault, hosts).end


_CUTS: dict[str, Cut] = {"crash": _crash, "churn": _churn}
_BEGINS: dict[str, Begin] = {
    **_CUTS,
    "partition": _network(_split),
    "clog": _network(_clog),
    "duplicate": _network(_duplicate),
    "reorder": _network(_reorder),
    "corrupt": _network(_corrupt),
    "lose": _network(_lose),
    "slow-disk": _slow_disk,
    "failing-disk": _failing_disk,
    "clock": _clock,
    "jam": _radio,
    "modem": _radio,
    "hostile": _hostile,
}
