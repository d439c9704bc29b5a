"""The request `wait`: answered when enough nodes hold an entry, for which a session is sought.

Enters: the request, news of its end. Leaves: a wait among the deliveries, wishes for sessions and
their end. Must not know: how an acknowledgement is told.
"""

from meshd.core.arguments import seconds_of, text_of
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.ids import parse_node
from meshd.space.space import Space
from meshd.sync.delivery import TIMEOUT_MAX_S, Deliveries, Waiting
from meshd.sync.hub import Hub

WAIT_S = 60


class Waits:
    """The callers of `wait`, and whom the node looks for on their behalf."""

    __slots__ = ("_deliveries", "_hub", "_spaces", "_wanted_by")

    def __init__(self, hub: Hub, deliveries: Deliveries) -> None:
        self._hub = hub
        self._spaces = hub.spaces
        self._deliveries = deliveries
        self._wanted_by: dict[int, bytes] = {}

    def request(self, args: dict[str, object], ticket: int, now: int) -> None:
        """Serve `wait` {space, seq, kept: N | delivered: true, to, timeout_s}."""
        space = self._spaces.find(text_of(args, "space"))
        seq, kept = args.get("seq"), args.get("kept", 0)
        timeout_s = seconds_of(args, "timeout_s", default=WAIT_S, most=TIMEOUT_MAX_S)
        if not isinstance(seq, int) or not 1 <= seq <= _own_seq(space):
            raise RequestError(
                "wait needs the number of an entry that this node wrote", code=Exit.USAGE
            )
        if not isinstance(kept, int) or kept < 0 or not (kept or args.get("delivered")):
            raise RequestError(
                'say what to wait for: "kept": N or "delivered": true', code=Exit.USAGE
            )
        to = _node(args, "to") if args.get("to") is not None else None
        message = space.mail.awaits(space.author, seq)
        waiting = Waiting(ticket, space.id, space.author, seq, kept, to, message)
        waits = self._deliveries.wait(waiting, now + int(timeout_s * 1_000_000))
        if waits and not kept and not message:
            self._reach(space, ticket, to, now)

    def _reach(self, space: Space, ticket: int, to: bytes | None, now: int) -> None:
        """Ask for a session with `to`, or with any member if none is connected, while one waits."""
        own = self._spaces.identity.node
        nodes = [member.node for member in space.members() if member.role != "relay"]
        near = {share.peer.node for share in self._hub.shares(space.id)}
        if to is None and near.isdisjoint(nodes):
            to = next((node for node in nodes if node not in (own, b"")), None)
        if to is not None and to not in near:
            self._wanted_by[ticket] = to
            self._hub.sessions.want(to, now)

    def settle(self, now: int) -> None:
        """Take back wishes of callers who wait no more."""
        for ticket in tuple(self._wanted_by):
            if not self._deliveries.waiting(ticket):
                self._hub.sessions.unwant(self._wanted_by.pop(ticket), now)


def _own_seq(space: Space) -> int:
    feed = space.feeds.get(space.author)
    return feed.seq if feed else 0


def _node(args: dict[str, object], name: str) -> bytes:
    try:
        return parse_node(text_of(args, name))
    except UsageError as error:
        raise RequestError(f"{name}: {error}", code=Exit.USAGE) from error
