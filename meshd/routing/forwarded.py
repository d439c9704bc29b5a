"""Seqno requests that were sent on for neighbours, and who waits for what (RFC 8966 §3.8.1.2).

Enters: requests as they are sent on, and routes that may answer them. Leaves: whether one was sent
on just now, and what is waited for. The table is shared by who asked: when it is full, whoever
holds most of it gives way. A request is a repetition only of one that reaches as far and asks for
the same seqno: one that asks for too much, or dies at the next hop, stands for no other.
Must not know: packets, to whom a request is sent.
"""

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour
from meshd.routing.selection import Need, meets
from meshd.routing.shares import Shares
from meshd.routing.table import Entry, Route
from meshd.wire.babel import SeqnoRequest

FORWARDED_MAX = 1024
FORWARDED_US = 10_000_000
"""How long a neighbour waits for an answer."""

PER_PREFIX_MAX = 4
"""Requests of one neighbour for one prefix; of several the nearest are kept.

An honest one asks for a number that the origin has, or for its next.
"""

DUPLICATE_US = 400_000
COLLECT_US = 1_000_000


class _Asked:
    """One request that was sent on."""

    __slots__ = ("asker", "at_us", "request")

    def __init__(self, asker: Neighbour, request: SeqnoRequest, now: int) -> None:
        self.asker = asker
        self.request = request
        self.at_us = now


class Forwarded:
    """The requests sent on, by prefix."""

    __slots__ = ("_asked", "_collected_us", "_count", "_shares")

    def __init__(self) -> None:
        self._asked: dict[Prefix, list[_Asked]] = {}
        self._shares = Shares()
        self._count = 0
        self._collected_us = 0

    def __len__(self) -> int:
        return self._count

    def repeats(self, request: SeqnoRequest, now: int) -> bool:
        """Tell whether this was sent on so lately that an answer may still be under way."""
        return any(
            now - asked.at_us < DUPLICATE_US
            and asked.request.router_id == request.router_id
            and asked.request.seqno == request.seqno
            and asked.request.hop_count >= request.hop_count
            for asked in self._asked.get(request.prefix, ())
        )

    def note(self, asker: Neighbour, request: SeqnoRequest, entry: Entry, now: int) -> bool:
        """Remember a request that is about to be sent on; False when there is no room for it."""
        listed = self._asked.get(request.prefix, [])
        same = [asked for asked in listed if asked.asker is asker]
        for asked in same:
            if asked.request[:3] == request[:3]:
                asked.request, asked.at_us = request, now
                return True
        if len(same) >= PER_PREFIX_MAX:
            victim = min(same, key=_age)
            if now - victim.at_us < DUPLICATE_US:
                base = _base(entry)
                victim = max(same, key=lambda asked: _ahead(asked.request.seqno, base))
                if _ahead(request.seqno, base) >= _ahead(victim.request.seqno, base):
                    return False
            self._drop(request.prefix, victim)
        elif self._count >= FORWARDED_MAX and not self._make_room(asker, now):
            return False
        self._asked.setdefault(request.prefix, []).append(_Asked(asker, request, now))
        self._shares[asker] += 1
        self._count += 1
        return True

    def awaited(self, entry: Entry) -> Need | None:
        """Return the router-id and seqno that a neighbour waits for: of several the nearest."""
        listed = self._asked.get(entry.prefix)
        if listed is None:
            return None
        base = _base(entry)
        nearest = min(listed, key=lambda asked: _ahead(asked.request.seqno, base))
        return nearest.request.router_id, nearest.request.seqno

    def askers(self, prefix: Prefix) -> list[Neighbour]:
        """Return who waits for any answer."""
        return [asked.asker for asked in self._asked.get(prefix, ())]

    def met(self, route: Route) -> list[Neighbour]:
        """Forget what a selected route answers; return whom."""
        listed = self._asked.get(route.prefix)
        if listed is None:
            return []
        found = [
            asked for asked in listed if meets(route, asked.request.router_id, asked.request.seqno)
        ]
        for asked in found:
            self._drop(route.prefix, asked)
        return [asked.asker for asked in found]

    def neighbour_lost(self, asker: Neighbour) -> None:
        """Forget what a neighbour asked for that is no more."""
        if self._shares[asker]:
            for prefix, listed in list(self._asked.items()):
                for asked in [asked for asked in listed if asked.asker is asker]:
                    self._drop(prefix, asked)

    def _make_room(self, asker: Neighbour, now: int) -> bool:
        """Forget what nobody waits for, else a request of who holds most: never of `asker`."""
        if now - self._collected_us >= COLLECT_US:
            self._collected_us = now
            for prefix, listed in list(self._asked.items()):
                for asked in [old for old in listed if now - old.at_us >= FORWARDED_US]:
                    self._drop(prefix, asked)
            if self._count < FORWARDED_MAX:
                return True
        most = self._shares.gives_way(asker)
        if most is None:
            return False
        for prefix, listed in self._asked.items():
            for asked in listed:
                if asked.asker is most:
                    self._drop(prefix, asked)
                    return True
        return False

    def _drop(self, prefix: Prefix, asked: _Asked) -> None:
        listed = self._asked[prefix]
        listed.remove(asked)
        if not listed:
            del self._asked[prefix]
        self._count -= 1
        self._shares.drop(asked.asker)


def _age(asked: _Asked) -> int:
    return asked.at_us


def _base(entry: Entry) -> int:
    """Return the seqno that the requests for a prefix are ahead of."""
    if entry.selected is not None:
        return entry.selected.seqno
    if entry.said is not None:
        return entry.said[1]
    return entry.routes[0].seqno if entry.routes else 0


def _ahead(seqno: int, base: int) -> int:
    return seqno - base & 0xFFFF
