"""What this node asks for by one radio: ranges of feeds, said once for all who hear.

Enters: heads that neighbours claim, gaps, entries that came, wants of others. Leaves: NEEDS. A want
waits at random, and again when a neighbour has just asked for the same; it ends when nothing came
after some tries. The last of them waits until a neighbour has new parts to give, unless something
comes before: who had its part gets no answer. A claim of many entries moves nothing: windows are
asked for, one after another.
"""

from functools import partial
from random import Random

from meshd.core.drops import DropReason
from meshd.space.space import Space
from meshd.sync.air.names import Feed, Names, feed_name
from meshd.sync.air.offers import ASKED_SPAN_US
from meshd.wire.air_messages import (
    FEED_LEN,
    NEEDS_HEAD,
    RANGE_LEN_MAX,
    RANGES_MAX,
    AirRange,
    Needs,
)
from meshd.wire.lora_payload import Sub

WANTS_MAX = 64
STRANGE_MAX = 4
"""Of them so many, with those in vain, for feeds of authors whom nobody told of: a member can claim
as many as it likes."""
WINDOW = 12
"""Entries asked for at a time."""
TRIES_MAX = 5
FIRST_US = 1_000_000, 6_000_000
"""How long a want waits at first: who hears the same from another need not ask."""
AGAIN_US = 45_000_000, 90_000_000
"""How long until it is asked again."""
VAIN_US = 600_000_000
"""A feed that was asked for in vain is not asked for again before so long."""
NEAR_US = 5_000_000
"""What is due so soon is asked for in the same item."""


class _Want:
    __slots__ = ("asked_us", "due_us", "last", "tries")

    def __init__(self, last: int, due_us: int) -> None:
        self.last = last
        self.due_us = due_us
        self.tries = 0
        self.asked_us = 0

    def hope(self, due_us: int) -> None:
        """Begin to count anew, something comes: there is no need to wait for anybody's new part."""
        rests = self.tries >= TRIES_MAX - 1
        self.due_us = due_us if rests else max(self.due_us, due_us)
        self.tries = 0


class AirWants:
    """The wants of one radio, by feed. `slow`: how much longer than neighbours' all of it takes."""

    def __init__(self, names: Names, rng: Random, *, slow: int = 1) -> None:
        self._spaces = names.spaces
        self._names = names
        self._rng = rng
        self._slow = slow
        self._wants: dict[Feed, _Want] = {}
        self._vain: dict[Feed, int] = {}

    def __len__(self) -> int:
        return len(self._wants)

    def add(self, feed: Feed, last: int, now: int, *, wait_us: int = 0) -> DropReason | None:
        """Ask for a feed up to `last`; return why not."""
        if last <= self._held(feed) or self._is_frozen(feed):
            return None
        known = self._wants.get(feed)
        if known is not None:
            known.last = max(known.last, last)
            return None
        if now < self._vain.get(feed, now):
            return None
        if len(self._wants) >= WANTS_MAX or (
            _strange(feed) and self._strangers(now) >= STRANGE_MAX
        ):
            return DropReason.AIR_WANTS_FULL
        self._wants[feed] = _Want(last, now + wait_us + self._slow * self._rng.randint(*FIRST_US))
        return None

    def _strangers(self, now: int) -> int:
        """Count the feeds of unknown authors that are asked for, or were lately in vain."""
        vain = (feed for feed, until_us in self._vain.items() if now < until_us)
        return sum(map(_strange, (*self._wants, *vain)))

    def came(self, feed: Feed, seq: int, now: int) -> None:
        """Note that an entry is here: the want is met, or there is hope for the rest."""
        space = self._spaces.get(feed[0])
        if space is not None and seq == 1:
            self._wants.pop((space.id, feed_name(space, feed[1])), None)
        self._vain.pop(feed, None)
        want = self._wants.get(feed)
        if want is None:
            return
        if seq >= want.last:
            del self._wants[feed]
        else:
            want.hope(now + self._slow * self._rng.randint(*AGAIN_US) // 4)

    def forget(self, feed: Feed) -> None:
        """Ask no more: the feed was forked, and grows no more."""
        self._wants.pop(feed, None)

    def hold(self, feed: Feed, now: int) -> None:
        """Wait: what is wanted is on its way, though slowly."""
        want = self._wants.get(feed)
        if want is not None:
            want.hope(now + AGAIN_US[0])

    def others(self, feed: Feed, first: int, now: int) -> None:
        """Wait: a neighbour has just asked for the same."""
        want = self._wants.get(feed)
        if want is not None and first <= self._held(feed) + 1:
            want.due_us = max(want.due_us, now + self._slow * self._rng.randint(*AGAIN_US) // 2)

    def behind(self, space: bytes) -> dict[bytes, int]:
        """Return how many entries of a space's feeds are asked for, by author."""
        wants = ((feed, want.last) for feed, want in self._wants.items() if feed[0] == space)
        return {feed[1]: max(0, last - self._held(feed)) for feed, last in wants}

    def due_us(self) -> int | None:
        """Return when `build` has something."""
        return min((want.due_us for want in self._wants.values()), default=None)

    def build(self, now: int, room: int) -> Needs | None:
        """Return what to ask for now, of one space, in `room` bytes; None when nothing is due."""
        due = [feed for feed, want in self._wants.items() if want.due_us <= now]
        space = self._spaces.get(due[0][0]) if due else None
        if space is None:
            for feed in due:
                del self._wants[feed]
            return None
        ranges: list[AirRange] = []
        most = min((room - NEEDS_HEAD) // RANGE_LEN_MAX, RANGES_MAX)
        for feed in sorted(self._wants, key=partial(_turn, space)):
            want, held = self._wants[feed], self._held(feed)
            soon = want.due_us <= now + NEAR_US
            if feed[0] != space.id or not soon or len(ranges) >= most:
                continue
            want.tries += 1
            want.due_us = now + self._slow * self._rng.randint(*AGAIN_US)
            if want.tries == 1:
                want.asked_us = now
            elif want.tries == TRIES_MAX - 1:
                want.due_us += max(want.asked_us + ASKED_SPAN_US - now, 0)
            if held >= want.last:
                del self._wants[feed]
            elif want.tries > TRIES_MAX:
                self._give_up(feed, now)
            else:
                length = min(want.last - held, WINDOW)
                ranges.append(AirRange(feed_name(space, feed[1]), held + 1, length))
        if not ranges:
            return None
        return self._names.told(space, Sub.NEEDS, Needs(b"", b"", tuple(ranges)))

    def _give_up(self, feed: Feed, now: int) -> None:
        """Nobody has what was claimed, or it does not get here: leave it for a while."""
        del self._wants[feed]
        if len(self._vain) >= WANTS_MAX:
            del self._vain[next(iter(self._vain))]
        self._vain[feed] = now + VAIN_US

    def _held(self, feed: Feed) -> int:
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space else None
        return known.seq if known else 0

    def _is_frozen(self, feed: Feed) -> bool:
        space = self._spaces.get(feed[0])
        known = space.feeds.get(feed[1]) if space else None
        return known is not None and known.frozen


def _strange(feed: Feed) -> bool:
    """Tell whether no author here is known to be meant: then the feed has its short name."""
    return len(feed[1]) == FEED_LEN


def _turn(space: Space, feed: Feed) -> tuple[int, Feed]:
    """Order feeds: those of the highest rank first, since they hold most of the membership."""
    rank = space.log.rank(feed[1])
    return (1 if rank is None else -int(rank), feed)
