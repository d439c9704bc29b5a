"""Devices for tests of spaces: the real `Spaces` over the real store in memory, in virtual time.

`meet` stands in for sync: it offers every durable entry to the other side until nothing moves.
"""

from hashlib import blake2b
from random import Random

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import EntriesQuery, Notice, Reply, StoreAppend, StoreRead
from meshd.core.identity import Identity
from meshd.space.feed import JoinAnswered
from meshd.space.spaces import Spaces
from meshd.store.interface import StoreError
from meshd.store.memory import MemoryStore

SECOND = 1_000_000
WALL_S = 1_800_000_000


class Device:
    """One node's spaces. Commits happen in `run`, unless `held`."""

    def __init__(self, name, *, wall=True, store=None):
        self.name = name
        self._drawn = 0
        self.identity = Identity(self.entropy(32), self.entropy(32))
        self.store = store or MemoryStore()
        self.now = 0
        self.held = False
        self.wall = wall
        self.replies = {}
        self.notices = []
        self.events = []
        self.start()

    def entropy(self, size):
        self._drawn += 1
        seed = f"{self.name} {self._drawn}".encode()
        return blake2b(seed, digest_size=64).digest()[:size]

    def start(self):
        """Start, or start again with what the store holds."""
        self.waiting = []
        self.ctx = Context(rng=Random(self.name), entropy=self.entropy)
        self.spaces = Spaces(self.ctx, identity=self.identity, image=self.store.load())
        self.spaces.wall_offset_us = WALL_S * SECOND if self.wall else None

    def run(self):
        """Hand events to the store and back until all is quiet."""
        while self.ctx.events:
            event = self.ctx.events.popleft()
            if isinstance(event, StoreAppend):
                self.waiting.append(event)
                if not self.held:
                    self.commit()
            elif isinstance(event, StoreRead):
                self.ctx.read_finished(event.token)
                answer = self.store.answer(event.query)
                self.spaces.read_done(event.token, answer, self.now)
            elif isinstance(event, Reply):
                self.replies[event.ticket] = event
            elif isinstance(event, Notice):
                self.notices.append(event)
        while (event := self.spaces.poll_event()) is not None:
            self.events.append(event)

    def commit(self):
        """Commit what waits; a failure reopens the store as the daemon does."""
        waiting, self.waiting = self.waiting, []
        try:
            self.store.commit([append.rows for append in waiting])
        except StoreError as error:
            for append in waiting:
                self.spaces.commit_failed(append.number, error.text, self.now)
            image = self.store.reopen()
            self.spaces.reload(image, self.now)
            self.reloaded(image)
        else:
            for append in waiting:
                self.spaces.committed(append.number, self.now)

    def reloaded(self, image):
        """Other parts go on from what the store really holds."""

    def ask(self, verb, **args):
        """Make a request; return its Reply, or None while it waits."""
        ticket = len(self.replies) + 1000
        self.spaces.requests[verb](args, ticket, self.now)
        self.run()
        return self.replies.get(ticket)

    def wait(self, delay_us):
        """Let virtual time pass."""
        self.now += delay_us
        for key in self.ctx.timers.expired(self.now):
            self.spaces.handle_timer(key, self.now)
        self.run()

    def space(self, name="home"):
        return self.spaces.find(name)

    def entries(self, space):
        """Every durable entry of a space, feed by feed."""
        if isinstance(self.store, MemoryStore):
            for (held, author), feed in self.store.entries.items():
                if held == space.id:
                    yield from ((author, feed[seq]) for seq in sorted(feed))
            return
        for feed in self.store.load().feeds:
            if feed.space == space.id:
                query = EntriesQuery(feed.space, feed.author, 1, feed.seq, 1 << 30)
                for data in self.store.answer(query):
                    yield feed.author, data

    def log(self, name="home", **args):
        return self.ask("log", space=name, **args).value["entries"]

    def texts(self, name="home"):
        return [entry["text"] for entry in self.log(name) if "text" in entry]

    def kinds(self, kind):
        return [notice for notice in self.notices if notice.kind == kind]


def founder(name="anna", space="home", **args):
    """A device with one space."""
    device = Device(name, **args)
    device.ask("space.create", name=space, **{"as": name})
    return device


def join(device, admitter, url, *, name=None):
    """Ask one admitter; return the space, or the reason of the refusal."""
    joining = device.spaces.joins.start(url, name or device.name)
    return answer_join(device, admitter, joining)


def answer_join(device, admitter, joining):
    refused = admitter.spaces.joins.answer(joining.request, 7, admitter.now)
    admitter.run()
    if refused is not None:
        return refused
    answers = [event for event in admitter.events if isinstance(event, JoinAnswered)]
    if not answers:
        return None
    space = device.spaces.joins.finish(joining.space, answers[-1].answer, lambda why, now: None)
    device.run()
    return space


def joined(name, admitter, *, role="writer", space="home", **args):
    """A new device that joined by a fresh invitation and synced."""
    device = Device(name, **args)
    url = admitter.ask("invite", space=space, role=role).value["url"]
    join(device, admitter, url)
    meet(device, admitter)
    return device


def offer(giver, taker):
    """Offer every entry once; return how many were new and the reasons of refusals."""
    new, refused = 0, []
    for space in giver.spaces.all():
        other = taker.spaces.get(space.id)
        if other is None:
            continue
        for author, data in list(giver.entries(space)):
            result = taker.spaces.accept(other, author, data, taker.now)
            if isinstance(result, DropReason):
                refused.append(result)
            new += type(result).__name__ == "Accepted"
    taker.run()
    return new, refused


def meet(*devices):
    """Let devices sync with each other until nothing moves; return the last refusals."""
    moved, refused = True, []
    while moved:
        moved, refused = False, []
        for giver in devices:
            for taker in devices:
                if giver is not taker:
                    new, reasons = offer(giver, taker)
                    moved = moved or new > 0
                    refused += reasons
    return refused
