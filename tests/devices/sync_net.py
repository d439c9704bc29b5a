"""Houses that sync: the real `Sync`, `Spaces` and memory store, joined by in-memory sessions.

Everything happens in virtual time and in one order a seed: records arrive in order after a delay,
commits and reads take their time. A session that is cut loses what is under way.
"""

from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from random import Random

from meshd.core.context import Context
from meshd.core.crypto import digest
from meshd.core.errors import RequestError
from meshd.core.events import Notice, Progress, Reply, StoreAppend, StoreRead
from meshd.core.identity import Identity
from meshd.session.events import RecordReceived, SessionDown, SessionRoom, SessionUp
from meshd.space.spaces import Spaces
from meshd.store.interface import StoreError
from meshd.store.memory import MemoryStore
from meshd.sync.sync import Sync
from meshd.wire import sync_messages as wire

MS = 1000
SECOND = 1_000_000
WALL_S = 1_800_000_000
QUEUE_BYTES = 512 * 1024


class NoFiles:
    """Takes what sync hands to files, and keeps it for tests."""

    kept_bytes = 0

    def __init__(self):
        self.seen = []

    def __getattr__(self, name):
        return lambda *args, **named: self.seen.append((name, *args))


class MemorySessions:
    """One house's sessions: records go to the other end of the pipe after its delay."""

    def __init__(self, house):
        self.house = house
        self.ends = {}
        self.flying = {}
        self.full = set()
        self.closed = []
        self.wanted = []
        self.unwanted = []
        self.thin = set()
        self.sent = []
        self.hold = False

    def room(self, session):
        if session not in self.ends or self.hold:
            return 0
        return max(0, QUEUE_BYTES - self.flying[session])

    def use(self, session):
        """The roster's business."""

    def send(self, session, record):
        if len(record) > self.room(session):
            self.full.add(session)
            return False
        net = self.house.net
        self.flying[session] += len(record)
        if self.flying[session] > QUEUE_BYTES // 2:
            self.full.add(session)
        self.sent.append((session, record))
        other, their_session, delay_us = self.ends[session]
        net.at(net.now + delay_us, self._arrive, session, other, their_session, record)
        return True

    def _arrive(self, session, other, their_session, record):
        if session not in self.ends:
            return
        self.flying[session] -= len(record)
        other.session_event(RecordReceived(their_session, record))
        if session in self.full and self.flying[session] <= QUEUE_BYTES // 2 and not self.hold:
            self.full.discard(session)
            self.house.session_event(SessionRoom(session))

    def close(self, session, why, now):
        self.closed.append((session, why))
        if session in self.ends:
            self.house.net.at(now, self.house.net.cut_session, self.house, session)

    def want(self, node, now):
        self.wanted.append(node)
        self.house.net.wanted(self.house, node)

    def unwant(self, node, now):
        self.unwanted.append(node)

    def is_thin(self, node):
        return node in self.thin


class House:
    """One node, without routing and without files."""

    def __init__(self, net, name, **options):
        self.net = net
        self.name = name
        self.options = options
        self._drawn = 0
        self.identity = Identity(self.entropy(32), self.entropy(32))
        self.node = self.identity.node
        self.store = MemoryStore()
        self.files = NoFiles()
        self.replies = {}
        self.progress = []
        self.notices = []
        self.tickets = count(1)
        self.commit_us = 2 * MS
        self.read_us = 1 * MS
        self.boot()

    def boot(self):
        """Start, or start again with what the store holds."""
        self.running = object()
        self.ctx = Context(rng=Random(self.name), entropy=self.entropy)
        image = self.store.load()
        self.spaces = Spaces(self.ctx, identity=self.identity, image=image)
        self.spaces.wall_offset_us = WALL_S * SECOND
        self.sessions = MemorySessions(self)
        self.sync = Sync(
            self.ctx, self.spaces, self.sessions, self.files, image=image, **self.options
        )
        self.sync.start(self.net.now)
        self.drain()

    def entropy(self, size):
        self._drawn += 1
        text = f"{self.net.seed} {self.name} {self._drawn}".encode()
        return blake2b(text, digest_size=64).digest()[:size]

    # inputs

    def session_event(self, event):
        self.sync.session_event(event, self.net.now)
        self.drain()

    def timer(self):
        for key in self.ctx.timers.expired(self.net.now):
            owner = {"sync": self.sync, "space": self.spaces}[key[0]]
            owner.handle_timer(key, self.net.now)
            self.drain()

    def drain(self):
        """Hand events on until all is quiet."""
        while True:
            if (event := self.spaces.poll_event()) is not None:
                self.sync.space_event(event, self.net.now)
            elif self.ctx.events:
                self._take(self.ctx.events.popleft())
            else:
                return

    def _take(self, event):
        later = self.net.now
        match event:
            case StoreAppend():
                self.net.at(later + self.commit_us, self._commit, event, self.running)
            case StoreRead():
                self.net.at(later + self.read_us, self._read, event, self.ctx)
            case Reply():
                self.replies[event.ticket] = event
            case Progress():
                self.progress.append(event)
            case Notice():
                self.notices.append(event)

    def _commit(self, append, running):
        """Commit; when one fails, what was asked for before that fails with it."""
        if running is not self.running:
            return
        try:
            self.store.commit([append.rows])
        except StoreError as error:
            self.spaces.commit_failed(append.number, error.text, self.net.now)
            self.running = (self.running,)
            self.spaces.reload(self.store.reopen(), self.net.now)
            self.sync.reload(self.store.load(), self.net.now)
        else:
            self.spaces.committed(append.number, self.net.now)
        self.drain()

    def _read(self, read, context):
        name = None if context is not self.ctx else self.ctx.read_finished(read.token)
        if name is None:
            return
        owner = {"sync": self.sync, "space": self.spaces}[name]
        owner.read_done(read.token, self.store.answer(read.query), self.net.now)
        self.drain()

    # what people do

    def ask(self, verb, **args):
        """Make a request; return its ticket, or the RequestError."""
        ticket = next(self.tickets)
        requests = self.spaces.requests | self.sync.requests
        try:
            requests[verb](args, ticket, self.net.now)
        except RequestError as error:
            return error
        self.drain()
        return ticket

    def tell(self, verb, *, within=SECOND, **args):
        """Make a request and wait for the reply."""
        ticket = self.ask(verb, **args)
        assert isinstance(ticket, int), ticket
        self.net.run(within, until=lambda: ticket in self.replies)
        return self.replies[ticket]

    def post(self, text, space="home"):
        return self.ask("post", space=space, text=text)

    def texts(self, space="home"):
        entries = self.tell("log", space=space, limit=500).value["entries"]
        return sorted(entry["text"] for entry in entries if "text" in entry)

    @property
    def home(self):
        """The only space here."""
        (space,) = self.spaces.all()
        return space

    def heads(self, space=None):
        space = space or self.home
        feeds = space.feeds.items()
        return {author: (feed.seq, feed.hash32) for author, feed in feeds if feed.seq}

    def drops(self, reason):
        return self.ctx.drops.total(reason)

    def messages(self, kind):
        """Return the sent messages of one type."""
        sent = (wire.decode(record) for _, record in self.sessions.sent)
        return [message for message in sent if isinstance(message, kind)]


class Puppet:
    """A peer that says what the test tells it to; `public` may be borrowed from a house."""

    def __init__(self, net, name="mallory", identity=None):
        seed = blake2b(name.encode()).digest()
        self.net = net
        self.name = name
        self.identity = identity or Identity(seed[:32], seed[32:])
        self.node = self.identity.node
        self.sessions = MemorySessions(self)
        self.heard = []
        self.session = None

    def meet(self, house):
        """Open a session with a house and take its HELLO."""
        self.house = house
        self.session, _ = self.net.connect(self, house)
        self.net.run(10 * MS)
        return self

    def session_event(self, event):
        if isinstance(event, RecordReceived):
            self.heard.append(wire.decode(event.data))

    def say(self, *messages, within=10 * MS):
        for message in messages:
            record = message if isinstance(message, bytes) else message.encode()
            self.sessions.send(self.session, record)
        self.net.run(within)

    def of(self, kind):
        return [message for message in self.heard if isinstance(message, kind)]

    def share(self, space, nonce=bytes(16), number=7):
        """Behave like a member or relay: prove the fetch key of `space`; return its number here."""
        (hello,) = self.of(wire.Hello)
        text = self.identity.public + nonce + self.house.identity.public + hello.nonce
        tag = digest(text, key=space.fetch_key, size=wire.TAG_LEN, person=b"meshd-space-tag")
        self.say(wire.Hello(nonce), wire.SpaceTags((wire.SpaceTag(number, tag),)))
        return number


class SyncNet:
    """The clock, what is under way, and who is connected to whom."""

    def __init__(self, seed=0, delay_us=1 * MS):
        self.seed = seed
        self.rng = Random(seed)
        self.delay_us = delay_us
        self.now = 0
        self.houses = {}
        self.routed = False
        self._heap = []
        self._order = count()
        self._numbers = count(1)

    def at(self, when, action, *args):
        heappush(self._heap, (when, next(self._order), action, args))

    def house(self, name, **options):
        house = self.houses[name] = House(self, name, **options)
        return house

    def connect(self, one, other, *, via="link", delay_us=None):
        """Open a session; return (number at one, number at other)."""
        delay = self.delay_us if delay_us is None else delay_us
        here, there = next(self._numbers), next(self._numbers)
        one.sessions.ends[here] = (other, there, delay)
        other.sessions.ends[there] = (one, here, delay)
        one.sessions.flying[here] = other.sessions.flying[there] = 0
        one.session_event(SessionUp(here, other.node, other.identity.public, via, "w0"))
        other.session_event(SessionUp(there, one.node, one.identity.public, via, "w0"))
        return here, there

    def cut(self, one, other):
        for session, (house, _, _) in tuple(one.sessions.ends.items()):
            if house is other:
                self.cut_session(one, session)

    def cut_session(self, house, session):
        if session not in house.sessions.ends:
            return
        other, theirs, _ = house.sessions.ends.pop(session)
        other.sessions.ends.pop(theirs, None)
        house.session_event(SessionDown(session, other.node, "cut"))
        other.session_event(SessionDown(theirs, house.node, "cut"))

    def wanted(self, house, node):
        """Open a routed session, when routes are up and nobody did yet."""
        for other in self.houses.values():
            connected = any(end is other for end, _, _ in house.sessions.ends.values())
            if self.routed and other.node == node and not connected:
                self.at(self.now + 10 * MS, self._route, house, other)

    def _route(self, house, other):
        self.connect(house, other, via="route")

    def crash(self, house):
        """Take the power away: what was not committed is gone. Start again."""
        for session in tuple(house.sessions.ends):
            self.cut_session(house, session)
        house.boot()

    def run(self, duration_us, until=lambda: False):
        """Let time pass; stop early when `until` holds. Returns how long it took."""
        start, end = self.now, self.now + duration_us
        while not until():
            due = [at for house in self.houses.values() if (at := self._due(house)) is not None]
            if self._heap:
                due.append(self._heap[0][0])
            when = min(due, default=end + 1)
            if when > end:
                self.now = end
                break
            self.now = max(self.now, when)
            while self._heap and self._heap[0][0] <= self.now:
                _, _, action, args = heappop(self._heap)
                action(*args)
            for house in self.houses.values():
                house.timer()
        return self.now - start

    def _due(self, house):
        head = house.ctx.timers.next()
        return head[0] if head else None

    # what people do

    def founder(self, name="anna", **options):
        house = self.house(name, **options)
        assert house.tell("space.create", name="home", **{"as": name}).value
        return house

    def joined(self, name, admitter, *, role="writer", uses=1, **options):
        """A new house that joined by an invitation over a session that stays."""
        house = self.house(name, **options)
        self.connect(house, admitter)
        url = admitter.tell("invite", space="home", role=role, uses=uses).value["url"]
        reply = house.tell("join", url=url, within=20 * SECOND, **{"as": name})
        assert reply.value, reply
        self.run(SECOND)
        return house

    def chain(self, *roles):
        """Houses in a row, the first the founder, each connected to its neighbours only."""
        houses = [self.founder("h0")]
        for place, role in enumerate(roles, 1):
            house = self.joined(f"h{place}", houses[0], role=role)
            self.cut(house, houses[0])
            self.connect(house, houses[-1])
            houses.append(house)
        self.run(2 * SECOND)
        return houses
