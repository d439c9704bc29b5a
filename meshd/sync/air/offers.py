"""Entries that wait to be sent by one radio: bounded, by value, not those that others have sent.

Enters: entries that somebody may lack, entries heard on this radio. Leaves: what is sent now.
Membership goes before texts, small before large, and all within a part of the time on air, so that
a backlog that came by WiFi does not fill the channel: who wants the rest asks for it. What was
asked for is let go when nobody has asked again for long: others may have sent it meanwhile.
Must not know: why an entry is offered, how it is sent.
"""

from collections import deque
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.limits import DISTRESS_EACH_US
from meshd.sync.air.names import Feed
from meshd.sync.air.thin import same
from meshd.wire.air_entry import Thin
from meshd.wire.entry import MEMBERSHIP_KINDS, Kind

OFFERS_MAX = 64
"""Entries that wait; one more puts the least valuable out."""
ASKERS_MAX = 64
ASKED_MAX = 48
"""Entries that one neighbour is sent at its wish in each `ASKED_SPAN_US`."""
ASKED_SPAN_US = 600_000_000
"""So long a wish counts as one of them, and so long what is wished for waits to be sent."""
SAID_MAX = 256
SAID_US = 20_000_000
"""An entry that was on the air is not sent again before so long, whoever asks."""
SHARE = 100
"""Entries of others and repairs take at most one part in so many of all time, in the long run."""
BURST_US = 12_000_000
"""What may be saved up of that, and is at the beginning."""
BACKLOG = 8
"""More entries of one feed that came by a session and wait are a backlog."""
BACKLOG_US = 30_000_000
TEXT_MAX = 600
"""Texts that are longer, and documents longer than a frame, go on air to those who ask only."""
CALLERS_MAX = 256
TEXTS = (Kind.DISTRESS, Kind.POST, Kind.MESSAGE, Kind.RECEIPT, Kind.LETTER)
_DISTRESS, _TEXT, MEMBERSHIP, _DOCUMENT = 0, 1, 2, 3

Key = tuple[bytes, bytes, int]
"""An entry by (space, author, seq)."""


class Offer(NamedTuple):
    """An entry that waits. `everybody`: as an object, else for those in earshot."""

    key: Key
    thin: Thin
    due_us: int
    everybody: bool

    @property
    def value(self) -> tuple[bool, int, int, int]:
        """Return what orders offers, the most valuable first."""
        kind = self.thin.kind
        calm = kind >= MEMBERSHIP_KINDS and kind != Kind.DISTRESS
        return (calm, priority_of(kind), self.thin.seq, len(self.thin.sealed))


def priority_of(kind: int) -> int:
    """Return which priority an entry of a kind has on air."""
    if kind < MEMBERSHIP_KINDS:
        return MEMBERSHIP
    if kind == Kind.DISTRESS:
        return _DISTRESS
    return _TEXT if kind in TEXTS else _DOCUMENT


def worth(thin: Thin, room: int) -> bool:
    """Tell whether an entry goes on air unasked."""
    size = len(thin.encode())
    if size <= room or thin.kind < MEMBERSHIP_KINDS:
        return True
    return thin.kind in TEXTS and size <= TEXT_MAX


class Offers:
    """What waits for one radio, what was on its air, and what each neighbour was given."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Offer] = {}
        self._wished_us: dict[Key, int] = {}
        self._said: dict[Key, int] = {}
        self._asked: dict[bytes, deque[int]] = {}
        self._backlogs: dict[Feed, int] = {}
        self.callers: dict[Feed, tuple[int, int]] = {}
        self._saved_us = BURST_US
        self._counted_us: int | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def grants(self, node: bytes, now: int) -> bool:
        """Count one entry that a neighbour asks for; False when it has had its part."""
        times = self._asked.pop(node, None) or deque(maxlen=ASKED_MAX)
        if len(self._asked) >= ASKERS_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[node] = times
        if len(times) == ASKED_MAX and now < times[0] + ASKED_SPAN_US:
            return False
        times.append(now)
        return True

    def again(self, key: Key, now: int) -> bool:
        """Note that somebody asks for an entry; return whether it waits or was sent just now."""
        if key in self._wished_us:
            self._wished_us[key] = now
        return key in self._waiting or self.was_said(key, now)

    def add(self, offer: Offer, now: int) -> DropReason | None:
        """Take an entry to send; return why none, or another one, is sent."""
        key = offer.key
        if self.was_said(key, now):
            return None
        known = self._waiting.get(key)
        if known is not None:
            offer = offer._replace(
                due_us=min(offer.due_us, known.due_us),
                everybody=offer.everybody or known.everybody,
            )
        self._waiting[key] = offer
        if not offer.everybody:
            self._wished_us[key] = now
        if len(self._waiting) <= OFFERS_MAX:
            return None
        self._let_go(max(self._waiting.values(), key=lambda one: one.value).key)
        return DropReason.AIR_CROWDED

    def heard(self, key: Key, thin: Thin, now: int) -> None:
        """Note an entry on the air that is held here: whoever waits to send the same need not."""
        waiting = self._waiting.get(key)
        if waiting is not None and same(waiting.thin, thin):
            self._let_go(key)
            self.said(key, now)

    def said(self, key: Key, now: int) -> None:
        """Note that an entry was on the air just now."""
        self._said.pop(key, None)
        if len(self._said) >= SAID_MAX:
            del self._said[next(iter(self._said))]
        self._said[key] = now

    def was_said(self, key: Key, now: int) -> bool:
        """Tell whether an entry was on the air a moment ago."""
        said = self._said.get(key)
        return said is not None and now < said + SAID_US

    def priority(self, offer: Offer, now: int) -> int:
        """Return its priority: of an author's calls for help one in ten minutes is urgent."""
        space, author, seq = offer.key
        priority = priority_of(offer.thin.kind)
        if priority != _DISTRESS:
            return priority
        called, at_us = self.callers.get((space, author), (seq, now))
        if called != seq and now < at_us + DISTRESS_EACH_US:
            return _TEXT
        if called != seq or (space, author) not in self.callers:
            self.callers.pop((space, author), None)
            if len(self.callers) >= CALLERS_MAX:
                del self.callers[next(iter(self.callers))]
            self.callers[space, author] = (seq, now)
        return priority

    def due_us(self) -> int | None:
        """Return when `next` may have something; None when nothing waits."""
        due_us = min((offer.due_us for offer in self._waiting.values()), default=None)
        if due_us is None or self._saved_us >= 0 or self._counted_us is None:
            return due_us
        return max(due_us, self._counted_us - self._saved_us * SHARE)

    def next(self, now: int) -> Offer | None:
        """Return the most valuable offer that is due, when there is time on air for it.

        A feed goes in its order: a text is of no use before the document in front of it. A call
        for help is: it is proven without that.
        """
        if self._counted_us is not None:
            saved_us = self._saved_us + (now - self._counted_us) // SHARE
            self._saved_us = min(saved_us, BURST_US)
        self._counted_us = now
        if self._saved_us < 0:
            return None
        for key, wished_us in tuple(self._wished_us.items()):
            if now >= wished_us + ASKED_SPAN_US and not self._waiting[key].everybody:
                self._let_go(key)
        due = [offer for offer in self._waiting.values() if offer.due_us <= now]
        best = min(due, key=lambda offer: offer.value, default=None)
        if best is None or best.thin.kind == Kind.DISTRESS:
            return best
        feed = (offer for offer in due if offer.key[:2] == best.key[:2])
        return min(feed, key=lambda offer: offer.key[2])

    def sent(self, offer: Offer, airtime_us: int, now: int) -> None:
        """Note that an offer went out, and how long it is on the air."""
        self._let_go(offer.key)
        self._saved_us -= airtime_us
        self.said(offer.key, now)

    def later(self, offer: Offer, due_us: int) -> None:
        """Try again then, as with what follows it in its feed: the radio has no room."""
        for key, each in self._waiting.items():
            follows = key[2] > offer.key[2] and each.thin.kind != Kind.DISTRESS
            if key == offer.key or (key[:2] == offer.key[:2] and follows):
                self._waiting[key] = each._replace(due_us=max(each.due_us, due_us))

    def is_backlog(self, feed: Feed, now: int) -> bool:
        """Tell whether too many entries of a feed came at once to go out unasked: all of those are
        let go, since who lacks one of them lacks those before it too.
        """
        mine = [key for key, offer in self._waiting.items() if offer.everybody and key[:2] == feed]
        if len(mine) < BACKLOG and now >= self._backlogs.get(feed, 0):
            return False
        for key in mine:
            self._let_go(key)
        self._backlogs.pop(feed, None)
        if len(self._backlogs) >= ASKERS_MAX:
            del self._backlogs[next(iter(self._backlogs))]
        self._backlogs[feed] = now + BACKLOG_US
        return True

    def _let_go(self, key: Key) -> None:
        self._waiting.pop(key, None)
        self._wished_us.pop(key, None)
