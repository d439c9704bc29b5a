"""Joining a space by an invitation, on both sides.

Enters: the local verb `join`, JOIN and its answers. Leaves: JOIN to every session and to the nodes
that the link hints at; answers to those who ask us. Refusals are gathered into one error that says
all of them; nobody vouches for them, so they destroy nothing: the signing key stays on disk, and
asking again with the same link is the same request. An admission is believed when its record is
here; until then every node is asked again, after the reply and a restart too. An admission of ours
leaves only when it is durable. What the blobs hold is the business of `space/invitations.py`.
"""

from meshd.core.arguments import Args, seconds_of
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Progress, Reply
from meshd.core.ids import grouped, node_text
from meshd.space.feed import JoinAnswered
from meshd.space.invitations import REFUSALS
from meshd.space.joins import Joining
from meshd.space.verbs import name_of
from meshd.sync.hub import Hub, Peer
from meshd.wire.sync_messages import Join, Joined

TIMEOUT_S = 20
TIMEOUT_MAX_S = 600
JOINS_MAX = 16
"""Local joins under way at a time."""
NODES_MAX = 64
"""Nodes whose answers one join remembers."""
ADMISSIONS_MAX = 64
"""Admissions that wait to become durable."""

HEARD_US = 5_000_000
"""How long the answer to a join waits at least for the record of our admission."""

ASK_AGAIN_US = 30_000_000
"""After an answer without the record of our admission, all are asked again so often."""

TOKENS_MAX = 4
TOKEN_US = 2_000_000
"""Join requests that one session may have looked at: four at once, then one every two seconds."""

BUSY = 255
"""The refusal of who has too many requests; all others are by `_CODES`."""

_CODES = {
    DropReason.INVITE_UNKNOWN: 1,
    DropReason.INVITE_EXPIRED: 2,
    DropReason.INVITE_REVOKED: 3,
    DropReason.INVITE_USED_UP: 4,
    DropReason.JOIN_MALFORMED: 5,
    DropReason.JOIN_PROOF: 6,
    DropReason.ENTRY_RIGHT: 7,
    DropReason.MEMBERSHIP_FULL: 8,
    DropReason.STORE_CLOSED: 9,
    DropReason.JOIN_ANSWER: 10,
}
_REASONS = {code: reason for reason, code in _CODES.items()}
_KNOWING = (
    *(DropReason.INVITE_EXPIRED, DropReason.INVITE_REVOKED, DropReason.INVITE_USED_UP),
    *(DropReason.JOIN_PROOF, DropReason.JOIN_MALFORMED, DropReason.MEMBERSHIP_FULL),
)
"""Refusals by somebody who knows the invitation, or says so: the first of them gives the remedy."""


class Underway:
    """A local join: until its own admission is seen. `ticket` is None once its caller was told."""

    __slots__ = (
        "deadline",
        "joining",
        "number",
        "refusals",
        "ticket",
        "wanted",
        "welcomed",
        "written",
    )

    def __init__(self, joining: Joining, number: int, ticket: int | None, deadline: int) -> None:
        self.joining = joining
        self.number = number
        self.ticket = ticket
        self.deadline = deadline
        self.wanted: list[bytes] = []
        self.refusals: dict[bytes, DropReason | None] = {}
        self.welcomed = b""
        self.written = False


class JoinTalk:
    """Joins of ours that are under way, and admissions of ours that are not durable yet."""

    __slots__ = ("_admissions", "_hub", "_number", "_token", "_underway")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._number = 0
        self._token = 0
        self._underway: dict[int, Underway] = {}
        self._admissions: dict[int, tuple[Peer, int]] = {}

    def request(self, args: Args, ticket: int, now: int) -> None:
        """Serve the local verb `join` {url, as, timeout_s}; the reply follows.

        Raises: RequestError.
        """
        url, name = args.get("url"), name_of(args, "as", default="")
        timeout_s = seconds_of(args, "timeout_s", default=TIMEOUT_S, most=TIMEOUT_MAX_S)
        if not isinstance(url, str):
            raise RequestError(
                "join needs an invitation",
                code=Exit.USAGE,
                remedy="meshd join LINK, with the whole link that you were given",
            )
        if sum(join.ticket is not None for join in self._underway.values()) >= JOINS_MAX:
            raise RequestError(
                f"{JOINS_MAX} joins are under way already",
                code=Exit.TEMPORARY,
                remedy="wait until one of them is over",
            )
        joining = self._hub.spaces.joins.start(url, name)
        thin = self._thin(joining)
        if thin and not self._hub.peers:
            raise _only_lora(thin)
        earlier = self._of(joining.space)
        if earlier is not None and earlier.ticket is not None:
            raise RequestError("a join with this invitation is under way already")
        if earlier is not None:
            self._end(earlier, now)
        join = self._begin(joining, ticket, now + int(timeout_s * 1_000_000))
        if thin:
            self._hub.ctx.emit(
                Progress(ticket, f"waits for a member by WiFi or cable: {_THIN}", 0, 1)
            )
        self._hub.ctx.timers.set(("sync", "join", join.number), join.deadline)
        for peer in tuple(self._hub.peers.values()):
            self._ask(peer, join, now)
        connected = {peer.node for peer in self._hub.peers.values()}
        for node in joining.hints:
            if node not in connected:
                join.wanted.append(node)
                self._hub.sessions.want(node, now)

    def _thin(self, joining: Joining) -> tuple[bytes, ...]:
        """Return the nodes that may let us in when nothing but LoRa leads to any of them."""
        thin = self._hub.sessions.is_thin
        near = {peer.node for peer in self._hub.peers.values()}
        alone = all(thin(node) and node not in near for node in joining.hints)
        return joining.hints if alone else ()

    def session_up(self, peer: Peer, now: int) -> None:
        """Ask a new session too, also for what was answered before a restart."""
        for joining in self._hub.spaces.joins.unheard():
            if self._of(joining.space) is None:
                join = self._begin(joining, None, now)
                self._ask_later(join, now)
        for join in tuple(self._underway.values()):
            self._ask(peer, join, now)

    def session_down(self, peer: Peer) -> None:
        """Nobody waits for these answers any more."""
        for token, (waiting, _) in tuple(self._admissions.items()):
            if waiting is peer:
                del self._admissions[token]

    def asked(self, peer: Peer, message: Join, now: int) -> None:
        """Judge a peer's request: its rate first; signatures come last in `space/joins`."""
        if not self._allowed(peer, now) or len(self._admissions) >= ADMISSIONS_MAX:
            self._hub.drop(DropReason.JOIN_LIMITED, peer)
            self._hub.send(peer, Joined(message.number, BUSY, b""), now)
            return
        self._token += 1
        self._admissions[self._token] = (peer, message.number)
        refused = self._hub.spaces.joins.answer(message.request, self._token, now)
        if refused is not None:
            del self._admissions[self._token]
            self._refuse(peer, message.number, refused, now)

    def admitted(self, event: JoinAnswered, now: int) -> None:
        """Let an answer go whose admission is durable now."""
        peer, number = self._admissions.pop(event.token, (None, 0))
        if peer is None:
            return
        if event.answer:
            self._hub.send(peer, Joined(number, 0, event.answer), now)
        else:
            self._refuse(peer, number, DropReason(event.refused), now)

    def answered(self, peer: Peer, message: Joined, now: int) -> None:
        """Take a peer's answer to a join of ours."""
        join = self._underway.get(message.number)
        if join is None:
            self._hub.drop(DropReason.SYNC_UNASKED, peer)
            return
        reason = _REASONS.get(message.refusal)
        if message.refusal == 0:
            reason = self._finish(join, peer, message.answer)
            if reason is None:
                return
            self._hub.drop(reason, peer)
        if peer.node in join.refusals or len(join.refusals) < NODES_MAX:
            join.refusals[peer.node] = reason
        if message.refusal == BUSY:
            self._hub.ctx.timers.set_earlier(("sync", "join-again", join.number), now + TOKEN_US)
        if join.ticket is not None and not join.welcomed and self._all_refused(join):
            self._fail(join, now)

    def heard(self, space_id: bytes, now: int) -> None:
        """Answer a join once the record of our admission is here: now we may write."""
        space, join = self._hub.spaces.get(space_id), self._of(space_id)
        if space is None or join is None or not (space.carries_only or space.rank is not None):
            return
        if join.ticket is not None:
            if not join.written:
                return
            value: dict[str, object] = {"space": space.text_id, "name": space.name}
            self._hub.ctx.emit(Reply(join.ticket, value | {"role": space.role}))
            join.ticket = None
        if space.rank is not None:
            self._end(join, now)
        else:
            self._ask_later(join, now)

    def again(self, number: int, now: int) -> None:
        """Ask those again who were busy; everybody when an answer led to nothing."""
        join = self._underway.get(number)
        if join is None:
            return
        if join.ticket is None:
            self._ask_later(join, now)
        for peer in tuple(self._hub.peers.values()):
            if join.ticket is None:
                self._ask(peer, join, now)
            elif peer.node in join.refusals and join.refusals[peer.node] is None:
                del join.refusals[peer.node]
                self._ask(peer, join, now)

    def over(self, number: int, now: int) -> None:
        """End a join whose time is over for its caller; an answered one goes on by itself."""
        join = self._underway.get(number)
        if join is None:
            return
        if not join.welcomed or join.ticket is None:
            self._fail(join, now)
            return
        error = RequestError(
            f"admitted by {node_text(join.welcomed)}, but the record of it has not arrived",
            code=Exit.TEMPORARY,
            remedy="it goes on by itself: stay near a member; asking again is safe",
        )
        self._hub.ctx.emit(Reply.refusal(join.ticket, error))
        join.ticket = None
        self._ask_later(join, now)

    def _of(self, space_id: bytes) -> Underway | None:
        joins = self._underway.values()
        return next((join for join in joins if join.joining.space == space_id), None)

    def _begin(self, joining: Joining, ticket: int | None, deadline: int) -> Underway:
        self._number = self._number % 0xFFFF + 1
        while self._number in self._underway:
            self._number = self._number % 0xFFFF + 1
        join = self._underway[self._number] = Underway(joining, self._number, ticket, deadline)
        return join

    def _ask_later(self, join: Underway, now: int) -> None:
        self._hub.ctx.timers.set(("sync", "join-again", join.number), now + ASK_AGAIN_US)

    def _ask(self, peer: Peer, join: Underway, now: int) -> None:
        self._hub.send(peer, Join(join.number, join.joining.request), now)

    def _refuse(self, peer: Peer, number: int, reason: DropReason, now: int) -> None:
        self._hub.drop(reason, peer)
        code = _CODES.get(reason, _CODES[DropReason.JOIN_MALFORMED])
        self._hub.send(peer, Joined(number, code, b""), now)

    def _finish(self, join: Underway, peer: Peer, answer: bytes) -> DropReason | None:
        """Hand an admission to the space layer; the reply follows once its record is here."""

        def done(why: str, at: int) -> None:
            if self._underway.get(join.number) is not join or join.ticket is None:
                return
            if why:
                text = f"admitted, but not written: {why}"
                ticket = join.ticket
                self._end(join, at)
                self._hub.ctx.emit(Reply(ticket, None, text, Exit.TEMPORARY, "join again"))
                return
            join.written = True
            until = max(join.deadline, at + HEARD_US)
            self._hub.ctx.timers.set(("sync", "join", join.number), until)
            self.heard(join.joining.space, at)

        if join.welcomed or join.ticket is None:
            return None
        result = self._hub.spaces.joins.finish(join.joining.space, answer, done)
        if isinstance(result, DropReason):
            return result
        join.welcomed = peer.node
        return None

    def _all_refused(self, join: Underway) -> bool:
        """Tell whether everybody has refused; without a hint a member may be yet to come."""
        hints = set(join.joining.hints)
        asked = {peer.node for peer in self._hub.peers.values()} | hints
        refused = {node for node, reason in join.refusals.items() if reason is not None}
        return asked <= refused and bool(hints)

    def _fail(self, join: Underway, now: int) -> None:
        self._end(join, now)
        if join.ticket is not None:
            error = _failure(join)
            thin = self._thin(join.joining)
            if thin and error.code is Exit.TIMEOUT:
                error = _only_lora(thin)
            self._hub.ctx.emit(Reply.refusal(join.ticket, error))

    def _end(self, join: Underway, now: int) -> None:
        del self._underway[join.number]
        self._hub.ctx.timers.cancel(("sync", "join", join.number))
        self._hub.ctx.timers.cancel(("sync", "join-again", join.number))
        for node in join.wanted:
            self._hub.sessions.unwant(node, now)

    def _allowed(self, peer: Peer, now: int) -> bool:
        tokens, since = peer.join_tokens or (TOKENS_MAX, now)
        earned = (now - since) // TOKEN_US
        tokens = min(TOKENS_MAX, tokens + earned)
        since = now if tokens == TOKENS_MAX else since + earned * TOKEN_US
        peer.join_tokens = (max(0, tokens - 1), since)
        return tokens > 0


_THIN = "only LoRa reaches who invites, and nobody is let into a space by LoRa"


def _only_lora(nodes: tuple[bytes, ...]) -> RequestError:
    who = " and ".join(grouped(node_text(node)) for node in nodes)
    return RequestError(
        f"no member of the space is reached but by LoRa ({who}), and nobody is let in by LoRa",
        code=Exit.TIMEOUT,
        remedy="bring both nodes into one WiFi or on one cable once, or name the other as a peer:"
        " meshd run --peer tcp://HOST:6697; the link stays good, and LoRa will do from then on",
    )


def _failure(join: Underway) -> RequestError:
    reasons = {node: reason for node, reason in join.refusals.items() if reason is not None}
    if not reasons:
        text = "no member of the space could be reached"
        if join.refusals:
            text += f"; {len(join.refusals)} nodes were busy with other requests"
        return RequestError(
            text,
            code=Exit.TIMEOUT,
            remedy="try again near a member: in one WiFi, on one cable, or with --peer",
        )
    told = set(reasons.values())
    if len(told) == 1:
        said = f"a node nearby says: {REFUSALS[next(iter(told))][0]}"
    else:
        lines = (f"{node_text(node)}: {REFUSALS[reason][0]}" for node, reason in reasons.items())
        said = "nodes nearby say: " + "; ".join(sorted(lines))
    telling = next((reason for reason in _KNOWING if reason in told), next(iter(told)))
    remedy = f"asking again near a member is safe; or: {REFUSALS[telling][1]}"
    return RequestError(said, code=Exit.DENIED, remedy=remedy)
