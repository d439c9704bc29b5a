"""What goes wrong between hosts because a plan says so, whatever medium they use.

Enters: rules that begin and end, and every frame before it arrives. Leaves: whether it does, how
often, how much later, and whether it is still what was sent. Several rules at once compose.
Must not know: packets, media. Media lose frames by physics; this is what comes on top.

Corruption stands for bad memory, drivers and serial lines: a radio's checksum would catch the rest.
Of a stream it may change a byte too, because TCP's sum of 16 bits misses some; the layer above must
notice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from meshd.simulation.anyworld import AnyHost
    from meshd.simulation.host import Host

_FLIPS_MAX = 4
_STREAM_SHARE = 0.001
"""Of the writes to a stream whose datagrams would all be corrupt, so many are."""


class Placed(Protocol):
    """A port, or the place of a radio: where frames leave and arrive."""

    @property
    def host(self) -> AnyHost:
        """Return whose it is."""


class Passage(NamedTuple):
    """One arrival of a frame: how much later than the medium says, and whether bits are flipped."""

    delay_us: int
    corrupt: bool


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Hosts of `side` and the others do not hear each other; `one_way`: the others not `side`."""

    side: frozenset[int]
    one_way: bool = False

    def blocks(self, sender: int, hearer: int) -> bool:
        """Tell whether what one host sends is kept from another."""
        inside = sender in self.side
        return inside != (hearer in self.side) and (inside or not self.one_way)


@dataclass(frozen=True, slots=True, eq=False)
class Clog:
    """Frames between one of `nodes` and one of `others`, either way, wait `delay_us` more."""

    nodes: frozenset[int]
    others: frozenset[int]
    delay_us: int

    def wait_us(self, sender: int, hearer: int) -> int:
        """Return how much longer a frame takes."""
        there = sender in self.nodes and hearer in self.others
        back = hearer in self.nodes and sender in self.others
        return self.delay_us if there or back else 0


@dataclass(frozen=True, slots=True, eq=False)
class Trouble:
    """Shares of the frames from or to one of `nodes` that something befalls.

    Lost (each try of a frame that is acknowledged), come twice, come up to `reorder_us` later (so
    that others overtake), or have bits flipped.
    """

    nodes: frozenset[int]
    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    reorder_us: int = 0
    again_us: int = 5_000


Rule = Split | Clog | Trouble


@dataclass(slots=True)
class NetworkFaults:
    """The rules in force. `active` is False while there are none: then nothing need be asked."""

    rng: Random
    active: bool = False
    _rules: list[Rule] = field(default_factory=list)
    _splits: tuple[Split, ...] = ()
    _clogs: tuple[Clog, ...] = ()
    _troubles: tuple[Trouble, ...] = ()

    def begin(self, rule: Rule) -> None:
        """Put a rule in force."""
        self._rules.append(rule)
        self._sort()

    def end(self, rule: Rule) -> None:
        """Take a rule back; one that is not in force is left alone."""
        if rule in self._rules:
            self._rules.remove(rule)
            self._sort()

    def passes(
        self, sender: Placed, hearer: Placed, size: int, tries: int = 0
    ) -> Sequence[Passage]:
        """Return the arrivals of a frame of `size` bytes: none when lost, two when doubled.

        `tries`: how often the sender sends it again when it is not acknowledged.
        """
        one, other = sender.host.number, hearer.host.number
        if any(split.blocks(one, other) for split in self._splits):
            return ()
        delay_us = sum(clog.wait_us(one, other) for clog in self._clogs)
        arrivals: tuple[Passage, ...] = (Passage(delay_us, False),)
        for trouble in self._troubles:
            if one in trouble.nodes or other in trouble.nodes:
                arrivals = self._befall(trouble, arrivals, size, tries)
        return arrivals

    def cut(self, one: AnyHost, other: AnyHost) -> bool:
        """Tell whether a stream between two hosts next to each other stalls: it needs both ways."""
        return any(
            split.blocks(one.number, other.number) or split.blocks(other.number, one.number)
            for split in self._splits
        )

    def flip(self, data: bytes) -> bytes:
        """Return the bytes with 1 to 4 bits flipped; nothing can happen to no bytes."""
        if not data:
            return data
        changed = bytearray(data)
        for _ in range(self.rng.randint(1, _FLIPS_MAX)):
            bit = self.rng.randrange(8 * len(changed))
            changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def stream_bytes(self, one: Host, other: Host, data: bytes) -> bytes:
        """Return what arrives of bytes in a stream: once in a long while not what was sent."""
        for trouble in self._troubles:
            near = one.number in trouble.nodes or other.number in trouble.nodes
            if trouble.corrupt and near and self.rng.random() < trouble.corrupt * _STREAM_SHARE:
                data = self.flip(data)
        return data

    def _befall(
        self, trouble: Trouble, arrivals: tuple[Passage, ...], size: int, tries: int
    ) -> tuple[Passage, ...]:
        found: list[Passage] = []
        chance = self.rng.random
        for passage in arrivals:
            if trouble.lose and all(chance() < trouble.lose for _ in range(tries + 1)):
                continue
            delay_us, corrupt = passage
            if trouble.reorder and chance() < trouble.reorder:
                delay_us += self.rng.randint(0, trouble.reorder_us)
            if trouble.corrupt and size and chance() < trouble.corrupt:
                corrupt = True
            found.append(Passage(delay_us, corrupt))
            if trouble.duplicate and chance() < trouble.duplicate:
                found.append(Passage(delay_us + self.rng.randint(0, trouble.again_us), corrupt))
        return tuple(found)

    def _sort(self) -> None:
        self.active = bool(self._rules)
        self._splits = tuple(rule for rule in self._rules if isinstance(rule, Split))
        self._clogs = tuple(rule for rule in self._rules if isinstance(rule, Clog))
        self._troubles = tuple(rule for rule in self._rules if isinstance(rule, Trouble))


def uniform_split(numbers: Collection[int], share: float, rng: Random) -> Split:
    """Return a split with a random `share` of the hosts on one side, and nobody alone in the world.

    Both sides have somebody as long as there are two hosts.
    """
    ordered = sorted(numbers)
    count = min(max(round(share * len(ordered)), 1), max(len(ordered) - 1, 1))
    return Split(frozenset(rng.sample(ordered, min(count, len(ordered)))))
