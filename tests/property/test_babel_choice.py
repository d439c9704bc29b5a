"""The choice of routes after a cost changed: asking only where it may matter ends the same.

Two copies of one entry hear the same: in one the choice is made again after each change of any
cost, in the other only when `concerned` says so.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.events import Link, LinkKind
from meshd.core.ids import Prefix
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour
from meshd.routing.selection import choose, concerned, matters
from meshd.routing.source import SourceTable
from meshd.routing.table import Entry, Lease, Route

PREFIX = Prefix(b"\xfd" + bytes(15), 128)
LINK = Link("w0", LinkKind.MESH, b"\xfe\x80" + bytes(14), 1500)
IDS = (b"\1" * 8, b"\2" * 8)
COSTS = st.sampled_from((96, 256, 300, 400, 512, 768, 2048, INFINITY))
ROUTE = st.tuples(st.integers(0, 1), st.integers(0, 2), st.sampled_from((0, 256, 512, 700, 2048)))
STEP = st.one_of(
    st.tuples(st.just("cost"), st.integers(0, 3), COSTS),
    st.tuples(st.just("route"), st.integers(0, 3), ROUTE),
    st.tuples(st.just("remove"), st.integers(0, 3), st.none()),
    st.tuples(st.just("say"), st.just(0), st.none()),
    st.tuples(st.just("need"), st.integers(0, 3), st.none()),
)


class Side:
    """One entry, its neighbours and what was announced of it."""

    def __init__(self, *, narrow: bool) -> None:
        self.narrow = narrow
        self.neighbours = [Neighbour(LINK, bytes([number]) * 16, 0) for number in range(4)]
        self.entry = Entry(PREFIX)
        self.sources = SourceTable()
        self.need: tuple[bytes, int] | None = None

    def take(self, step: tuple[str, int, object], now: int) -> None:
        what, number, value = step
        neighbour = self.neighbours[number]
        route = self.entry.of(neighbour)
        if what == "cost":
            assert isinstance(value, int)
            before, neighbour.cost = neighbour.cost, value
            again = concerned(self.entry, neighbour, fell=value < before)
            if value != before and (again or not self.narrow):
                self.choose(now)
        elif what == "route":
            assert isinstance(value, tuple)
            if route is None:
                route = Route(PREFIX, neighbour, Lease(1, 0, neighbour), 0)
                self.entry.routes.append(route)
            route.router_id, route.seqno, route.advertised = IDS[value[0]], value[1], value[2]
            self.note(route, now)
        elif what == "remove" and route is not None:
            self.entry.routes.remove(route)
            self.entry.rival = None if self.entry.rival is route else self.entry.rival
            self.note(route, now)
        elif what == "need":
            self.need, self.entry.open = (IDS[0], number), True
        elif what == "say" and (selected := self.entry.selected) is not None:
            key = (PREFIX, selected.router_id)
            if selected.metric != INFINITY:
                metric, via = selected.metric, selected.neighbour
                self.sources.announced(key, selected.seqno, metric, via, now=now)

    def note(self, route: Route, now: int) -> None:
        if matters(self.entry, route) or not self.narrow:
            self.choose(now)

    def choose(self, now: int) -> None:
        self.entry.selected = choose(self.entry, self.sources, now, self.need).route
        self.need = None if self.entry.selected is not None else self.need

    def seen(self) -> tuple[object, ...]:
        """Return what the choice is."""
        selected, rival = self.entry.selected, self.entry.rival
        return (
            self.neighbours.index(selected.neighbour) if selected is not None else None,
            self.neighbours.index(rival.neighbour) if rival is not None else None,
        )


@given(st.lists(st.tuples(STEP, st.sampled_from((1, 11_000_000))), max_size=40))
@settings(max_examples=300, deadline=None)
def test_choosing_again_only_where_it_may_matter_ends_the_same(
    steps: list[tuple[tuple[str, int, object], int]],
) -> None:
    whole, narrow, now = Side(narrow=False), Side(narrow=True), 0
    for step, pause_us in steps:
        now += pause_us
        whole.take(step, now)
        narrow.take(step, now)
        assert narrow.seen() == whole.seen()
