"""Lookout: who has neighbours that carry a space looks further now and then, too.

Enters: news of a space, entries and shares with the session they came by, time. Leaves: `want` and
`unwant` of sessions. Neighbours may be an island: two members beside each other, two more beyond
strangers, and no pair ever hears of the other. So after news one far member at a time gets a short
routed session, first after a minute, then ever more rarely while nothing new comes of it. Nobody
looks at who is heard of by neighbours, nor at who was met since the last news: so one node of an
island keeps looking, the others hear by it that all is well, and a quiet mesh falls silent.
A relay that lost its memory is found like this as well. Ref: docs/decisions/0011-islands.md.
"""

from meshd.core.ids import node_id
from meshd.sync.hub import Hub, Share
from meshd.sync.routed import Routed
from meshd.sync.vectors import UNSAID

FIRST_US = 60_000_000
"""The longest wait for a look after news; three times as long with each look in vain."""
PAUSE_MAX_US = 300_000_000
LOOK_US = 15_000_000
"""How long a far member is looked at; again as long while it gives or takes something."""
EXTENSIONS_MAX = 20
HEARD_US = 300_000_000
"""How long an entry that neighbours handed on tells that they reach its author."""
VAIN_MAX = 8
"""So many far members were met in vain, one after another: neighbours seem to reach them all."""
PAUSE_VAIN_US = 1_800_000_000
"""The pause from then on, until there is news."""
LOOKS_MAX = 4
"""Spaces that may look at a time."""
NODES_MAX = 256
"""Nodes of one space that are remembered; the oldest is forgotten."""


class Watch:
    """What one space knows of its far members, and whom it looks at now.

    `heard` and `met` tell when by node, oldest first: an entry of it came by a neighbour, a routed
    session with it brought nothing new. `last` is who was looked at last, at first a random place
    among the ids. `looks` grow the pause, until a look brings something.
    """

    __slots__ = ("extensions", "heard", "last", "looks", "met", "news_at", "node", "vain")

    def __init__(self, last: bytes, now: int) -> None:
        self.node: bytes | None = None
        self.last = last
        self.heard: dict[bytes, int] = {}
        self.met: dict[bytes, int] = {}
        self.news_at = now
        self.looks = 0
        self.vain = 0
        self.extensions = 0

    def is_known(self, node: bytes, now: int) -> bool:
        """Tell whether a node need not be looked at."""
        heard = self.heard.get(node, -HEARD_US)
        return heard > now - HEARD_US or max(heard, self.met.get(node, heard)) >= self.news_at


class Lookout:
    """The looks of all spaces that neighbours carry."""

    __slots__ = ("_hub", "_own", "_routed", "_watches")

    def __init__(self, hub: Hub, routed: Routed) -> None:
        self._hub = hub
        self._own = node_id(hub.public)
        self._routed = routed
        self._watches: dict[bytes, Watch] = {}

    def __len__(self) -> int:
        return sum(watch.node is not None for watch in self._watches.values())

    def news(self, space_id: bytes, now: int) -> None:
        """Look further soon: far members may lack what is new here."""
        watch = self._watches.get(space_id)
        if watch is None:
            last = self._hub.ctx.rng.randrange(1 << 16).to_bytes(2, "big")
            watch = self._watches[space_id] = Watch(last, now)
        watch.news_at = now
        watch.vain = 0
        self._by(space_id, watch, now)

    def shared(self, share: Share, now: int) -> None:
        """Note that a far member was met, by its will or ours: what it has new will be told."""
        watch = self._watches.get(share.space)
        if watch is None or share.peer.via != "route":
            return
        _note(watch.met, share.peer.node, now)
        watch.vain += 1
        if share.peer.node != watch.node:
            watch.looks += 1
            if watch.node is None:
                self._pause(share.space, watch, now)

    def came(self, share: Share, author: bytes, now: int) -> None:
        """Note by whom an entry of `author` came that was new here."""
        watch = self._watches.get(share.space)
        space = self._hub.spaces.get(share.space)
        if watch is None or space is None:
            return
        if share.peer.via != "route":
            _note(watch.heard, space.node_of(author), now)
        elif _was_claimed(share, author):
            watch.met.pop(share.peer.node, None)
            watch.looks = 0

    def due(self, space_id: bytes, now: int) -> None:
        """End a look, or begin the next."""
        watch = self._watches.get(space_id)
        if watch is None:
            return
        if watch.node is not None:
            if self._is_busy(space_id, watch.node) and watch.extensions < EXTENSIONS_MAX:
                watch.extensions += 1
                self._hub.ctx.timers.set(("sync", "look", space_id), now + LOOK_US)
                return
            self._hub.sessions.unwant(watch.node, now)
            watch.node = None
            self._pause(space_id, watch, now)
        elif (node := self._next(space_id, watch, now)) is not None:
            watch.node = watch.last = node
            watch.extensions = 0
            watch.looks += 1
            self._hub.sessions.want(node, now)
            self._hub.ctx.timers.set(("sync", "look", space_id), now + LOOK_US)
        else:
            self._pause(space_id, watch, now)

    def _next(self, space_id: bytes, watch: Watch, now: int) -> bytes | None:
        """Return whom to look at: nobody while a space is lonely, or sought further anyway."""
        lonely = self._routed.is_searching(space_id) or not self._hub.shares(space_id)
        if lonely or len(self) >= LOOKS_MAX:
            return None
        nodes = [
            node
            for node in self._routed.far(space_id)
            if not (watch.is_known(node, now) or self._hub.sessions.is_thin(node))
        ]
        beyond = [node for node in nodes if node > watch.last]
        return next(iter(beyond or nodes), None)

    def _is_busy(self, space_id: bytes, node: bytes) -> bool:
        return any(
            share.missing or any(each.share is share for each in share.peer.serving)
            for share in self._hub.shares(space_id)
            if share.peer.node == node
        )

    def _pause(self, space_id: bytes, watch: Watch, now: int) -> None:
        self._hub.ctx.timers.cancel(("sync", "look", space_id))
        self._by(space_id, watch, now)

    def _by(self, space_id: bytes, watch: Watch, now: int) -> None:
        """Look at the end of the present pause at the latest."""
        if watch.node is not None:
            return
        full_us = min(FIRST_US * 3 ** min(watch.looks, 2), PAUSE_MAX_US)
        if watch.vain >= VAIN_MAX:
            full_us = PAUSE_VAIN_US
        key = ("sync", "look", space_id)
        deadline = self._hub.ctx.timers.deadline(key)
        if deadline is None or deadline > now + full_us:
            self._hub.ctx.timers.set(key, now + self._hub.ctx.jitter(full_us // 2, full_us))


def _was_claimed(share: Share, author: bytes) -> bool:
    """Tell a gap that a vector showed from an entry that was only faster by this way."""
    head = share.theirs.get(author)
    return head is not None and head.hash8 != UNSAID


def _note(times: dict[bytes, int], node: bytes, now: int) -> None:
    times.pop(node, None)
    times[node] = now
    if len(times) > NODES_MAX:
        del times[next(iter(times))]
