"""The sending side of one link: what waits to be said there, and what was said last.

Enters: what `announce` notes. Leaves: the same. Must not know: routes, packets, timers.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from meshd.core.events import Link
from meshd.core.ids import ALL_BABEL_ROUTERS, Prefix
from meshd.neighbour.table import Budget, Neighbour
from meshd.routing.pages import Page
from meshd.routing.table import Entry
from meshd.wire.babel import Tlv

DUMP_BYTES_PER_S = 16 * 1024
DUMP_BYTES_MAX = 64 * 1024
ANSWER_BYTES_PER_S = 16 * 1024
ANSWER_BYTES_MAX = 64 * 1024


class Outlet:
    """The sending side of one link."""

    __slots__ = (
        *("answers", "budget", "dumped", "dumps", "early", "hello_seqno", "hellos", "job", "link"),
        *("pending", "planned_us", "repeats", "round", "said", "strangers", "urgent", "urgent_us"),
    )

    def __init__(self, link: Link, hello_seqno: int, now: int) -> None:
        self.link = link
        self.hello_seqno = hello_seqno
        self.hellos = 0
        self.early = 0
        self.pending: dict[Prefix, bool] = {}
        self.repeats: dict[Prefix, int] = {}
        self.said: set[Prefix] = set()
        self.urgent = False
        self.urgent_us = now
        self.dumps = 0
        self.dumped: dict[int, Made] = {}
        self.planned_us = now
        self.job: Job | None = None
        self.round: Round | None = None
        self.budget = Budget(now, DUMP_BYTES_PER_S, DUMP_BYTES_MAX)
        self.answers = Budget(now, ANSWER_BYTES_PER_S, ANSWER_BYTES_MAX)
        self.strangers = Neighbour(link, ALL_BABEL_ROUTERS, now)
        """Whose budgets all who are not neighbours yet share."""


class Made(NamedTuple):
    """The packets of a page as they were said last, and what they were made of."""

    page: Page
    version: int
    interval_us: int
    packets: list[bytes]


class Job:
    """A dump under way: to whom, and from which page on it still has to be said."""

    __slots__ = ("destination", "page")

    def __init__(self, destination: bytes, page: int = 0) -> None:
        self.destination = destination
        self.page = page


class Round:
    """A dump that goes along with the hellos: its pages are spread over a time."""

    __slots__ = ("_begun_us", "_page", "_round_us")

    def __init__(self, begun_us: int, round_us: int) -> None:
        self._begun_us = begun_us
        self._round_us = round_us
        self._page = 0

    def due(self, pages: int, now: int) -> range:
        """Return which of so many pages go along now, so that none is late at the next hello."""
        wanted = -(-pages * (now - self._begun_us) // self._round_us)
        first, self._page = self._page, max(self._page, min(wanted, pages))
        return range(first, self._page)


class Radio(Protocol):
    """What speaks for this node by LoRa, where nothing of the below has room."""

    def chosen(self, entry: Entry, now: int) -> None:
        """Note that a choice was made."""

    def say(self, neighbour: Neighbour, tlvs: Iterable[Tlv]) -> None:
        """Take what is to be said to a neighbour alone."""

    def flush(self, now: int) -> None:
        """Pass on what gathered."""

    def resend_us(self) -> tuple[int, ...]:
        """Return after which times what was asked and not answered is asked again."""
