"""Feeds that may have two branches: who is asked about, how far, and for how long no more.

Enters: feeds with the reason why somebody suspects them. Leaves: whether one more is asked about,
and may be now. What strangers forge has its own bounds, so that it makes nobody deaf to what
members say. Must not know: frames, entries of feeds.
"""

from collections import deque
from typing import NamedTuple

from meshd.core.law import HOUR_US
from meshd.sync.air.names import Feed
from meshd.sync.air.quiet import Quiet
from meshd.wire import entry as entries
from meshd.wire.air_messages import Mark

SUSPECTS_MAX = 32
FORGED_MAX = 16
"""So many of them for what nobody signed."""
FORGED_DOUBLINGS = 9
"""What nobody signed, and came to nothing, is left for 2 minutes, then twice that, …, 17 hours."""
MEMBER_DOUBLINGS = 2
"""What a member's words say is left for 8 minutes at most, whatever strangers sent before."""
PROBES_MAX = 30
"""Probes that one radio says in an hour."""
FORGED_PROBES_MAX = 20
"""So many of them for what nobody signed."""
TRIES_MAX = 3
SOON_US = 1_000_000, 5_000_000
LATER_US = 20_000_000, 40_000_000
"""How soon is asked, and how soon by who was asked and found that the other has another entry."""


class Why(NamedTuple):
    """Why a feed is suspected: whether a member said so, or its author; how soon, how often it is
    asked."""

    signed: bool
    wait_us: tuple[int, int]
    tries: int = TRIES_MAX

    @property
    def firm(self) -> bool:
        """Whether somebody said so who knows: it takes the place of what is less."""
        return self.signed and self.tries == TRIES_MAX


SAID, SHOWN, FORGED = Why(True, SOON_US), Why(True, LATER_US), Why(False, SOON_US)
LOOKED = Why(True, SOON_US, tries=1)
"""Nothing speaks for a fork; but nothing would."""

Found = tuple[entries.Entry, entries.Entry]
"""The own entry and another one, both signed, under one number."""


class Suspect:
    """A feed that may have two branches, and how far the search is."""

    __slots__ = ("due_us", "far", "found", "link", "marks", "rounds", "signed", "tries", "why")

    def __init__(self, link: str, why: Why, *, far: bool) -> None:
        self.link = link
        self.far = far
        self.why = why
        self.signed = why.signed
        self.marks: tuple[Mark, ...] = ()
        self.due_us: int | None = None
        self.tries = TRIES_MAX - why.tries
        self.rounds = 0
        self.found: Found | None = None


class Suspects(dict[Feed, Suspect]):
    """The feeds that are asked about now; it remembers those that came to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet = {False: Quiet(FORGED_DOUBLINGS), True: Quiet(MEMBER_DOUBLINGS)}
        self._probed: dict[str, deque[int]] = {}

    def is_full(self, signed: bool) -> bool:
        """Tell whether no further feed may be suspected; what is forged leaves room for others."""
        forged = sum(not one.signed for one in self.values())
        return len(self) >= SUSPECTS_MAX or (not signed and forged >= FORGED_MAX)

    def may_probe(self, link: str, one: Suspect, now: int) -> bool:
        """Tell whether a radio may still ask about it in this hour."""
        times = self._probed.setdefault(link, deque(maxlen=PROBES_MAX))
        most = PROBES_MAX if one.signed else FORGED_PROBES_MAX
        return len(times) < most or now - times[-most] > HOUR_US

    def probed(self, link: str, now: int) -> None:
        """Count a probe of a radio."""
        self._probed[link].append(now)

    def rests(self, feed: Feed, now: int, *, signed: bool) -> bool:
        """Tell whether a feed is left alone now."""
        return self._quiet[signed].has(feed, now)

    def in_vain(self, feed: Feed, now: int, *, signed: bool) -> None:
        """Leave a feed alone for a while: nobody answers."""
        self._quiet[signed].add(feed, now)

    def proven(self, feed: Feed) -> None:
        """Search no more: its fork is proven."""
        self.pop(feed, None)
        for quiet in self._quiet.values():
            quiet.forget(feed)
