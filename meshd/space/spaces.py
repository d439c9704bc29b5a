"""All spaces of one node: accept, append, forks, joins, receipts, and their way to the disk.

Enters: entries from sync, drafts from files and people, commits and images from the store. Leaves:
rows to append, space events for sync, notices and replies. Nothing is called written, acknowledged
or answered before `committed` said so. Ref: docs/wire-format.md#entry.
"""

from collections import deque
from collections.abc import Callable

from meshd.core import crypto
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, EntryRow, FeedImage, Notice, Row, StoreImage
from meshd.core.identity import Identity
from meshd.core.snapshot import Problem, SpaceStatus
from meshd.space.damages import Damages
from meshd.space.entries import Draft
from meshd.space.feed import (
    Accepted,
    Duplicate,
    EntryApplied,
    EntryDurable,
    Forked,
    MembershipChanged,
    SpaceAdded,
    SpaceEvent,
)
from meshd.space.invitations import member_card, parse_link
from meshd.space.joins import Joins
from meshd.space.keys import SpaceKeys, commit, fetch_key_of
from meshd.space.mail import stray_mail
from meshd.space.mail_mending import MailMending, first_rows
from meshd.space.ports import AirWaits, Done, no_rows
from meshd.space.reading import LogReader
from meshd.space.record import (
    JOINING_PREFIX,
    KNOWN_ROWS,
    SPACE_PREFIX,
    JoiningRecord,
    SpaceRecord,
    decode_joining,
    decode_space,
)
from meshd.space.space import Space, Taken
from meshd.space.succession import Succession
from meshd.space.telling import entry_fields, found, refused, status_of
from meshd.space.verbs import Verbs
from meshd.wire import genesis as wire_genesis
from meshd.wire.entry import MEMBERSHIP_KINDS, Kind, kind_name
from meshd.wire.genesis import Genesis
from meshd.wire.membership import Founding, FoundingCard, Rank

SPACES_MAX = 64
"""Spaces of one node; only its own people make it grow."""
APPENDS_MAX = 1024
"""Own entries that wait for the disk; a further one is refused to its caller."""
NOT_YET = DropReason.AUTHOR_UNKNOWN, DropReason.MEMBERSHIP_MISSING
"""Why an entry is refused that may be offered again, when more of its space is known."""
RECEIPT_DELAY_US = 1_000_000
_WALL_MAX_S = 0xFFFFFFFF - 20 * 365 * 86400


class Spaces:
    """The spaces of one node. `wall_offset_us` is wall clock minus `now`, None when unknown."""

    def __init__(self, ctx: Context, *, identity: Identity, image: StoreImage) -> None:
        self.ctx = ctx
        self.identity = identity
        self.wall_offset_us: int | None = None
        self._spaces: dict[bytes, Space] = {}
        self.joins = Joins(self)
        self.events: deque[SpaceEvent] = deque()
        self._pending: dict[int, Done] = {}
        self._own_pending = 0
        self.closed = False
        self.damages = Damages(ctx)
        self._lost: dict[bytes, tuple[list[FeedImage], list[EntryRow], dict[str, bytes]]] = {}
        self.reader = LogReader(ctx)
        self.mending = MailMending(ctx, self._mended)
        self.on_mended: Callable[[Space, int], None] = self.plan_receipts
        self.tell: Callable[[int], tuple[SpaceStatus, ...]] | None = None
        self.air: AirWaits | None = None
        self.requests = Verbs(self).requests
        self._load(image, -RECEIPT_DELAY_US)
        self._succession = Succession(self)

    # --- what others read -------------------------------------------------------------------------

    def get(self, space_id: bytes) -> Space | None:
        """Return a space by its 32-byte id."""
        return self._spaces.get(space_id)

    def all(self) -> list[Space]:
        """Return all spaces in order of their id."""
        return [space for _, space in sorted(self._spaces.items())]

    def find(self, text: str) -> Space:
        """Return the space with this name, or whose id begins so.

        Raises: RequestError when there is none, or more than one.
        """
        return found(self.all(), text)

    def wall_s(self, now: int) -> int | None:
        """Return the wall clock in seconds, None when this node has none."""
        if self.wall_offset_us is None:
            return None
        wall_s = (now + self.wall_offset_us) // 1_000_000
        return wall_s if 0 < wall_s <= _WALL_MAX_S else None

    def poll_event(self) -> SpaceEvent | None:
        """Return the next event for sync."""
        return self.events.popleft() if self.events else None

    def statuses(self) -> tuple[SpaceStatus, ...]:
        """Return what a snapshot shows of each space; sync fills in `behind` and `peers`."""
        return tuple(status_of(space) for space in self.all())

    def shown(self, now: int) -> tuple[SpaceStatus, ...]:
        """Return what `status` shows of each space: what whoever sets `tell` says of them."""
        return self.statuses() if self.tell is None else self.tell(now)

    def told(self) -> tuple[Problem, ...]:
        """Return what is damaged in the store, for `status`."""
        return self.damages.told()

    # --- entries ----------------------------------------------------------------------------------

    def accept(
        self, space: Space, author: bytes, data: bytes, now: int
    ) -> Accepted | Duplicate | DropReason:
        """Verify, apply and store an entry that a peer sent. The caller counts a refusal.

        What is refused as `NOT_YET` or ENTRY_GAP may be offered again later; FORK_SUSPECTED means
        that both branches are signed: find the first difference and call `fork`.
        """
        if self.closed:
            return DropReason.STORE_CLOSED
        taken = space.take(author, data)
        if isinstance(taken, Duplicate):
            return taken
        if isinstance(taken, DropReason):
            if author == space.author:
                self._succession.refused(space, taken, now)
            return taken
        seq = taken.entry.head.seq
        mine = author == space.author
        self.commit(taken.rows, lambda why, at: self._durable(space, author, taken, why, at))
        self.events.append(EntryApplied(space.id, author, seq, data))
        if taken.entry.head.kind < MEMBERSHIP_KINDS:
            self.events.append(MembershipChanged(space.id))
            if space.rank is not None:
                self.joins.drop(space.id)
        self._tell_delivered(space)
        if mine:
            self._succession.start(space, now)
        return Accepted(seq)

    def append(
        self,
        space: Space,
        draft: Draft,
        now: int,
        done: Done | None = None,
        *,
        also: Callable[[int], tuple[Row, ...]] = no_rows,
    ) -> int:
        """Append an own entry; return its seq. It leaves this node when it is durable.

        `also` returns, for that seq, rows that are to be on disk with it or not at all.

        Raises: RequestError when this node may not, or cannot now; WireError when it is too long.
        """
        if self.closed:
            raise RequestError(
                "the store is being reopened after a failed write",
                code=Exit.TEMPORARY,
                remedy="try again in a moment; `meshd status` says what is wrong",
            )
        if self._own_pending >= APPENDS_MAX:
            raise RequestError(
                "too many entries wait for the disk", code=Exit.TEMPORARY, remedy="try again later"
            )
        if draft.kind in (Kind.MESSAGE, Kind.LETTER) and not space.mail.has_room:
            raise RequestError(
                "too many messages wait for their receivers",
                code=Exit.TEMPORARY,
                remedy="wait until some are delivered",
            )
        taken = space.write(draft, time_s=self.wall_s(now) or 0)
        if isinstance(taken, DropReason):
            raise refused(space, taken)
        taken = taken._replace(rows=(*taken.rows, *also(taken.entry.head.seq)))
        return self.commit_own(space, space.author, taken, done)

    def fork(
        self, space: Space, author: bytes, seq: int, mine: bytes, theirs: bytes, *, now: int
    ) -> DropReason | None:
        """Keep two signed entries with one number as proof, and let that feed grow no more.

        A fork of the own feed starts a new one. Unproven claims change nothing.
        """
        if not space.check_fork(author, seq, mine, theirs):
            return DropReason.FORK_UNPROVEN
        feed = space.feeds.get(author)
        if feed is not None and feed.frozen:
            return None
        rows = space.freeze(author, seq, mine, theirs)
        self.commit(rows, lambda why, at: None)
        self.events.append(Forked(space.id, author, seq))
        self.ctx.emit(Notice("fork", entry_fields(space, author, seq), warning=True))
        if author == space.author:
            self._succession.start(space, now, forked_at=seq)
        return None

    def accept_early(
        self, space: Space, author: bytes, data: bytes
    ) -> Accepted | Duplicate | DropReason:
        """Keep and show a call for help that came before what its author wrote before it."""
        if self.closed:
            return DropReason.STORE_CLOSED
        taken = space.take_early(author, data)
        if not isinstance(taken, Taken):
            return taken
        seq = taken.entry.head.seq

        def told(why: str, now: int) -> None:
            if not why:
                self.ctx.emit(Notice("distress", entry_fields(space, author, seq), warning=True))

        self.commit(taken.rows, told)
        return Accepted(seq)

    def accept_aside(
        self, space: Space, author: bytes, data: bytes, done: Done
    ) -> Accepted | Duplicate | DropReason:
        """Take a membership record of a forked feed, whichever branch it is on.

        `done` hears when it is on disk, or that it is forgotten.
        """
        if self.closed:
            return DropReason.STORE_CLOSED
        taken = space.take_aside(author, data)
        if not isinstance(taken, Taken):
            return taken
        self.commit(taken.rows, done)
        self.events.append(MembershipChanged(space.id))
        return Accepted(taken.entry.head.seq)

    # --- coming in --------------------------------------------------------------------------------

    def create(self, name: str, person: str, now: int, done: Done) -> Space:
        """Begin a space whose owner is this device; `done` hears when it is on disk.

        Raises: RequestError when there are too many.
        """
        self.check_room()
        entropy = self.ctx.entropy
        epoch_key, seed = entropy(crypto.KEY_LEN), entropy(crypto.KEY_LEN)
        genesis = Genesis(
            crypto.sign_public(seed),
            commit(epoch_key),
            wire_genesis.NO_RECOVERY,
            self.wall_s(now) or 0,
            entropy(wire_genesis.SALT_LEN),
        )
        genesis = genesis._replace(signature=crypto.sign(seed, genesis.statement()))
        record = SpaceRecord(
            genesis=genesis.encode(),
            name=name,
            epoch_key=epoch_key,
            fetch=fetch_key_of(epoch_key),
            seed=seed,
            rank=Rank.OWNER,
        )
        space = self._build(record)
        card = member_card(space.id, space.author, self.identity, person)
        founding = FoundingCard(name, card._replace(role=int(Rank.OWNER)))
        draft = Draft(Kind.FOUNDING, Founding().encode(), founding.encode())
        taken = space.write(draft, time_s=self.wall_s(now) or 0)
        assert isinstance(taken, Taken)
        self._spaces[space.id] = space
        taken = taken._replace(rows=(*first_rows(space), *taken.rows))
        self.commit_own(space, space.author, taken, self._added(space, done))
        return space

    def adopt(self, record: SpaceRecord, done: Done) -> Space:
        """Take in a space that this node joined, with what the store held of it already."""
        space = self._spaces.get(record.id)
        if space is not None:
            self.commit((space.record().row(),), done)
            return space
        space = self._spaces[record.id] = self._build(record)
        if record.id in self._lost:
            feeds, membership, metas = self._lost.pop(record.id)
            space.load(record, metas, feeds, membership)
        self.commit(first_rows(space), self._added(space, done))
        if space.mail.doubtful:
            self._mend(space)
        return space

    # --- inputs -----------------------------------------------------------------------------------

    def handle_timer(self, key: tuple[object, ...], now: int) -> None:
        """Append the receipts that are due in a space."""
        space = self._spaces.get(key[2]) if isinstance(key[2], bytes) else None
        if space is None or self.closed or space.carries_only:
            return
        receipt = space.mail.next_receipt()
        while receipt is not None:
            before = space.mail.due
            try:
                self.append(space, Draft(Kind.RECEIPT, b"", receipt.encode()), now)
            except RequestError:
                break
            receipt = space.mail.next_receipt() if space.mail.due < before else None

    def committed(self, up_to: int, now: int) -> None:
        """Everything appended up to this number is on disk."""
        while self._pending and (number := next(iter(self._pending))) <= up_to:
            self._pending.pop(number)("", now)

    def commit_failed(self, number: int, why: str, now: int) -> None:
        """This append is not on disk; until `reload` nothing more is taken."""
        done = self._pending.pop(number, None)
        if done is not None:  # else it failed before `reload`, which has answered it already
            self.closed = True
            done(why or "the store failed", now)

    def reload(self, image: StoreImage, now: int) -> None:
        """Start again from what the store really holds."""
        for number in list(self._pending):
            self._pending.pop(number)("the store was reopened", now)
        self.closed = False
        self._load(image, now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """Hand an answer of the store to the log that asked."""
        self.reader.read_done(token, answer)
        self.mending.read_done(token, answer, now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """Tell the log that asked that the store could not answer."""
        self.reader.read_failed(token, why)
        self.mending.read_failed(token)

    # --- inside -----------------------------------------------------------------------------------

    def _load(self, image: StoreImage, now: int) -> None:
        feeds: dict[bytes, list[FeedImage]] = {}
        membership: dict[bytes, list[EntryRow]] = {}
        for feed in image.feeds:
            feeds.setdefault(feed.space, []).append(feed)
        for row in image.membership:
            membership.setdefault(row.space, []).append(row)
        held: dict[bytes, Space] = {}
        waiting: dict[bytes, JoiningRecord] = {}
        self.damages.forget()
        self.mending.forget()
        for key, value in image.metas.items():
            try:
                if key.startswith(SPACE_PREFIX):
                    record = decode_space(key, value)
                    space = self._spaces.get(record.id) or self._build(record)
                    rows = membership.get(record.id, [])
                    bad = space.load(record, image.metas, feeds.get(record.id, []), rows)
                    held[record.id] = space
                    self.damages.feeds(space, bad)
                    if space.mail.doubtful:
                        self._mend(space)
                    self.plan_receipts(space, now)
                elif key.startswith(JOINING_PREFIX):
                    joining = decode_joining(key, value)
                    waiting[parse_link(joining.link).space] = joining
                elif not key.startswith(KNOWN_ROWS):
                    raise WireError("no row of this name is known")
            except (WireError, RequestError) as error:
                self.damages.row(key, str(error))
        self._spaces = held
        self.joins.load(waiting)
        self._lost = {
            lost: (feeds[lost], membership.get(lost, []), image.metas)
            for lost in feeds
            if lost not in held
        }
        for key in stray_mail(image.metas, (*held, *feeds)):
            self.damages.row(key, "it belongs to no space that is here")
        for lost in self._lost:
            self.damages.lost(lost)

    def _mend(self, space: Space) -> None:
        self.damages.mail(space)
        self.mending.start(space)

    def _mended(self, space: Space, now: int) -> None:
        """Keep the mail that was made anew, and go on with it."""
        self.commit((space.mail.row(space.id),), lambda why, at: None)
        self.damages.mail_mended(space)
        self.on_mended(space, now)

    def _build(self, record: SpaceRecord) -> Space:
        genesis = wire_genesis.decode(record.genesis)
        if record.epoch_key is not None and commit(record.epoch_key) != genesis.commitment:
            raise WireError("the kept key does not fit the genesis")
        keys = SpaceKeys(
            commitment=genesis.commitment,
            space=record.id,
            epoch_key=record.epoch_key,
            fetch=record.fetch,
        )
        return Space(record, genesis, keys, self.identity.node)

    def check_room(self) -> None:
        """Raise RequestError when one more space is too many."""
        if len(self._spaces) >= SPACES_MAX:
            raise RequestError(f"a node holds at most {SPACES_MAX} spaces")

    def commit(self, rows: tuple[Row, ...], done: Done) -> None:
        """Append rows to the store; `done` hears what became of them."""
        self._pending[self.ctx.append(rows)] = done

    def commit_own(self, space: Space, author: bytes, taken: Taken, done: Done | None) -> int:
        """Append an own entry; it goes to peers, and `done` hears of it, when it is durable."""
        self._own_pending += 1

        def finished(why: str, now: int) -> None:
            self._own_pending -= 1
            self._durable(space, author, taken, why, now, own=True)
            if done is not None:
                done(why, now)

        self.commit(taken.rows, finished)
        return taken.entry.head.seq

    def _durable(
        self,
        space: Space,
        author: bytes,
        taken: Taken,
        why: str,
        now: int,
        *,
        own: bool = False,
    ) -> None:
        if why:
            return
        seq = taken.entry.head.seq
        feed = space.feeds.get(author)
        if feed is not None:
            feed.durable_seq = max(feed.durable_seq, seq)
        data = taken.data if own else b""
        if own:
            self.events.append(EntryApplied(space.id, author, seq, data))
            if taken.entry.head.kind < MEMBERSHIP_KINDS:
                self.events.append(MembershipChanged(space.id))
        self.events.append(EntryDurable(space.id, author, seq, own, data))
        more: dict[str, object] = {"entry_kind": kind_name(taken.entry.head.kind), "own": own}
        self.ctx.emit(Notice("entry", entry_fields(space, author, seq) | more))
        self.plan_receipts(space, now)

    def plan_receipts(self, space: Space, now: int) -> None:
        """Write the receipts that are due, together with those that soon will be."""
        if space.mail.due:
            self.ctx.timers.set_earlier(("space", "receipts", space.id), now + RECEIPT_DELAY_US)

    def _tell_delivered(self, space: Space) -> None:
        for _ in range(space.mail.take_astray()):
            self.ctx.drop(DropReason.FORK_SUSPECTED)
        for author, seq in space.mail.take_delivered():
            fields: dict[str, object] = {"space": space.text_id, "author": author.hex()}
            self.ctx.emit(Notice("delivered", fields | {"seq": seq}))

    def _added(self, space: Space, done: Done) -> Done:
        def finished(why: str, now: int) -> None:
            if not why:
                self.events.append(SpaceAdded(space.id))
            done(why, now)

        return finished
