"""Sync: what two nodes lack of each other's spaces goes over, and nothing else.

Enters: events of sessions and spaces, timers, answers of the store, local requests. Leaves: records
on sessions, verified entries for spaces, replies. This file only orders calls; each matter has its
own file: greeting, vectors, wants, serving, intake, taking, forks, leases, delivery, waits, joins,
routed, lookout. Must not know: how a session encrypts, how a space judges an entry.
Ref: docs/wire-format.md#sync.
"""

from collections.abc import Callable
from dataclasses import replace

from meshd.core.arguments import number_of
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Answer, Reply, StoreImage
from meshd.core.ids import node_text
from meshd.core.snapshot import SpaceStatus
from meshd.core.timers import Key
from meshd.session.events import (
    BulkReceived,
    RecordReceived,
    SessionDown,
    SessionEvent,
    SessionRoom,
    SessionUp,
)
from meshd.space.feed import (
    EntryApplied,
    EntryDurable,
    Forked,
    JoinAnswered,
    MembershipChanged,
    SpaceAdded,
    SpaceEvent,
)
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.sync import leases as lease_rules
from meshd.sync.delivery import Deliveries
from meshd.sync.forks import Forks
from meshd.sync.greeting import Greeter
from meshd.sync.hub import Hub, Peer, Share
from meshd.sync.intake import Intake
from meshd.sync.join_talk import JoinTalk
from meshd.sync.leases import Leases
from meshd.sync.lookout import Lookout
from meshd.sync.ports import FilesPort, SessionsPort
from meshd.sync.recent import Recent
from meshd.sync.routed import Routed
from meshd.sync.serving import Serving
from meshd.sync.taking import Concerned, Taking
from meshd.sync.vectors import UNSAID, Vectors
from meshd.sync.waits import Waits
from meshd.sync.wants import Wants
from meshd.wire import sync_messages as wire
from meshd.wire.file_messages import FILE_TYPES

RELAY_QUOTA_BYTES = 256 * 1024 * 1024
QUOTA_BYTES_MAX = 1 << 50
Request = Callable[[dict[str, object], int, int], None]

BEHIND_MAX = 1 << 16
"""What one feed may add to the figure `behind`, whatever a peer claims."""


class Sync:
    """Everything that two nodes say to each other about spaces."""

    def __init__(
        self,
        ctx: Context,
        spaces: Spaces,
        sessions: SessionsPort,
        files: FilesPort,
        *,
        image: StoreImage | None = None,
        relay_quota_bytes: int = RELAY_QUOTA_BYTES,
    ) -> None:
        self._ctx = ctx
        self._spaces = spaces
        self._files = files
        self._hub = hub = Hub(ctx, spaces, sessions, public=spaces.identity.public)
        self._greeter = Greeter(hub)
        self._vectors = Vectors(hub)
        self._wants = Wants(hub)
        self._serving = Serving(hub, self._vectors)
        self._forks = Forks(hub, image.metas if image else {})
        self._leases = Leases(hub)
        self._deliveries = Deliveries(ctx, spaces)
        self._waits = Waits(hub, self._deliveries)
        self._joins = JoinTalk(hub)
        self._routed = Routed(hub)
        self._lookout = Lookout(hub, self._routed)
        parts = (self._vectors, self._wants, self._serving, self._forks, self._leases)
        self._taking = Taking(hub, Concerned(*parts, self._lookout))
        self._intake = Intake(hub, on_message=self._message, on_entry=self._taking.entry)
        self._set_quota(relay_quota_bytes)
        files.seek, files.gave = self._routed.seek, self._routed.gave
        self.requests: dict[str, Request] = {
            "join": self._joins.request,
            "wait": self._waits.request,
            "space.relay-quota": self._quota,
        }

    # --- inputs -----------------------------------------------------------------------------------

    def start(self, now: int) -> None:
        """Begin: spaces that nobody carries look for somebody."""
        self._routed.review(now)
        for space in self._spaces.all():
            self._lookout.news(space.id, now)

    def session_event(self, event: SessionEvent, now: int) -> None:
        """Take any event of a session."""
        match event:
            case RecordReceived(session, data):
                self._record(session, data, now)
            case SessionRoom(session):
                peer = self._hub.peers.get(session)
                if peer is not None:
                    self._hub.flush(peer)
                    self._serving.pump(peer, now)
                    self._files.session_room(session, now)
            case BulkReceived(session, head, data):
                if session in self._hub.peers:
                    self._files.bulk(session, head, data, now)
            case SessionUp():
                self._session_up(event, now)
            case SessionDown():
                self._session_down(event.session, now)
        self._settle(now)

    def space_event(self, event: SpaceEvent, now: int) -> None:
        """Take any event of a space."""
        match event:
            case EntryDurable(space_id, author, seq, own, data):
                if own:
                    self._serving.durable(space_id, (author, seq), data, now)
                self._vectors.changed(space_id, author, seq, now)
                self._lookout.news(space_id, now)
            case EntryApplied(space_id):
                self._deliveries.applied(space_id)
            case JoinAnswered():
                self._joins.admitted(event, now)
            case MembershipChanged(space_id):
                self._joins.heard(space_id, now)
                self._wants.membership_changed(space_id)
                if (changed := self._spaces.get(space_id)) is not None:
                    self._forks.branches.membership_changed(changed, now)
                self._routed.review(now)
            case SpaceAdded(space_id):
                space = self._spaces.get(space_id)
                if space is not None:
                    for share in self._greeter.space_added(space, now):
                        self._open(share, space, now)
                self._routed.review(now)
            case Forked(space_id, author):
                self._forks.found(space_id, author, now)
        self._settle(now)

    def handle_timer(self, key: Key, now: int) -> None:
        """Act on a deadline of ours."""
        match key[1:]:
            case ("slice",):
                self._intake.wake(now)
            case ("tell",):
                self._vectors.tell(now)
            case ("wants",):
                self._wants.tick(now)
            case ("forks",):
                self._forks.tick(now)
            case ("routed", bytes(space_id)):
                self._routed.due(space_id, now)
            case ("look", bytes(space_id)):
                self._lookout.due(space_id, now)
            case ("join", int(number)):
                self._joins.over(number, now)
            case ("join-again", int(number)):
                self._joins.again(number, now)
            case ("waited", int(ticket)):
                self._deliveries.over(ticket)
        self._settle(now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Take an answer of the store."""
        entries = (
            tuple(item for item in answer if isinstance(item, bytes))
            if isinstance(answer, tuple)
            else ()
        )
        first = entries[0] if entries else None
        parts = (self._forks, self._forks.branches)
        if not any(part.read_done(token, first, now) for part in parts):
            self._serving.read_done(token, entries, now)
        self._settle(now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """A read that failed is an answer without entries."""
        self.read_done(token, (), now)

    def reload(self, image: StoreImage, now: int) -> None:
        """Heads went back to what the store holds: what is missing may be more than before."""
        self._forks.reload(now)
        for share in tuple(self._hub.all_shares()):
            for author in share.theirs:
                self._wants.claimed(share, author)
        self._settle(now)

    # --- what others may ask ----------------------------------------------------------------------

    @property
    def recent(self) -> Recent:
        """Return the entries seen last."""
        return self._serving.recent

    def came(self, space: bytes, author: bytes, seq: int, data: bytes, now: int) -> None:
        """An entry was accepted that came by another way: pass it on at once."""
        self._serving.spread(space, (author, seq), data)
        for share in self._hub.shares(space):
            self._forks.grown(share, author, seq, now)

    def sharers(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes that share a space by a session."""
        return frozenset(share.peer.node for share in self._hub.shares(space))

    def held(self, node: bytes, space_id: bytes, author: bytes, seq: int) -> None:
        """A node proved by another way that it holds an own feed durably."""
        space = self._spaces.get(space_id)
        if space is not None:
            self._acknowledged(node, space, (author, seq), kept=False)

    def forked(
        self, space: bytes, author: bytes, proof: tuple[int, bytes, bytes], now: int
    ) -> DropReason | None:
        """Take the proof of a fork that came by another way; return why it is none."""
        return self._forks.proven(space, author, proof, now)

    def proof(self, space: bytes, author: bytes) -> tuple[int, bytes, bytes] | None:
        """Return the proof of a fork, as far as it is remembered."""
        return self._forks.proof(space, author)

    def free_bytes(self) -> int:
        """Return how much more this node may carry as a relay."""
        return self._leases.free_bytes()

    def statuses(self, now: int) -> tuple[SpaceStatus, ...]:
        """Return one status a space."""
        known = zip(self._spaces.all(), self._spaces.statuses(), strict=True)
        return tuple(self._status(space, status) for space, status in known)

    # --- sessions ---------------------------------------------------------------------------------

    def _session_up(self, event: SessionUp, now: int) -> None:
        nonce = self._ctx.entropy(wire.NONCE_LEN)
        peer = Peer(event.session, event.node, event.public, event.via, nonce)
        self._hub.peers[event.session] = peer
        self._greeter.greet(peer, now)
        self._joins.session_up(peer, now)

    def _session_down(self, session: int, now: int) -> None:
        peer = self._hub.remove_peer(session)
        if peer is not None:
            self._intake.session_down(peer)
            self._wants.session_down(peer)
            self._forks.session_down(peer, now)
            self._joins.session_down(peer)
            self._files.session_down(session, now)
            self._routed.review(now)

    def _record(self, session: int, data: bytes, now: int) -> None:
        peer = self._hub.peers.get(session)
        if peer is None:
            return
        if data and data[0] in FILE_TYPES:
            self._files.record(session, data, now)
        else:
            self._intake.receive(peer, data, now)

    def _open(self, share: Share, space: Space, now: int) -> None:
        if space.carries_only:
            self._leases.offer(share, now)
        self._vectors.open(share, space, now)
        self._forks.opened(share, now)
        self._routed.shared(share.space, share.peer.node)
        self._lookout.shared(share, now)
        self._files.share_opened(share.peer.session, share.space, now, node=share.peer.node)
        self._routed.review(now)

    def _settle(self, now: int) -> None:
        """After each input: plan what is asked for, take back wishes that are met."""
        if self._wants.stale:
            self._wants.plan(now)
        self._waits.settle(now)

    # --- messages ---------------------------------------------------------------------------------

    def _message(self, peer: Peer, message: wire.Message, now: int) -> Share | None:
        """Act on one message; return the share of an ENTRIES, whose entries come one by one."""
        match message:
            case wire.Hello():
                self._greeter.hello(peer, message, now)
            case wire.SpaceTags():
                for share in self._greeter.spaces(peer, message, now):
                    space = self._spaces.get(share.space)
                    if space is not None:
                        self._open(share, space, now)
            case wire.Join():
                self._joins.asked(peer, message, now)
            case wire.Joined():
                self._joins.answered(peer, message, now)
            case _:
                found = peer.numbers.get(message.space)
                space = self._spaces.get(found.space) if isinstance(found, Share) else None
                if not isinstance(found, Share) or space is None:
                    self._hub.drop(DropReason.SYNC_UNSHARED, peer)
                    return None
                if isinstance(message, wire.Entries):
                    return found
                self._shared_message(found, space, message, now)
        return None

    def _shared_message(self, share: Share, space: Space, message: wire.Message, now: int) -> None:
        match message:
            case wire.Have():
                self._have(share, space, message, now)
            case wire.Want():
                self._serving.want(share, message, space, now)
            case wire.Lease():
                lease_rules.take(share, message)
            case wire.Probe():
                self._forks.probe(share, message, space, now)
            case wire.Probed():
                self._forks.probed(share, message, now)
            case wire.Fork():
                self._forks.fork(share, message, space, now)

    def _have(self, share: Share, space: Space, message: wire.Have, now: int) -> None:
        for head in self._vectors.learn(share, message, space):
            feed = space.feeds.get(head.author)
            held = feed.seq if feed else 0
            if head.seq > held:
                self._wants.claimed(share, head.author)
            elif feed and head.seq == held and head.hash8 not in (UNSAID, feed.hash32[:8]):
                if not feed.frozen:
                    self._forks.suspect(share, head.author, held, now)
                continue
            if feed and space.is_own(head.author):
                node, name = share.peer.node, (head.author, head.seq)
                self._acknowledged(node, space, name, kept=message.kept)

    def _acknowledged(
        self, node: bytes, space: Space, name: tuple[bytes, int], *, kept: bool
    ) -> None:
        """Count a node's word for our own feed, as what the node is in this space."""
        author, seq = name
        roles = [member.role for member in space.members() if member.node == node]
        if not roles:
            return
        relay = all(role == "relay" for role in roles)
        if relay == kept:
            space.acks.note(node, author, min(seq, space.feeds[author].seq), kept)
            self._deliveries.acknowledged(space.id, author)

    # --- local requests ---------------------------------------------------------------------------

    def _quota(self, args: dict[str, object], ticket: int, now: int) -> None:
        """Serve `space.relay-quota` {bytes}: read the quota of this relay, or set it."""
        if args.get("bytes") is not None:
            self._set_quota(number_of(args, "bytes", default=0, least=0, most=QUOTA_BYTES_MAX))
            for share in tuple(self._hub.all_shares()):
                space = self._spaces.get(share.space)
                if space is not None and space.carries_only:
                    self._leases.offer(share, now)
            self._wants.stale = True
        used = self._leases.used_bytes()
        value: dict[str, object] = {"bytes": self._quota_bytes, "entry_bytes": used}
        value["file_bytes"] = self._files.kept_bytes
        self._ctx.emit(Reply(ticket, value))
        self._settle(now)

    def _set_quota(self, quota_bytes: int) -> None:
        """Give a quarter of the quota to entries and the rest to files."""
        self._quota_bytes = quota_bytes
        self._leases.quota_bytes = quota_bytes // 4
        self._files.set_quota(quota_bytes - quota_bytes // 4)

    # --- status -----------------------------------------------------------------------------------

    def _status(self, space: Space, status: SpaceStatus) -> SpaceStatus:
        shares = self._hub.shares(space.id)
        claims: dict[bytes, int] = {}
        for share in shares:
            for author, head in share.theirs.items():
                if author not in share.aside and author not in share.unknown:
                    claims[author] = max(claims.get(author, 0), head.seq)
        feeds = space.feeds
        behind = sum(
            min(BEHIND_MAX, max(0, seq - (feeds[author].seq if author in feeds else 0)))
            for author, seq in claims.items()
        )
        peers = sorted({node_text(share.peer.node) for share in shares})
        return replace(status, behind=behind, peers=tuple(peers))
