"""Managed flood with the notices that its nodes send by themselves, all to everybody.

By default a Meshtastic node tells who it is each 3 hours and, with a receiver of positions, where
it is each hour (15 minutes before January 2026); the latter more seldom by 7.5 % for each node
above 40 at LongFast. Battery and load are told only by who asks for it. Ref: meshtastic/firmware,
`src/mesh/Default.h`, `src/modules/NodeInfoModule.cpp`, pull requests 7116 and 9236.
Sizes are of the protobuf messages of its Python client with usual values, without the signature
that firmware 2.8 adds, as the texts beside them have none. The nodes are long there: each tells at
its own time, and answers of whoever hears of a new node are left out.
"""

from typing import NamedTuple

from lora._broadcast_field import SECOND, Told

from meshd.simulation.rivals.managed_flood import OVERHEAD_BYTES

HOUR_S = 3600
CROWD, EACH_MORE = 40, 0.075


class Notice(NamedTuple):
    """Something that each node tells everybody: bytes on the air, how often."""

    size: int
    period_s: float


def notices(count: int, *, position: bool) -> tuple[Notice, ...]:
    """Return what each of so many nodes tells."""
    seldom = 1 + max(count - CROWD, 0) * EACH_MORE
    who = Notice(100, 3 * HOUR_S)
    return (who, Notice(55, HOUR_S * seldom)) if position else (who,)


class Noticed(Told):
    """Stations that flood their notices between the messages; these alone count as delivered."""

    def __init__(self, count: int, seed: int, *, position: bool) -> None:
        super().__init__(count, seed, None)
        chance = self.schedule.random("notices")
        for notice in notices(count, position=position):
            for number in range(count):
                first_us = round(chance.uniform(0, notice.period_s) * SECOND)
                self.schedule.at(first_us, self._notice, number, notice)

    def _notice(self, number: int, notice: Notice) -> None:
        self.stations[number].send_broadcast(bytes(notice.size - OVERHEAD_BYTES))
        next_us = self.schedule.now + round(notice.period_s * SECOND)
        self.schedule.at(next_us, self._notice, number, notice)
