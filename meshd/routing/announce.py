"""What leaves on each link: hellos, greetings, dumps, triggered updates (RFC 8966 §3.4, §3.7).

Enters: prefixes whose announcement changed, and timers. Leaves: datagrams. Changes are gathered for
at most 30 ms; retractions and changed router-ids leave at once. Each change is sent three times
(twice on wires), since multicast frames are not acknowledged; one of the metric alone, once; many
at once are said again by an early dump, which whoever hears it twice need not read twice. The
periodic dump travels in pages whose bytes stay the same while nothing on them changed, so that
nobody builds or reads them again: a small one alone, a wide one along with the hellos. What is
wanted at once of a large table leaves with pauses, and what a link carries
of tables and answers has a budget: who asks often waits for the next multicast dump.
Must not know: where routes come from, what neighbours asked.
"""

from collections.abc import Iterable

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Link, LinkKind, Transmit
from meshd.core.ids import ALL_BABEL_ROUTERS, Prefix
from meshd.core.limits import BABEL_PORT
from meshd.neighbour.cost import INFINITY
from meshd.neighbour.table import Neighbour, NeighbourTable
from meshd.routing.answers import Answers
from meshd.routing.outlet import Job, Made, Outlet, Radio, Round
from meshd.routing.own import Own
from meshd.routing.pages import PAGE, Pages
from meshd.routing.source import SourceTable
from meshd.routing.table import RouteTable
from meshd.routing.updates import UPDATE_INTERVAL_US, WIDE_INTERVAL_US, Updates, retraction
from meshd.wire import babel, babel_words
from meshd.wire.babel import CS_US, Hello, Ihu, Retraction, RouteRequest, SeqnoRequest, Tlv, Update

HELLO_INTERVAL_US = 4_000_000
HELLO_JITTER_US = 50_000
FIRST_JITTER_US = 1_000_000
"""Nodes that came up together do not say hello together for ever."""

IHU_EVERY_HELLOS = 3
UPDATE_JITTER_US = 500_000
TRIGGER_JITTER_US = 30_000
URGENT_EVERY_US = 20_000
URGENT_BURST_US = 3 * URGENT_EVERY_US
"""Urgent words leave at once, four of them; of a flood that comes one by one all leave together."""

METRIC_DELAY_US = 300_000
REPEAT_US = (250_000, 1_000_000)
EARLY_US = (50_000, 150_000, 800_000)
"""Pauses between the repeated first hellos of a link: 50 ms, 200 ms and 1 s after it came up."""

EARLY_DUMP_US = (2_000_000, 4_000_000)
"""What a lossy link swallowed of the first triggered updates is said again after 2 s and 6 s."""

BULK_DUMP_US = 1_000_000
"""When more than a page waits to be repeated, a dump so soon repeats all but the lost."""

PART = 2
"""Pages of a dump sent at once; the next as many follow after `PART_EVERY_US`."""

PART_EVERY_US = 20_000
DUMP_GATHER_US = 200_000
"""How long we wait for others who also ask, before one dump answers them all."""

ACK_WITHIN_CS = 50
UDP_HEADERS_LEN = 48
PACKET_LEN_MAX = 1452


class Announcer:
    """Builds and sends everything that a Babel speaker says unasked, and plain answers."""

    def __init__(
        self,
        ctx: Context,
        own: Own,
        *,
        neighbours: NeighbourTable,
        table: RouteTable,
        sources: SourceTable,
    ) -> None:
        self._ctx = ctx
        self._own = own
        self._neighbours = neighbours
        self._asks: dict[Neighbour, list[Tlv]] = {}
        self._owed: dict[Neighbour, dict[Prefix, None]] = {}
        self.outlets: dict[str, Outlet] = {}
        self.radios: dict[str, Radio] = {}
        self.pages = Pages()
        for prefix in own.prefixes:
            self.pages.touch(prefix)
        self._words = Updates(ctx, own, table=table, sources=sources, pages=self.pages)

    # --- links ------------------------------------------------------------------------------------

    def link_up(self, link: Link, now: int) -> None:
        """Say hello, ask for routes, and repeat both early until somebody answers."""
        outlet = Outlet(link, self._ctx.jitter(0, 0xFFFF), now)
        self.outlets[link.name] = outlet
        timers = self._ctx.timers
        self._say_hello_and_ask(outlet)
        timers.set(("routing", "early", link.name), now + EARLY_US[0])
        first = HELLO_INTERVAL_US - self._ctx.jitter(0, FIRST_JITTER_US)
        timers.set(("routing", "hello", link.name), now + first)
        self._next_dump(outlet, now)

    def link_down(self, name: str) -> None:
        """Stop sending on a link."""
        self.outlets.pop(name, None)
        for why in ("early", "hello", "dump", "part", "flush", "repeat"):
            self._ctx.timers.cancel(("routing", why, name))

    def early(self, outlet: Outlet, now: int) -> None:
        """Send further hellos while nobody answers: the first may have been lost.

        babeld wants two of them before it takes a wire for good.
        """
        name = outlet.link.name
        if any(neighbour.cost != INFINITY for neighbour in self._neighbours.on(name)):
            return
        outlet.hello_seqno = outlet.hello_seqno + 1 & 0xFFFF
        self._say_hello_and_ask(outlet)
        outlet.early += 1
        if outlet.early < len(EARLY_US):
            self._ctx.timers.set(("routing", "early", name), now + EARLY_US[outlet.early])

    def _say_hello_and_ask(self, outlet: Outlet) -> None:
        self.multicast(outlet, (self._hello(outlet), RouteRequest(None)))

    # --- neighbours -------------------------------------------------------------------------------

    def hello(self, outlet: Outlet, now: int) -> None:
        """Send the scheduled hello, with IHUs when they are due.

        With pages of a dump behind it, a hello has a third of the IHUs, not each third one all.
        """
        outlet.hello_seqno = outlet.hello_seqno + 1 & 0xFFFF
        outlet.hellos += 1
        turn, each = outlet.hellos, int(outlet.round is not None)
        tlvs: list[Tlv] = [self._hello(outlet)]
        for place, neighbour in enumerate(self._neighbours.on(outlet.link.name)):
            if (turn + place * each) % IHU_EVERY_HELLOS == 0 or not neighbour.clean:
                tlvs.append(_ihu(neighbour))
        for data in self._along(outlet, tlvs, now):
            self._transmit(outlet.link, ALL_BABEL_ROUTERS, data)
        wait = HELLO_INTERVAL_US - self._ctx.jitter(0, HELLO_JITTER_US)
        self._ctx.timers.set(("routing", "hello", outlet.link.name), now + wait)

    def _along(self, outlet: Outlet, tlvs: list[Tlv], now: int) -> list[bytes]:
        """Return packets of a hello with its IHUs, and of the pages of the dump that go along.

        The first page rides in the same packet, behind them, when there is room.
        """
        size_max = _size_max(outlet.link)
        packets = babel.pack(tlvs, outlet.link.address, size_max)
        if outlet.round is None or not self._neighbours.on(outlet.link.name):
            return packets
        due = outlet.round.due(len(self.pages), now + HELLO_INTERVAL_US)
        pages = [data for number in due for data in self._page(outlet, number, now)]
        for data in pages:
            outlet.budget.owe(len(data))
        if pages and len(packets) == 1:
            together = babel.joined(packets[0], pages[0])
            if len(together) <= size_max:
                return [together, *pages[1:]]
        return packets + pages

    def greet(self, neighbour: Neighbour, now: int, *, ask: bool) -> None:
        """Send one neighbour all it needs at once: hello, IHU, our routes, and our question.

        The hello is the last multicast one again, so that it counts for link costs. Who did not
        tell how it hears us is asked for an acknowledgment the next time. The routes
        come by a multicast dump instead when the link has carried many of late.
        """
        outlet = self.outlets[neighbour.link.name]
        neighbour.greeted_us = now
        tlvs: list[Tlv] = [self._hello(outlet), _ihu(neighbour)]
        if ask:
            tlvs.append(RouteRequest(None))
        if neighbour.greetings and neighbour.txcost == INFINITY:
            neighbour.ask_ack(outlet.hello_seqno)
            tlvs.append(babel.AckRequest(outlet.hello_seqno, ACK_WITHIN_CS))
        if not neighbour.may_dump(now):
            self._ctx.drop(DropReason.BABEL_DUMP_LIMITED, outlet.link.name)
        elif outlet.job is not None or outlet.budget.wait_us(now):
            wait = max(outlet.budget.wait_us(now), DUMP_GATHER_US)
            self._ctx.timers.set_earlier(("routing", "dump", outlet.link.name), now + wait)
        else:
            for number in range(min(PART, len(self.pages))):
                tlvs.extend(self._words.standing(outlet, self.pages[number].prefixes, now))
            if len(self.pages) > PART:
                outlet.job = Job(neighbour.address, PART)
                self._next_part(outlet, now)
            outlet.budget.owe(self.unicast(neighbour, tlvs))
            return
        self.unicast(neighbour, tlvs)

    def _hello(self, outlet: Outlet) -> Hello:
        return Hello(outlet.hello_seqno, HELLO_INTERVAL_US // CS_US)

    # --- routes -----------------------------------------------------------------------------------

    def changed(self, prefix: Prefix, now: int, *, urgent: bool = False) -> None:
        """Announce `prefix` on all links: at once when urgent, else within 30 ms; then again."""
        for outlet in self.outlets.values():
            outlet.pending[prefix] = True
            if urgent:
                outlet.urgent = True
            else:
                wait = self._ctx.jitter(0, TRIGGER_JITTER_US)
                self._ctx.timers.set_earlier(("routing", "flush", outlet.link.name), now + wait)

    def tell(self, prefix: Prefix, askers: Iterable[Neighbour]) -> None:
        """Announce `prefix` at once to the neighbours that asked for it; who needs it asks."""
        for asker in askers:
            self._owed.setdefault(asker, {})[prefix] = None

    def changed_own(self, now: int) -> None:
        """Announce our own prefixes at once: their seqno rose."""
        for prefix in self._own.prefixes:
            self.pages.touch(prefix)
            self.changed(prefix, now, urgent=True)

    def drifted(self, prefix: Prefix, now: int) -> None:
        """Announce `prefix`, of which only the metric changed: once, and not so soon."""
        for outlet in self.outlets.values():
            outlet.pending.setdefault(prefix, False)
            wait = METRIC_DELAY_US + self._ctx.jitter(0, TRIGGER_JITTER_US)
            self._ctx.timers.set_earlier(("routing", "flush", outlet.link.name), now + wait)

    def ask(self, neighbour: Neighbour, request: SeqnoRequest | RouteRequest) -> None:
        """Ask one neighbour, together with what else it is asked by `flush_urgent`."""
        self._asks.setdefault(neighbour, []).append(request)

    def resend_us(self, targets: Iterable[Neighbour], quick: tuple[int, ...]) -> tuple[int, ...]:
        """Return after which times a request is sent again: `quick`, then those of a radio."""
        names = dict.fromkeys(target.link.name for target in targets)
        slow = [self.radios[name].resend_us() for name in names if name in self.radios]
        return (quick if len(slow) < len(names) else ()) + max(slow, default=())

    def flush_urgent(self, now: int) -> None:
        """Send what may not wait, and with it what else is pending."""
        if self._asks:
            asks, self._asks = self._asks, {}
            for neighbour, requests in asks.items():
                self.unicast(neighbour, requests)
        if self._owed:
            owed, self._owed = self._owed, {}
            for neighbour, prefixes in owed.items():
                told = self.outlets.get(neighbour.link.name)  # radios have words of their own
                if told is not None:
                    self.unicast(neighbour, self._words.news(told, prefixes, now))
        for outlet in self.outlets.values():
            if outlet.urgent:
                at = max(outlet.urgent_us, now - URGENT_BURST_US)
                if at <= now:
                    outlet.urgent_us = at + URGENT_EVERY_US
                    self.flush(outlet, now)
                else:
                    self._ctx.timers.set_earlier(("routing", "flush", outlet.link.name), at)
        for radio in self.radios.values():
            radio.flush(now)

    def flush(self, outlet: Outlet, now: int) -> None:
        """Send the pending triggered updates of a link."""
        name = outlet.link.name
        self._ctx.timers.cancel(("routing", "flush", name))
        pending, outlet.pending, outlet.urgent = outlet.pending, {}, False
        if not pending or not self._neighbours.on(name):
            return
        self.multicast(outlet, self._words.news(outlet, pending, now))
        copies = 1 if outlet.link.kind is LinkKind.WIRED else len(REPEAT_US)
        again = [prefix for prefix, repeated in pending.items() if repeated]
        for prefix in again:
            outlet.repeats[prefix] = copies
        if len(outlet.repeats) > PAGE:
            self._leave_to_dump(outlet, now)
        if again and outlet.repeats:
            self._ctx.timers.set_earlier(("routing", "repeat", name), self._repeat_at(copies, now))

    def _leave_to_dump(self, outlet: Outlet, now: int) -> None:
        """Let an early dump repeat what has a route; it does not name what is lost."""
        lost = {p: left for p, left in outlet.repeats.items() if self.announced(p) is None}
        outlet.repeats = lost
        at = now + BULK_DUMP_US
        self._ctx.timers.set_earlier(("routing", "dump", outlet.link.name), at)

    def repeat(self, outlet: Outlet, now: int) -> None:
        """Send triggered updates again, as they are now."""
        due = outlet.repeats
        outlet.repeats = {prefix: left - 1 for prefix, left in due.items() if left > 1}
        if not due or not self._neighbours.on(outlet.link.name):
            return
        self.multicast(outlet, self._words.news(outlet, due, now))
        for prefix in due:
            if prefix not in outlet.repeats and self._words.update(outlet, prefix, now) is None:
                outlet.said.discard(prefix)
        if outlet.repeats:
            at = self._repeat_at(1, now)
            self._ctx.timers.set(("routing", "repeat", outlet.link.name), at)

    def dump(self, outlet: Outlet, now: int) -> None:
        """Start on the full dump; the same bytes as last time when nothing changed.

        That of a wide table goes along with the hellos, unless somebody waits for it.
        """
        if outlet.job is not None:
            self._ctx.timers.set(("routing", "dump", outlet.link.name), now + DUMP_GATHER_US)
            return
        for number in range(len(self.pages), len(outlet.dumped)):
            outlet.dumped.pop(number, None)
        at_once = outlet.round is None or now < outlet.planned_us
        self.pages.ripen(now)
        self._next_dump(outlet, now)
        wide = self._words.wide and outlet.dumps > len(EARLY_DUMP_US)
        outlet.round = Round(now, WIDE_INTERVAL_US - UPDATE_JITTER_US) if wide else None
        if (at_once or outlet.round is None) and self._neighbours.on(outlet.link.name):
            outlet.job = Job(ALL_BABEL_ROUTERS)
            self.part(outlet, now)

    def part(self, outlet: Outlet, now: int) -> None:
        """Send the next part of a dump, as its routes are now."""
        job = outlet.job
        if job is None:
            return
        first, job.page = job.page, min(job.page + PART, len(self.pages))
        for number in range(first, job.page):
            for data in self._page(outlet, number, now):
                self._transmit(outlet.link, job.destination, data)
                outlet.budget.owe(len(data))
        if job.page < len(self.pages):
            self._next_part(outlet, now)
        else:
            outlet.job = None

    def _page(self, outlet: Outlet, number: int, now: int) -> list[bytes]:
        """Return the packets of a page, made anew when it changed since the last dump.

        Of one packet, only what changed is made anew.
        """
        page, interval_us = self.pages[number], self._words.interval_us
        made = outlet.dumped.get(number)
        packets: list[bytes] = []
        version = page.version
        if made is not None and made.page is page and made.interval_us == interval_us:
            if made.version == version:
                return made.packets
            packets = self._renewed(outlet, made, now)
        if not packets:
            tlvs = self._words.standing(outlet, page.prefixes, now)
            packets = babel.pack(tlvs, outlet.link.address, _size_max(outlet.link))
        outlet.dumped[number] = Made(page, version, interval_us, packets)
        return packets

    def _renewed(self, outlet: Outlet, made: Made, now: int) -> list[bytes]:
        """Return the packet of a page with other words for what changed; nothing if it cannot."""
        if len(made.packets) != 1:
            return []
        news: dict[Prefix, Update | None] = {}
        for prefix, version in made.page.prefixes.items():
            if version > made.version:
                news[prefix] = self._words.update(outlet, prefix, now, lazy=True)
                if news[prefix] is not None:
                    outlet.said.add(prefix)
        address, known = outlet.link.address, made.page.prefixes
        data = babel_words.exchanged(made.packets[0], known, news, address)
        return [data] if data is not None and len(data) <= _size_max(outlet.link) else []

    def answer(self, neighbour: Neighbour, answers: Answers, now: int) -> None:
        """Send a neighbour what one packet of it asked for: acknowledgments, routes, retractions.

        It has a small share of its own; what is more comes from the link's, if that has any left.
        """
        outlet = self.outlets[neighbour.link.name]
        tlvs: list[Tlv] = [babel.Ack(opaque) for opaque in answers.acks]
        for prefix in answers.prefixes:
            tlvs.append(self._words.update(outlet, prefix, now) or retraction(prefix, None))
        limited = answers.limited
        for data in babel.pack(tlvs, outlet.link.address, _size_max(outlet.link)):
            stranger = neighbour is outlet.strangers
            shared = not stranger and outlet.answers.take(len(data), now)
            if shared or neighbour.answers.take(len(data), now):
                self._transmit(outlet.link, answers.asker, data)
            else:
                limited = True
        if limited:
            self._ctx.drop(DropReason.BABEL_ANSWER_LIMITED, outlet.link.name)

    def farewell(self) -> None:
        """Retract everything on all links, twice, for nobody acknowledges it."""
        own = self._own
        cs = UPDATE_INTERVAL_US // CS_US
        tlvs: list[Tlv] = [Retraction(None, 0, cs)]
        for prefix in own.prefixes:
            tlvs.append(Retraction(prefix, own.seqno, cs, prefix.address[8:] == own.router_id))
        for outlet in self.outlets.values():
            self.multicast(outlet, tlvs)
            self.multicast(outlet, tlvs)

    # --- the way out ------------------------------------------------------------------------------

    def unicast(self, neighbour: Neighbour, tlvs: Iterable[Tlv]) -> int:
        """Send TLVs to one neighbour; return their bytes."""
        link, size = neighbour.link, 0
        if link.kind is LinkKind.RADIO:
            self.radios[link.name].say(neighbour, tlvs)
            return 0
        for data in babel.pack(tlvs, link.address, _size_max(link)):
            self._transmit(link, neighbour.address, data)
            size += len(data)
        return size

    def multicast(self, outlet: Outlet, tlvs: Iterable[Tlv]) -> None:
        """Send TLVs to all on a link."""
        for data in babel.pack(tlvs, outlet.link.address, _size_max(outlet.link)):
            self._transmit(outlet.link, ALL_BABEL_ROUTERS, data)

    def _transmit(self, link: Link, destination: bytes, data: bytes) -> None:
        self._ctx.transmit(Transmit(link.name, BABEL_PORT, destination, data))

    # --- helpers ----------------------------------------------------------------------------------

    def announced(self, prefix: Prefix) -> bytes | None:
        """Return the router-id under which we announce `prefix` at present."""
        return self._words.announced(prefix)

    def _next_dump(self, outlet: Outlet, now: int) -> None:
        """Plan the next dump; the first two after a link came up are early."""
        wait = self._words.interval_us
        if outlet.dumps < len(EARLY_DUMP_US):
            wait = EARLY_DUMP_US[outlet.dumps]
        outlet.dumps += 1
        outlet.planned_us = now + wait - self._ctx.jitter(0, UPDATE_JITTER_US)
        self._ctx.timers.set(("routing", "dump", outlet.link.name), outlet.planned_us)

    def _next_part(self, outlet: Outlet, now: int) -> None:
        self._ctx.timers.set(("routing", "part", outlet.link.name), now + PART_EVERY_US)

    def _repeat_at(self, left: int, now: int) -> int:
        pause = REPEAT_US[-left]
        return now + pause + self._ctx.jitter(0, TRIGGER_JITTER_US)


def _ihu(neighbour: Neighbour) -> Ihu:
    cs = IHU_EVERY_HELLOS * HELLO_INTERVAL_US // CS_US
    neighbour.told_rxcost = neighbour.rxcost
    return Ihu(neighbour.address, neighbour.rxcost, cs)


def _size_max(link: Link) -> int:
    room = link.mtu - UDP_HEADERS_LEN
    return PACKET_LEN_MAX if room >= PACKET_LEN_MAX else max(room, 512)
