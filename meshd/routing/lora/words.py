"""What is said of routes over one LoRa radio, and when: entries, wants, asks (docs/decisions/0010).

Enters: choices of the route table, what neighbours ask, time. Leaves: ROUTES items. What changed is
told soon, twice, and what was lost twice more with later words: a neighbour that missed that would
believe it for hours. All that is known is told in turn, once a period that grows with the table, so
that quiet nodes keep to a share of the channel. What is told is noted in the source table, as an
update by Babel is, and kept there for as long as neighbours may believe it.
Must not know: frames, keys, how routes are learnt.
"""

from collections.abc import Collection

from meshd.core.drops import DropReason
from meshd.core.ids import SHORT_LEN, Prefix, node_of_address
from meshd.routing.learn import Learner
from meshd.routing.lora.asked import Asked
from meshd.routing.lora.credit import Credit
from meshd.routing.lora.gain import Gain, Peers
from meshd.routing.lora.making import Making
from meshd.routing.lora.names import Spoken
from meshd.routing.lora.row import Row
from meshd.routing.lora.rules import Rules
from meshd.routing.selection import meets
from meshd.routing.source import newer
from meshd.routing.table import Entry, Route
from meshd.wire.lora_routes import (
    ASK_LEN,
    ASKS_MAX,
    CHECK_LEN,
    ENTRIES_MAX,
    ENTRY_LEN,
    GROUP,
    METRIC_STEP,
    PERIOD_MAX,
    PERIOD_STEP_US,
    ROUTES_HEAD,
    SEQNO_MODULUS,
    UNREACHABLE,
    WANT_LEN,
    WANTS_MAX,
    Ask,
    NamedEntry,
    RouteEntry,
    Routes,
    Want,
)

ROWS_MAX = 512
"""Nodes that are told of; of further ones a neighbour on LoRa hears nothing."""

RESEND = (10, 15, 30, 60, 120)
"""What is missed is asked for again after so many to twice as many of `want_us`."""

AWAIT = 64
"""An answer that comes within so many of `want_us` is passed on at once."""

COMMON = 2
"""A node is told by name until it was so often, by anybody here."""

WAITING_MAX = 64
"""Wants and asks, each, that wait to be sent."""

FRAME_COST = 30
"""What a frame costs beside its entries, in bytes: overhead, preamble, head of the item."""

STILL = 4
"""What is told again, or can wait, goes after so many of `soon_us`."""

AGAIN = 16
"""All is said again for those who began anew at most so often in a period."""

LOST = 2
"""That a way is lost rides so often in words that go anyway, a sixteenth of a period apart at least
(`AGAIN`), after it was told as a change is."""

KEPT_PERIODS = 4
"""How long a distance is kept after it was told: neighbours believe it for three and a half."""


class Words:
    """What one radio of `own` has to say. `near` holds the nodes that it hears."""

    def __init__(
        self, learner: Learner, rules: Rules, *, spoken: Spoken, near: Peers, now: int
    ) -> None:
        self.rules = rules
        self.gain = Gain(near, rules)
        self.rows: dict[bytes, Row] = {}
        self._learner = learner
        self._own = node_of_address(next(iter(learner.own.prefixes)).address)
        self._near = near
        self._spoken = spoken
        self._shorts: dict[bytes, tuple[Row, ...]] = {}
        self._wants: dict[bytes, int] = {}
        self._asks: dict[Ask, None] = {}
        self._asked = Asked(rules)
        self._own_asked = False
        self._last: list[Row] = []
        self._last_own = False
        self._soon_us: int | None = None
        self._urgent = False
        self._credit = Credit(rules, now)
        self._hello = 3
        self._anew = False
        self._regular_us: int | None = None
        self._again_us = now
        self._turn_us = now + learner.ctx.jitter(1, max(rules.soon_us, 2))

    # --- what is to be told -----------------------------------------------------------------------

    def row(self, node: bytes, prefix: Prefix) -> Row | None:
        """Return the row of a node, a new one if need be; None when there is no room."""
        row = self.rows.get(node)
        if row is None and len(self.rows) < ROWS_MAX:
            row = self.rows[node] = Row(node, prefix)
            short = node[:SHORT_LEN]
            self._shorts[short] = (*self._shorts.get(short, ()), row)
        return row

    def of(self, to: bytes) -> tuple[Row, ...]:
        """Return the row of a NodeId, or those of a short address: mostly one at most."""
        if len(to) == SHORT_LEN:
            return self._shorts.get(to, ())
        row = self.rows.get(to)
        return () if row is None else (row,)

    def chosen(self, row: Row, now: int) -> None:
        """Note the choice of the table; a change that matters is told soon."""
        steps, entry = self.steps(row), self._learner.table.entries.get(row.prefix)
        selected = entry.selected if entry is not None else None
        via = selected.neighbour if selected is not None else None
        told = UNREACHABLE if row.told is None else row.told
        if selected is not None and _awaited(row, selected, now):
            self.answer(row, now)
        elif steps == UNREACHABLE:
            if told != UNREACHABLE:
                self.tell(row, now)
        elif told == UNREACHABLE or abs(told - steps) >= self.rules.hop_cost // 2:
            self.tell(row, now, news=told == UNREACHABLE)
        elif row.via is not via:
            row.said_us = 0
        row.via = via

    def steps(self, row: Row) -> int:
        """Return how far a node is, UNREACHABLE where there is no way by the route table."""
        entry = self._learner.table.entries.get(row.prefix)
        route = entry.selected if entry is not None else None
        if route is None or route.router_id != row.prefix.address[8:]:
            return UNREACHABLE
        return min(-(-route.metric // METRIC_STEP), UNREACHABLE)

    def tell(self, row: Row, now: int, *, news: bool = True) -> None:
        """Tell of a node soon, twice; a way that is longer or shorter now, later and once."""
        if row.repeats < 1 + news:
            row.repeats = 1 + news
            wait_us = self.rules.soon_us if news else STILL * self.rules.soon_us
            self.hurry(now, self.rules.want_us if row.asked else wait_us)

    def answer(self, row: Row, now: int) -> None:
        """Tell of a node at once, with the latest seqno, as somebody waits for it."""
        row.asked, row.repeats = True, max(row.repeats, 1)
        self.hurry(now, self.rules.want_us, urgent=True)

    def answer_own(self, now: int) -> None:
        """Tell of this node itself at once: its seqno, with or without anything else."""
        self._own_asked = True
        self.hurry(now, self.rules.want_us, urgent=True)

    def awaits(self, row: Row, seqno: int, now: int) -> None:
        """Have a route with this seqno or a later one told at once when it comes."""
        row.wanted = seqno, now + AWAIT * self.rules.want_us

    def again(self, now: int, *, anew: bool = True) -> None:
        """Say all soon, as a neighbour has forgotten it, or else what one may lack who is new.

        That is done now and then, beside the regular turns.
        """
        soon_us = self.rules.soon_us
        if self._hello and not anew:
            return
        due_us = max(now + soon_us, self._again_us) + self._learner.ctx.jitter(0, soon_us)
        if due_us < self._turn_us:
            self._again_us = due_us + self.period_us() // AGAIN
            if not anew:
                self._regular_us = self._turn_us
            self._turn_us, self._hello = due_us, max(self._hello, 1)
        self._anew = self._anew or anew

    def hurry(self, now: int, wait_us: int, *, urgent: bool = False) -> None:
        """Say something between one and two of `wait_us` from now; `urgent`: somebody waits."""
        self._urgent = self._urgent or urgent
        due_us = now + wait_us + self._learner.ctx.jitter(0, wait_us)
        if self._soon_us is None or due_us < self._soon_us:
            self._soon_us = due_us

    def name(self, rows: Collection[Row], now: int) -> None:
        """Say in full whom these rows mean: a neighbour does not know."""
        for row in rows:
            late = row.named_us is None or now - row.named_us >= self.rules.soon_us
            row.name, row.repeats = True, max(row.repeats, 1)
            self.hurry(now, self.rules.want_us if late else self.rules.soon_us)

    # --- what is to be asked ----------------------------------------------------------------------

    def want(self, want: Want, now: int, *, nearer: bool = True, passed: bool = False) -> None:
        """Ask all for a route with this seqno or a later one; `passed`: pass the question on.

        Those of others take half the places at most.
        """
        short, seqno = want
        room = len(self._wants) < WAITING_MAX // (1 + passed)
        if room and self._asked.may_want(want, now, nearer=nearer):
            self._wants[short] = seqno
            self.hurry(now, self.rules.want_us, urgent=True)

    def resend_us(self) -> tuple[int, ...]:
        """Return after which times a want that is not answered is made again.

        Two that lost each other do so at one moment, and do not hear each other ask.
        """
        jitter, want_us = self._learner.ctx.jitter, self.rules.want_us
        return tuple(jitter(times * want_us, 2 * times * want_us) for times in RESEND)

    def ask(self, ask: Ask, now: int) -> bool:
        """Ask for a name; tell whether it will be. Many become one question for all names."""
        same = [other for other in self._asks if other.teller == ask.teller]
        everything = Ask(ask.teller, ask.teller)
        if everything in self._asks:
            return True
        if len(same) >= ASKS_MAX // 2:
            for other in same:
                del self._asks[other]
            ask = everything
        if len(self._asks) < WAITING_MAX and self._asked.may_ask(ask, now):
            self._asks[ask] = None
            self.hurry(now, self.rules.soon_us // 2)
            return True
        return False

    def remind(self, now: int) -> None:
        """See to it that there will be room for a question that was not answered."""
        self.hurry(now, self._asked.name_again_us)

    def answered(self, short: bytes) -> None:
        """Do not ask for a name that was told."""
        for ask in [ask for ask in self._asks if ask.short == short != ask.teller]:
            del self._asks[ask]

    def heard_ask(self, ask: Ask, now: int) -> None:
        """Do not ask what another has just asked: the answer is for all in earshot."""
        self._asks.pop(ask, None)
        self._asked.may_ask(ask, now)

    # --- what is said -----------------------------------------------------------------------------

    def due_us(self) -> int:
        """Return when `build` has something."""
        if self._soon_us is None:
            return self._turn_us
        return min(max(self._soon_us, self._credit.paid_us(awaited=self._urgent)), self._turn_us)

    @property
    def awaited(self) -> bool:
        """Tell whether somebody waits for what is to be said soon."""
        asked = any(row.asked for row in self.rows.values() if row.repeats)
        return asked or self._own_asked or bool(self._wants)

    @property
    def turn_due_us(self) -> int:
        """Return when all that is known is to be said, or the next part of it."""
        return self._turn_us

    def build(self, now: int, room: int, boot: int) -> Routes | None:
        """Return what is to be said now in at most `room` bytes; None: nobody has use of it."""
        full = self._turn_us <= now
        news = self._news()
        if not (news or full or self._own_asked or self._wants or self._asks):
            self._arm(now, 0, full=False)
            return None
        left = room - ROUTES_HEAD
        wants = tuple(self._wants)[: max(min(WANTS_MAX, left // WANT_LEN), 0)]
        left -= WANT_LEN * len(wants)
        asks = tuple(self._asks)[: max(min(ASKS_MAX, left // ASK_LEN), 0)]
        left -= ASK_LEN * len(asks)
        if full and not self._hello:
            self._learner.own.increase(now)
        period_us, said = self.period_us(), Making(left)
        kept_us = now + KEPT_PERIODS * period_us
        order = (*news, *self._rest(now - period_us // AGAIN, full=full))
        self._last = [row for row in order if self._say(row, said, now, kept_us)]
        period = min(-(-period_us // PERIOD_STEP_US), PERIOD_MAX)
        routes = Routes(
            self._learner.own.seqno,
            boot,
            period,
            tuple(said.entries),
            said.checks(self._own),
            tuple(said.named),
            tuple(Want(short, self._wants.pop(short)) for short in wants),
            asks,
        )
        for ask in asks:
            del self._asks[ask]
        self._last_own, self._own_asked = self._own_asked, False
        size, awaited = FRAME_COST + room - said.left, self._urgent and not full
        self._credit.spend(size, len(self._near) + 1, now, awaited=awaited)
        self._arm(now, len(said.entries) + len(said.named), full=full)
        return routes

    def unsaid(self, now: int) -> None:
        """Say again what was built last: it never left."""
        again = [row for row in self._last if self.rows.get(row.node) is row]
        for row in again:
            row.repeats = min(row.repeats + 1, 2)
        if self._last_own:
            self.answer_own(now)
        if again:
            self.hurry(now, self.rules.soon_us)

    def period_us(self) -> int:
        """Return in which time all that is known is told once: `share` bounds it from below."""
        rows = sum(map(self._worth, self.rows.values()))
        frames = rows // ENTRIES_MAX + 1
        size = rows * (ENTRY_LEN * GROUP + CHECK_LEN) // GROUP + frames * FRAME_COST
        whole_us = size * self.rules.byte_us * (len(self._near) + 1)
        return max(self.rules.period_us, round(whole_us / self.rules.share))

    def forget(self) -> None:
        """Forget rows of which there is nothing to say any more."""
        spare = len(self.rows) <= ROWS_MAX // 2
        for row in tuple(self.rows.values()):
            said = not row.repeats and not (row.lost and spare)
            gone = said and self.steps(row) == UNREACHABLE
            if gone and row.node not in self._near:
                del self.rows[row.node]
                short = row.node[:SHORT_LEN]
                rest = tuple(other for other in self._shorts[short] if other is not row)
                if rest:
                    self._shorts[short] = rest
                else:
                    del self._shorts[short]

    def _news(self) -> list[Row]:
        """Return the rows with news; at a start, as many tell the same, those that one may lack."""
        news = [row for row in self.rows.values() if row.repeats]
        if not self._hello:
            return news
        for row in news:
            if not (row.name or row.asked or row.wanted or self._lacked(row)):
                row.repeats = 0
        return [row for row in news if row.repeats]

    def _rest(self, before_us: int, *, full: bool) -> list[Row]:
        """Return what is said beside news: what is lost, in its turn the rest, the oldest first.

        What is lost, if that was said before `before_us` last. Beside the regular turns, one holds
        what somebody may lack, and the last of the start what was left out.
        """
        rest = [row for row in self.rows.values() if not row.repeats]
        lost = {row.node: row for row in rest if row.lost and row.said_us <= before_us}
        if not full:
            return list(lost.values())
        rest = [row for row in rest if row.node not in lost]
        rest = [row for row in rest if self._worth(row) and self._said_here(row)]
        if self._hello and not self._anew:
            late = self._hello == 1
            rest = [row for row in rest if (late and row.told is None) or self._lacked(row)]
        if self._regular_us is not None and not self._anew:
            newest_us = self.gain.newest_us
            rest = [row for row in rest if row.told is None or row.said_us < newest_us]
        return [*lost.values(), *sorted(rest, key=_said_us)]

    def _said_here(self, row: Row) -> bool:
        """Tell whether a word on a node says more than the list of who is heard does."""
        unknown = row.told is None and self.steps(row) == UNREACHABLE
        return not unknown or self.gain.hear is None

    def _lacked(self, row: Row) -> bool:
        """Tell whether a listener may not know what is to be said of a node."""
        steps, told = self.steps(row), row.told if row.told != UNREACHABLE else None
        if steps == UNREACHABLE:
            return told is not None or self._said_here(row)
        return self.gain.lacking(row.node, self._learner.table.entries.get(row.prefix), steps, told)

    def _worth(self, row: Row) -> bool:
        return row.node in self._near or self.steps(row) != UNREACHABLE

    def _say(self, row: Row, said: Making, now: int, kept_us: int) -> bool:
        """Add a row if there is room for it, in short where that will be understood."""
        steps, seqno, node = self.steps(row), None, row.node
        entry = self._learner.table.entries.get(row.prefix)
        if steps != UNREACHABLE and entry is not None and entry.selected is not None:
            seqno = self._seqno(entry, entry.selected, latest=row.asked)
        plain = row.common >= COMMON and not row.name and self._spoken.plain(node, seqno)
        if not said.takes(plain=plain):
            return False
        if seqno is not None and not self._promise(entry, (seqno, steps * METRIC_STEP), kept_us):
            steps, seqno = UNREACHABLE, None
        heard = node in self._near
        if plain:
            low = (seqno or 0) % SEQNO_MODULUS
            said.entries.append(RouteEntry(node[:SHORT_LEN], low, steps, heard))
            said.meant.append((node, seqno or 0))
        else:
            said.named.append(NamedEntry(node, seqno or 0, steps, heard))
            row.named_us = now
        if seqno is not None:
            self._spoken.note(node, seqno)
        if steps != UNREACHABLE:
            row.lost = 0
        elif row.told not in (None, UNREACHABLE):
            row.lost = LOST
        elif not row.repeats:
            row.lost = max(row.lost - 1, 0)
        row.said_us, row.told = now, steps
        row.repeats = max(row.repeats - 1, 0)
        row.name = row.asked = False
        row.common += not plain
        if row.wanted is not None and seqno is not None and not newer(row.wanted[0], seqno):
            row.wanted = None
        return True

    def _seqno(self, entry: Entry, route: Route, *, latest: bool) -> int:
        """Return the seqno to tell: that of the last announcement, on any link, while it holds.

        A later one alone is no news there, and told here would make the others' routes unfeasible.
        An earlier one would be worth nothing to whoever needed this one.
        """
        said = entry.said
        if said is None or latest or not entry.says(route):
            return route.seqno
        source = self._learner.sources.get(entry.prefix, route.router_id)
        return said[1] if source is None or newer(said[1], source.seqno) else source.seqno

    def _promise(self, entry: Entry | None, distance: tuple[int, int], kept_us: int) -> bool:
        """Note the feasibility distance of what is told (RFC 8966 §3.7.3)."""
        route = entry.selected if entry is not None else None
        assert entry is not None and route is not None
        key, via = (entry.prefix, route.router_id), route.neighbour
        if self._learner.sources.announced(key, *distance, via, now=kept_us):
            return True
        self._learner.ctx.drop(DropReason.BABEL_SOURCES_FULL, via.link.name)
        return False

    def _arm(self, now: int, said: int, *, full: bool) -> None:
        rules, jitter = self.rules, self._learner.ctx.jitter
        again = [row for row in self.rows.values() if row.repeats]
        self._soon_us = None
        self._urgent = False
        if again or self._wants or self._asks:
            left = self._wants or self._asks or any(row.repeats > 1 or row.name for row in again)
            wait = rules.soon_us if left else STILL * rules.soon_us
            self._soon_us = now + wait + jitter(0, wait)
            self._urgent = bool(self._wants) or any(row.asked for row in again)
        if not full:
            return
        early, self._hello, self._anew = self._hello > 0, max(self._hello - 1, 0), False
        if self._regular_us is not None and not self._hello:
            self._turn_us, self._regular_us = max(self._regular_us, now + rules.soon_us), None
            return
        if early:
            spread = rules.soon_us * (4 << (3 - self._hello))
        else:
            rows = sum(map(self._worth, self.rows.values()))
            part_us = self.period_us() * min(said, rows) // rows if rows else self.period_us()
            spread = max(part_us, rules.soon_us)
        self._turn_us = now + spread // 2 + jitter(0, spread)


def _awaited(row: Row, route: Route, now: int) -> bool:
    """Tell whether somebody waits for just such a route."""
    if row.wanted is None:
        return False
    seqno, until_us = row.wanted
    return now < until_us and meets(route, row.prefix.address[8:], seqno)


def _said_us(row: Row) -> int:
    return row.said_us
