"""What neighbours by one radio tell each other of what they hold: DIGESTS, and HEADS when need be.

Enters: digests and heads of neighbours, what this node holds, time. Leaves: the same of this node,
and findings: what a neighbour lacks, what this node lacks. Digests are said seldom (Trickle). A
neighbour in a former state of this node's lacks what came since. A state that is not known here
is answered after a while, when what is on its way has come, by this node's own: then one of both
knows what the other lacks, or neither does, and only then heads are said. While so much comes that
hardly two are in one state, no digest is answered by another: heads are said at once, and seldom.
States tell nothing of forks then: now and then feeds that rest at one number are looked at.
A word of a neighbour changes nothing but what is sent: it is no acknowledgement.
"""

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from meshd.core.trickle import Trickle
from meshd.space.space import Space
from meshd.sync.air.names import Names, blinded, head_of
from meshd.sync.air.states import SETTLE_US, State
from meshd.sync.air.symbols import Symbols
from meshd.wire.air_messages import (
    DIGESTS_HEAD,
    DIGESTS_MAX,
    FORKED,
    HEADS_HEAD,
    HEADS_MAX,
    STATE_LEN,
    TAG_LEN,
    Digest,
    Digests,
    Heads,
    fitting,
)
from meshd.wire.lora_payload import Sub
from meshd.wire.symbols import SymbolBatch

HEADS_AGAIN = 10
HEADS_DOUBLINGS = 8
"""Heads that nobody could use are said again after so many shortest intervals, twice that, …"""
NEIGHBOURS_MAX = 256
"""Words of neighbours that are remembered, and spaces they share."""
SHARED_US = 7_200_000_000
LACKS_MAX = 64
"""Entries that a neighbour may lack by its heads, as far as they are counted."""

Name = tuple[bytes, bytes]
"""(node, space)."""


class Pace(NamedTuple):
    """How a dialogue is paced.

    shortest_us, doublings, redundancy: of Trickle
    settle_us   what was applied since then may still be on its way to others; so with theirs;
                longer where the broadcast takes longer
    heads_us    how long heads wait: an answer may come that makes them needless
    spoken_us   so long others are taken to remember what this node said
    look_us     how often a space in which much comes is looked through for forks
    """

    shortest_us: int
    doublings: int
    redundancy: int
    settle_us: int
    heads_us: tuple[int, int]
    spoken_us: int
    look_us: int


NEAR = Pace(30_000_000, 5, 2, SETTLE_US[0], (5_000_000, 15_000_000), 600_000_000, 900_000_000)
"""Among neighbours."""
FAR = Pace(
    900_000_000, 5, 1, 1_800_000_000, (30_000_000, 120_000_000), 7_200_000_000, 14_400_000_000
)
"""With nodes behind others that do not hold the space; what is said goes through the whole mesh."""


class Behind(NamedTuple):
    """A neighbour lacks these entries, as (author, seq), oldest first; FORKED for a proof."""

    node: bytes
    space: bytes
    entries: tuple[tuple[bytes, int], ...]


class Ahead(NamedTuple):
    """A neighbour has a feed up to a number; `author` is its short name if nobody here knows it.

    `wait_us`: so long it may be on its way here.
    """

    node: bytes
    space: bytes
    author: bytes
    seq: int
    wait_us: int = 0


class Unlike(NamedTuple):
    """A neighbour holds the same heads in another state, or says that `author`'s feed was forked.

    `among`: these feeds rest at one number while others grow, so that states tell nothing.
    """

    node: bytes
    space: bytes
    author: bytes = b""
    among: tuple[bytes, ...] = ()


Finding = Behind | Ahead | Unlike


class _Word(NamedTuple):
    """What a neighbour said of a space, and when it is to be judged again."""

    salt: bytes
    state: bytes
    check_us: int | None


class Talk:
    """The dialogue with all neighbours of one radio, or with all who are behind them."""

    def __init__(
        self,
        names: Names,
        states: dict[bytes, State],
        rng: Random,
        now: int,
        *,
        pace: Pace,
        near: "Talk | None" = None,
    ) -> None:
        """`near`: the dialogue in earshot, for the one with all behind it."""
        self._near = near
        self._spaces = names.spaces
        self._names = names
        self._states = states
        self._rng = rng
        self._pace = pace
        shortest_us, doublings, redundancy = pace[:3]
        self._trickle = Trickle(
            rng, shortest_us=shortest_us, doublings=doublings, redundancy=redundancy
        )
        self._trickle.start(now)
        self._words: dict[Name, _Word] = {}
        self._shared: dict[bytes, int] = {}
        self._said: dict[bytes, tuple[bytes, int]] = {}
        self._vain: dict[Name, tuple[bytes, bytes]] = {}
        self._heads_us: dict[bytes, int] = {}
        self._headed: dict[bytes, tuple[bytes, int, int]] = {}
        self._known: frozenset[bytes] = frozenset()
        self._soon_us: int | None = None
        self._looked: dict[bytes, int] = {}
        self._symbols = Symbols(names, rng)

    # --- what is heard ----------------------------------------------------------------------------

    def neighbours(self, nodes: Iterable[bytes], now: int) -> None:
        """Take who is in earshot: somebody new is told soon."""
        present = frozenset(nodes)
        if present - self._known and self._pace is NEAR:
            self._trickle.inconsistent(now)
        self._known = present

    def resume(self, now: int) -> None:
        """Speak soon: the radio was away, and neighbours may lack what was written meanwhile."""
        self._trickle.inconsistent(now)

    def digests(self, node: bytes, message: Digests, now: int) -> list[Finding]:
        """Compare what a neighbour holds with what is here; return what it lacks."""
        found: list[Finding] = []
        agreed = set()
        for item in message.spaces:
            space = self._names.find(node, message.salt, item.tag)
            if space is None:
                continue
            self._shared[space.id] = now
            behind = self._judge(node, space, _Word(message.salt, item.state, None), now)
            if behind is None:
                agreed.add(space.id)
            elif behind.entries:
                found.append(behind)
        if agreed.issuperset(self._listed(now)):
            self._trickle.consistent()
        return found

    def unlike(self, space: Space) -> set[bytes]:
        """Return the neighbours whose last word of a space fits nothing that was here.

        Those are left out with whom all was tried: they may hold what this node cannot take.
        """
        state = self._state(space)
        return {
            node
            for (node, named), word in self._words.items()
            if named == space.id and node in self._known
            if not _knows(state, space, node, word)
            if self._vain.get((node, named)) != (word.state, state.now)
        }

    def heads(self, node: bytes, message: Heads, now: int) -> list[Finding]:
        """Take a neighbour's heads; return what it lacks and what it has more."""
        space = self._names.meant(node, Sub.HEADS, message)
        return [] if space is None else self._compare(node, space, message, now)

    def _compare(self, node: bytes, space: Space, message: Heads, now: int) -> list[Finding]:
        self._shared[space.id] = now
        self._heads_us.pop(space.id, None)
        found: list[Finding] = []
        lacks: list[tuple[bytes, int]] = []
        theirs: dict[bytes, int] = {}
        state = self._state(space)
        wait_us = state.settle_us(now) if state.busy(now) else 0
        for feed, seq in message.heads:
            author = self._names.author(space.id, feed) or feed
            theirs[author] = seq
            if author in space.log.forked:
                if seq != FORKED:
                    lacks.append((author, FORKED))
            elif seq == FORKED:
                if _held(space, author):
                    found.append(Unlike(node, space.id, author))
            elif seq > _held(space, author):
                last = seq if len(author) != len(feed) else 1
                found.append(Ahead(node, space.id, author, last, wait_us))
        for author in _by_rank(space):
            held = _held(space, author)
            if theirs.get(author) == FORKED:
                continue
            first = theirs.get(author, held if message.partial else 0) + 1
            last = min(held, first + LACKS_MAX - len(lacks) - 1)
            lacks += [(author, seq) for seq in range(first, last + 1)]
        flying = state.young(now - self._settle_us(state, now))
        old = tuple(name for name in lacks if name not in flying)
        if old:
            found.append(Behind(node, space.id, old))
        elif not found and state.busy(now):
            self._headed[space.id] = (state.now, 0, now)  # for now others know as much
        elif lacks:
            self._soon_us = self._soon_us or now + self._settle_us(state, now)
        elif not found and self._is_vain(node, space):
            found.append(Unlike(node, space.id))
        moving = {author for author, _ in flying}
        resting = [one for one, seq in theirs.items() if 0 < seq == _held(space, one)]
        return found + self._look(node, space, [one for one in resting if one not in moving], now)

    def shares(self, space: bytes, now: int) -> bool:
        """Tell whether anybody said lately that it holds a space."""
        return now - self._shared.get(space, -SHARED_US) < SHARED_US

    def symbols(self, node: bytes, batch: SymbolBatch, now: int) -> list[Finding]:
        """Take coded symbols of a neighbour's heads; return as `heads` does once they are known."""
        if not batch.symbols:
            self._symbols.asked(batch, now)
            return []
        space = self._names.meant_set(node, batch)
        if space is None:
            return []
        self._heads_us.pop(space.id, None)
        heads = self._symbols.take(node, space, batch, now)
        return [] if heads is None else self._compare(node, space, heads, now)

    def changed(self, now: int) -> None:
        """Say soon what is held now: others than who sent it may lack what came."""
        if self._soon_us is None:
            shortest_us = self._pace.shortest_us
            self._soon_us = now + self._rng.randint(shortest_us // 2, shortest_us)

    # --- what is said -----------------------------------------------------------------------------

    def due_us(self) -> int:
        """Return when `build` has something, or wants to look."""
        dues = [self._trickle.due_us, *self._heads_us.values()]
        dues += [word.check_us for word in self._words.values() if word.check_us is not None]
        if self._soon_us is not None:
            dues.append(self._soon_us)
        symbols_us = self._symbols.due_us()
        return min(dues) if symbols_us is None else min(*dues, symbols_us)

    def build(self, now: int, room: int) -> Digests | Heads | SymbolBatch | None:
        """Return what to say now, in a body of at most `room` bytes."""
        for space_id, due_us in tuple(self._heads_us.items()):
            if due_us <= now:
                del self._heads_us[space_id]
                space = self._spaces.get(space_id)
                if space is not None and len(space.feeds) > HEADS_MAX and self._pace is NEAR:
                    self._note_headed(space, now)
                    self._symbols.tell(space, self._state(space), now)
                elif space is not None:
                    return self._heads(space, now, room - HEADS_HEAD)
        if (batch := self._symbols.build(now, room)) is not None:
            return batch
        asked = dict.fromkeys((*self._due_checks(now), *self._soon(now)))
        wanted = self._trickle.poll(now, silent=False) if now >= self._trickle.due_us else False
        listed = self._listed(now) if wanted else list(asked)
        if not listed or not self._known or room < DIGESTS_HEAD + TAG_LEN + STATE_LEN:
            return None
        return self._digests(listed, now, room - DIGESTS_HEAD)

    # --- inside -----------------------------------------------------------------------------------

    def _judge(self, node: bytes, space: Space, word: _Word, now: int) -> Behind | None:
        """Compare one space; None when the neighbour holds what is here, or is about to."""
        name = (node, space.id)
        self._words.pop(name, None)
        state = self._state(space)
        since = state.since(lambda one: blinded(space, node, word.salt, one) == word.state)
        if since is not None:
            until_us = now - self._settle_us(state, now)
            old = tuple((one.author, one.seq) for one in since if one.at_us <= until_us)
            return Behind(node, space.id, old) if old else None
        if len(self._words) >= NEIGHBOURS_MAX:
            del self._words[next(iter(self._words))]
        if self._vain.get(name) == (word.state, state.now):
            self._words[name] = word
        elif self._heard_mine(space, now):
            self._words[name] = word
            self._plan_heads(space, now)
        else:
            wait_us = self._pace.settle_us + self._rng.randint(0, self._pace.shortest_us)
            self._words[name] = word._replace(check_us=now + wait_us)
        return Behind(node, space.id, ())

    def _look(self, node: bytes, space: Space, resting: list[bytes], now: int) -> list[Finding]:
        """Have feeds looked at in a busy space, a few times an hour: a fork has equal heads too."""
        busy = self._state(space).busy(now)
        if not busy or not resting or now < self._looked.get(space.id, now):
            return []
        self._looked[space.id] = now + self._pace.look_us
        return [Unlike(node, space.id, among=tuple(resting))]

    def _state(self, space: Space) -> State:
        state = self._states.get(space.id)
        if state is None:
            state = self._states[space.id] = State(space)
        return state

    def _settle_us(self, state: State, now: int) -> int:
        return max(self._pace.settle_us, state.settle_us(now))

    def _check_us(self, state: State, now: int) -> int:
        """Return when to look again at what is not understood while much comes."""
        wait_us = self._settle_us(state, now) + self._rng.randint(0, self._pace.shortest_us)
        return now + wait_us

    def _heard_mine(self, space: Space, now: int) -> bool:
        """Tell whether neighbours have heard of the present state lately, and not known it."""
        state, at_us = self._said.get(space.id, (b"", 0))
        return state == self._state(space).now and now - self._pace.spoken_us < at_us

    def _due_checks(self, now: int) -> list[bytes]:
        """Return the spaces of which a neighbour's state is still not understood."""
        asked: dict[bytes, None] = {}
        for (node, space_id), word in tuple(self._words.items()):
            if word.check_us is None or word.check_us > now:
                continue
            del self._words[node, space_id]
            space = self._spaces.get(space_id)
            if space is None or _knows(state := self._state(space), space, node, word):
                continue
            busy = state.busy(now)
            again_us = self._check_us(state, now) if busy else None
            self._words[node, space_id] = word._replace(check_us=again_us)
            if busy or self._heard_mine(space, now):
                self._plan_heads(space, now)
            else:
                asked[space_id] = None
        return list(asked)

    def _soon(self, now: int) -> list[bytes]:
        """Return the spaces that are to be named soon, if it is time; the busy ones later."""
        if self._soon_us is None or self._soon_us > now:
            return []
        self._soon_us, calm = None, []
        for space_id in self._listed(now):
            space = self._spaces.get(space_id)
            if space is None or not (state := self._state(space)).busy(now):
                calm.append(space_id)
            else:
                self._soon_us = self._check_us(state, now)
        return calm

    def _listed(self, now: int) -> list[bytes]:
        """Return the spaces to be named: those that neighbours share, and at first all; to who is
        far those that have members elsewhere, but for busy ones that somebody in earshot repairs.
        """
        if self._near is not None:
            return [
                space.id
                for space in self._spaces.all()
                if _is_elsewhere(space, self._known)
                if not (self._near.shares(space.id, now) and self._state(space).busy(now))
            ]
        every = [space.id for space in self._spaces.all()]
        if self._trickle.interval_us == self._trickle.shortest_us:
            return every
        return [space for space in every if self.shares(space, now)]

    def _digests(self, listed: list[bytes], now: int, room: int) -> Digests:
        most = min(DIGESTS_MAX, room // (TAG_LEN + STATE_LEN))
        if len(listed) > most:
            listed = sorted(self._rng.sample(listed, most))
        items = []
        for space_id in listed:
            space = self._spaces.get(space_id)
            if space is not None:
                state = self._state(space).now
                items.append(Digest(self._names.tag(space), self._names.state(space, state)))
                self._said[space_id] = (state, now)
        return Digests(self._names.salt, tuple(items))

    def _plan_heads(self, space: Space, now: int) -> None:
        """Say heads soon; the same ones again only after longer and longer pauses."""
        said, times, at_us = self._headed.get(space.id, (b"", 0, -SHARED_US))
        state = self._state(space)
        if state.busy(now):
            due_us = at_us + self._settle_us(state, now)
        elif said == state.now:
            due_us = at_us + (HEADS_AGAIN * self._pace.shortest_us << times)
        else:
            due_us = now
        if due_us <= now:
            self._heads_us.setdefault(space.id, now + self._rng.randint(*self._pace.heads_us))

    def _heads(self, space: Space, now: int, room: int) -> Heads:
        """Name all feeds; where there is no room for all the ones that changed last."""
        self._note_headed(space, now)
        heads_of = {author: head_of(space, author) for author in space.feeds}
        held = [author for author, head in heads_of.items() if head is not None]
        last = (change.author for change in reversed(self._state(space).history))
        order = dict.fromkeys((*last, *self._rng.sample(held, len(held))))
        every = [head for author in order if (head := heads_of.get(author)) is not None]
        heads = fitting(every, room)
        said = Heads(b"", b"", heads, len(heads) < len(every))
        return self._names.told(space, Sub.HEADS, said)

    def _note_headed(self, space: Space, now: int) -> None:
        present = self._state(space).now
        state, times, _ = self._headed.get(space.id, (b"", 0, 0))
        times = min(times + 1, HEADS_DOUBLINGS) if state == present else 0
        self._headed[space.id] = (present, times, now)

    def _is_vain(self, node: bytes, space: Space) -> bool:
        """Remember that heads are alike though states differ: a fork, which is looked for."""
        word = self._words.get((node, space.id))
        if word is None:
            return False
        if len(self._vain) >= NEIGHBOURS_MAX:
            del self._vain[next(iter(self._vain))]
        self._vain[node, space.id] = (word.state, self._state(space).now)
        return True


def _knows(state: State, space: Space, node: bytes, word: _Word) -> bool:
    fits = state.since(lambda one: blinded(space, node, word.salt, one) == word.state)
    return fits is not None


def _is_elsewhere(space: Space, near: frozenset[bytes]) -> bool:
    """Tell whether a space has members who are not in earshot, as far as this node may know."""
    nodes = {member.node for member in space.members()}
    return not nodes <= near | {space.node}


def _held(space: Space, author: bytes) -> int:
    feed = space.feeds.get(author)
    return feed.seq if feed else 0


def _by_rank(space: Space) -> list[bytes]:
    """Return the authors of all feeds, those first who let others in."""
    ranks = {author: space.log.rank(author) for author in space.feeds}
    return sorted(ranks, key=lambda one: (-int(ranks[one] or 0), one))
