"""To whom a node has to show that it is there now, whom it does not know, and when it says so.

Enters: echoes of frames that opened (the first bytes of their tags), short addresses of strangers,
whom neighbours say that they hear. Leaves: echoes to send back, strangers to ask for their beacons,
when a frame should go for that alone; on other frames they ride. Who does not list this node yet
gets echoes of its frames, at first whenever it was heard, then ever more seldom: perhaps this node
is not heard there at all. Anybody can invent neighbours: frames of their own are few in any time.
Must not know: frames, keys, the channel.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from meshd.core.buckets import Buckets
from meshd.core.ids import SHORT_LEN
from meshd.core.law import HOUR_US
from meshd.forwarding.neighbours import Neighbours
from meshd.link.stranger_air import Why

ROWS_MAX = 64
STRANGERS_MAX = 16
ECHOES_MAX, ASKS_MAX = 24, 8
"""In one frame."""
ECHOES_LONG = 20
"""So many echoes more make a frame twice as long."""
ECHO_US = 240_000_000
"""An echo of an older frame would come too late."""
OWN_FRAMES, ALWAYS, SELDOM = 6, 12, 4
"""So often a frame goes for one neighbour alone; so often its frames are echoed by what goes
anyway, and from then on each fourth."""
ASK_AIRTIMES, ASK_LEAST_US = 14, 2_000_000
"""In so many airtimes of a frame of words a stranger's beacon may have come. Then it is asked
again, heard again or not, since any answer may be lost; then after twice as long, and so on."""
ASKS, STRANGE_US = 8, 1_200_000_000
"""So often in that time at most, however much of it is heard."""
UNANSWERED = (2, 4)
"""After so many questions the own beacon goes too: to that one this node may be a stranger."""
DOUBLINGS = 6
RIDE_US = 60_000_000
"""Who sent something else within this time waits so long for the next to take the words along."""
BURST, BURST_LEAST, WORD_AIRTIMES = 24, 8, 60
"""So many frames go for that alone, then one in so many airtimes of one; where the hour is short,
what a quarter of its control holds, and then half of it in an hour."""
CALM = 0.1
"""While more of the channel is taken, frames for that alone wait longer, in proportion: one then
holds more, and fewer are lost."""
SOON, SOON_FULLER, FEW = 3, 2, 3
"""Questions and the first echoes to each, so many, wait for no ride, and for a full channel so many
times as long, where no more than so few are in earshot: who has just begun waits for them."""
FIRST = 2
"""So many echoes are the first answer to who is new; more go to who proved to be there."""
STRANGE_RIDERS = 2
"""So many echoes to who has proven nothing go with any frame, more while strangers' part lasts."""


class Air(NamedTuple):
    """What words cost: one frame, and the hour's control; `strange`: see link."""

    word_us: int
    control_us: int
    strange: Callable[[int, int, Why], bool]

    @property
    def interval_us(self) -> int:
        """Return in which time one frame may go for words alone, when many have gone."""
        hourly_us = HOUR_US // max(2 * self._quarter, BURST_LEAST)
        return max(WORD_AIRTIMES * self.word_us, hourly_us)

    def bucket(self) -> Buckets:
        """Return how many frames may go for words alone."""
        burst = min(max(self._quarter, BURST_LEAST), BURST)
        return Buckets(burst=burst, interval_us=self.interval_us, sources_max=1)

    @property
    def _quarter(self) -> int:
        return self.control_us // 4 // self.word_us


class Words(NamedTuple):
    """What goes with the next frame. Hand it back to `said` once it is on the air no more."""

    echoes: tuple[tuple[bytes, bytes], ...]
    """Node, echo."""
    strangers: tuple[bytes, ...]


class _Row:
    """A neighbour: the last echo of it, how often it was heard and how often it was sent one."""

    __slots__ = ("at_us", "deaf_us", "echo", "frames", "node", "said", "tries")

    def __init__(self, node: bytes) -> None:
        self.node = node
        self.echo = b""
        self.at_us = 0
        self.said = True
        self.deaf_us = 0
        self.frames = 0
        self.tries = 0


class _Stranger:
    """A short address that nobody known has: since when, how often asked, and when again."""

    __slots__ = ("ask_us", "met_us", "tries")

    def __init__(self, now: int) -> None:
        self.met_us = self.ask_us = now
        self.tries = 0


class _Cause(IntEnum):
    """Why a frame should go for words alone."""

    STRANGE = 0
    NEW = 1
    KNOWN = 2


class Presence:
    """What one radio owes those in earshot."""

    def __init__(self, neighbours: Neighbours, jitter: Callable[[int, int], int], air: Air) -> None:
        """`jitter` chooses between two times."""
        self.due_us: int | None = None
        self.ask_us: int | None = None
        self._neighbours = neighbours
        self._jitter = jitter
        self._air = air
        self._step_us = 4 * air.word_us
        self._again_us = max(ASK_AIRTIMES * air.word_us, ASK_LEAST_US)
        self._rows: dict[bytes, _Row] = {}
        self._strangers: dict[bytes, _Stranger] = {}
        self._doublings = 0
        self._rode_us: int | None = None
        self._taken = 0.0
        self._all = air.bucket()
        self._cause = _Cause.STRANGE
        self._soon = False
        self._list_waits = False

    # --- inputs -----------------------------------------------------------------------------------

    def heard(self, node: bytes, echo: bytes, now: int, *, anew: bool = False) -> None:
        """Note a frame of a neighbour; `anew`: it has forgotten all that it heard."""
        strange = self._strangers.pop(node[:SHORT_LEN], None)
        row = self._rows.pop(node, None) or _Row(node)
        row.frames += strange is not None
        if len(self._rows) >= ROWS_MAX:
            del self._rows[next(iter(self._rows))]
        self._rows[node] = row
        row.echo, row.at_us, row.said = echo, now, False
        row.frames += 1
        if anew:
            row.tries = 0
            self._neighbours.restarted(node)
        elif row.tries >= ALWAYS and row.tries % SELDOM:
            row.tries += 1
            row.said = True
        if row.tries < OWN_FRAMES and self._owed(row) and now >= row.deaf_us:
            self._want(now, self._cause_of(row), soon=row.tries < SOON)

    def gone(self, node: bytes) -> None:
        """Forget who is not heard any more: when it comes back it is owed as much as who is new."""
        self._rows.pop(node, None)

    def stranger(self, short: bytes, now: int) -> None:
        """Note a frame that nobody known has sent."""
        self._forget(now)
        if short not in self._strangers:
            if len(self._strangers) >= STRANGERS_MAX:
                del self._strangers[next(iter(self._strangers))]
            self._strangers[short] = _Stranger(now)
        if self._strangers[short].ask_us <= now:
            self._want(now, _Cause.STRANGE, soon=True)

    def unknown(self, node: bytes, now: int) -> None:
        """The own beacon is about to go for a neighbour, who can open no frame before it."""
        if node in self._rows and self._crowd(now) <= FEW:
            self._rows[node].deaf_us = now + self._again_us

    def introduced(self, now: int) -> None:
        """The own beacon went out: for whom it was can open frames from now on."""
        for row in self._rows.values():
            if row.deaf_us:
                row.deaf_us = row.tries = 0
                if self._due(row, now):
                    self._want(now, self._cause_of(row), soon=True)

    def loaded(self, taken: float, now: int) -> None:
        """Note how much of the channel is taken, and see what waited and who is to be asked."""
        self._taken = taken
        if self.ask_us is not None and self.ask_us <= now:
            self._look(now, echoes=self._crowd(now) <= FEW)

    def rides(self, now: int) -> None:
        """A frame went out that would have taken these words along: others will."""
        self._rode_us = now

    def ride_us(self, now: int) -> int:
        """Return how long to wait for a frame that goes anyway."""
        lately = self._rode_us is not None and now - self._rode_us < RIDE_US
        return RIDE_US if lately else 0

    def news(self, now: int) -> None:
        """Somebody was met, or has shown to be there, or to hear this node: soon say so."""
        self._doublings = max(self._doublings - 2, 0)
        soon, self.due_us, self._soon = self._soon, None, False
        self._want(now, soon=soon)

    def missed(self, now: int) -> None:
        """A neighbour does not know yet that this node hears it."""
        self._want(now)

    # --- what to say ------------------------------------------------------------------------------

    def speaks(self, now: int) -> bool:
        """Tell whether a frame should go now for these words alone, and take it as going."""
        if self.due_us is None or self.due_us > now:
            return False
        self.due_us = None
        cause, self._cause, self._soon = self._cause, _Cause.STRANGE, False
        if cause is not _Cause.KNOWN and not any(
            self._air.strange(self._air.word_us, now, why) for why in self._parts(cause)
        ):
            return self._put_off(cause, now)
        if not self._all.allow("", now):
            return self._put_off(cause, now)
        self._doublings = min(self._doublings + 1, DOUBLINGS)
        return True

    def words(self, now: int, *, echoes: int, asks: int) -> Words:
        """Return what to say in a frame that goes now: so many of each at most."""
        owed = [row for row in self._rows.values() if self._due(row, now)]
        owed.sort(key=lambda row: (row.tries, row.frames < FIRST))
        strange = [row for row in owed if self._cause_of(row) is not _Cause.KNOWN]
        if not self._air.strange(0, now, Why.WORDS):
            owed = [row for row in owed if row not in strange[STRANGE_RIDERS:]]
        strangers = [short for short, row in self._strangers.items() if row.ask_us <= now]
        return Words(
            tuple((row.node, row.echo) for row in owed[: min(echoes, ECHOES_MAX)]),
            tuple(strangers[: min(asks, ASKS_MAX)]),
        )

    def said(self, words: Words, now: int, *, listed: bool) -> bool:
        """Note that words are out; see to it that they are said again where they may be lost.

        `listed`: in a frame that also says whom this node hears. Returns: whether the own beacon
        should be said: a stranger that does not answer perhaps cannot open who asks it.
        """
        unheard = False
        if listed:
            self.due_us, self._soon, self._list_waits = None, False, False
        for node, echo in words.echoes:
            row = self._rows.get(node)
            if row is not None:
                if self._cause_of(row) is not _Cause.KNOWN:
                    self._air.strange(self._air.word_us // ECHOES_LONG, now, Why.WORDS)
                row.tries += 1
                row.said = row.said or row.echo == echo
        for short in words.strangers:
            stranger = self._strangers.get(short)
            if stranger is not None:
                last = stranger.tries >= ASKS - 1
                stranger.ask_us = now + (STRANGE_US if last else self._again_us << stranger.tries)
                stranger.tries += 1
                unheard = unheard or stranger.tries in UNANSWERED
        self._look(now)
        return unheard

    # --- inside -----------------------------------------------------------------------------------

    def _look(self, now: int, *, echoes: bool = True) -> None:
        """Have a frame go where something is due, and look again when a stranger is to be asked."""
        self._forget(now)
        rows = [one for one in self._rows.values() if echoes and one.tries < OWN_FRAMES]
        causes = [self._cause_of(row) for row in rows if self._due(row, now)]
        soon = any(row.tries < SOON for row in rows if self._due(row, now))
        asks = [row.ask_us for row in self._strangers.values()]
        if any(at <= now for at in asks):
            causes.append(_Cause.STRANGE)
            soon = True
        if self._list_waits:
            causes.append(_Cause.KNOWN)
            self._list_waits = False
        self.ask_us = min((at for at in asks if at > now), default=None)
        if causes:
            self._want(now, max(causes), soon=soon)

    def _put_off(self, cause: _Cause, now: int) -> bool:
        """No frame may go now for words alone: look again when one may, and what is due then.

        In a crowd later, and only for strangers: there other frames go.
        """
        crowd = self._crowd(now)
        self._list_waits = crowd <= FEW and (self._list_waits or cause is _Cause.KNOWN)
        at = now + self._air.interval_us * max(crowd, 1)
        self.ask_us = at if self.ask_us is None else min(self.ask_us, at)
        return False

    def _parts(self, cause: _Cause) -> tuple[Why, ...]:
        """Return of which parts of strangers' time a frame for words may go."""
        if not self._neighbours.known:
            return Why.WORDS, Why.BEACON  # who knows nobody has more use of words
        return (Why.WORDS if cause is _Cause.NEW else Why.NOISE,)

    def _owed(self, row: _Row) -> bool:
        """Tell whether a neighbour does not say that it hears this node."""
        return not self._neighbours.hears(row.node)

    def _due(self, row: _Row, now: int) -> bool:
        if now - row.at_us > ECHO_US or now < row.deaf_us or not self._owed(row):
            return False
        return row.tries < OWN_FRAMES or not row.said

    def _forget(self, now: int) -> None:
        old = [one for one, row in self._strangers.items() if now - row.met_us >= STRANGE_US]
        for short in old:
            del self._strangers[short]

    def _cause_of(self, row: _Row) -> _Cause:
        known = self._neighbours.known
        alone = not known and row.frames >= FIRST  # it has to be known by somebody first
        if alone or row.node[:SHORT_LEN] in known:
            return _Cause.KNOWN
        return _Cause.NEW if row.tries < FIRST else _Cause.STRANGE

    def _crowd(self, now: int) -> int:
        return sum(now - row.at_us <= ECHO_US for row in self._rows.values())

    def _want(self, now: int, cause: _Cause = _Cause.KNOWN, *, soon: bool = False) -> None:
        """Have a frame go for these words alone: the more are in earshot, the later.

        `soon`: where few are it does not wait for another to take the words along.
        """
        crowd = self._crowd(now)
        soon = soon and crowd <= FEW
        risen = cause is _Cause.KNOWN and self._cause is not _Cause.KNOWN
        sooner = soon and not self._soon
        self._cause = max(self._cause, cause)
        self._soon = self._soon or soon
        if self.due_us is None or risen or sooner:
            wait_us, fuller = self._step_us * max(crowd, 2) // 2, max(self._taken / CALM, 1)
            if soon:
                wait_us = int(wait_us * min(fuller, SOON_FULLER))
            else:
                wait_us = min(int((wait_us << self._doublings) * fuller), ECHO_US)
            wait_us = self._jitter(wait_us // 2, wait_us)
            due_us = now + (wait_us if soon else max(wait_us, self.ride_us(now)))
            self.due_us = due_us if self.due_us is None else min(self.due_us, due_us)
