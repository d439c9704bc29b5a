"""One space on this node: its feeds, its members, what it accepts and what it opens.

Enters: entries as bytes and what the store held at start. Leaves: verdicts and the rows to commit.
Appends nothing by itself and knows no timers: `spaces.py` does. Ref: docs/wire-format.md#entry.
"""

from typing import NamedTuple

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import EntryRow, FeedImage, MetaRow, Row
from meshd.core.ids import encode_text, node_id
from meshd.space import entries
from meshd.space.acks import Acks
from meshd.space.cards import Cards
from meshd.space.early import Early
from meshd.space.entries import Draft, Opened, Place
from meshd.space.feed import Duplicate, FeedHead, Member, load_feed
from meshd.space.keys import SpaceKeys
from meshd.space.mail import Mail, load_mail
from meshd.space.membership import (
    HEIRS_MAX,
    MembershipLog,
    Signed,
    decode_record,
    recompute,
)
from meshd.space.other_branches import OtherBranches
from meshd.space.record import (
    SpaceRecord,
    fork_key,
    head_key,
    mail_key,
    pack_fork,
)
from meshd.space.told_prekeys import ToldPrekeys
from meshd.wire import entry as wire
from meshd.wire import payload
from meshd.wire.entry import MAIL_KINDS, MEMBERSHIP_KINDS, Entry, Kind
from meshd.wire.genesis import Genesis
from meshd.wire.membership import InviteCard, Rank, Record, Successor, decode_successor

FEEDS_MAX = 1024
"""Admissions with feeds in one space; a further one's entries are refused. Its heirs count once."""


class Taken(NamedTuple):
    """A verified entry that was applied in memory, and the rows that make it durable."""

    entry: Entry
    data: bytes
    rows: tuple[Row, ...]


class Space:
    """A space. Its public attributes are read by sync and files, and written here only."""

    __slots__ = (
        *("_cards", "_seed", "acks", "aside", "author", "early", "feeds", "former", "founder"),
        *("genesis", "id", "keys", "log", "mail", "name", "node", "offered_rank", "prekeys"),
    )

    author: bytes
    former: tuple[bytes, ...]
    offered_rank: Rank
    prekeys: ToldPrekeys
    _seed: bytes

    def __init__(self, record: SpaceRecord, genesis: Genesis, keys: SpaceKeys, node: bytes) -> None:
        self.id = record.id
        self.genesis = record.genesis
        self.founder = genesis.founder
        self.name = record.name
        self.keys = keys
        self.node = node
        self.acks = Acks(self.is_own)
        self._set_record(record)
        self._forget()

    # --- what sync and files read -----------------------------------------------------------------

    @property
    def fetch_key(self) -> bytes:
        """The key whose holders are served ciphertext."""
        return self.keys.fetch

    @property
    def epoch_id(self) -> bytes:
        """The 4-byte id of the current epoch."""
        return self.keys.epoch_id

    @property
    def carries_only(self) -> bool:
        """Whether this node holds no key to read with."""
        return self.keys.epoch_key is None

    @property
    def rank(self) -> Rank | None:
        """What this node may do by the membership records it holds; None before it was admitted."""
        return self.log.rank(self.author)

    @property
    def role(self) -> str:
        """The rank as people call it; until admitted, the rank that was offered."""
        rank = self.rank
        return (self.offered_rank if rank is None else rank).name.lower()

    @property
    def text_id(self) -> str:
        """The id as machines and people write it."""
        return encode_text(self.id)

    def is_member(self, author: bytes) -> bool:
        """Tell whether entries by `author` can be accepted."""
        return self.log.rank(author) is not None

    def is_own(self, author: bytes) -> bool:
        """Tell whether `author` is this node's signing key, now or formerly."""
        return author == self.author or author in self.former

    def open(self, author: bytes, data: bytes) -> Opened | None:
        """Decrypt an entry that was accepted; None where this node cannot read."""
        try:
            entry = wire.decode(data)
        except WireError:
            return None
        return entries.open_entry(self.keys, self.id, author, entry)

    def members(self) -> tuple[Member, ...]:
        """Return every admitted signing key, the founder first."""
        return tuple(self._member(author) for author in self.log.authors())

    def node_of(self, author: bytes) -> bytes:
        """Return the NodeId behind a signing key; b"" where this node may not know."""
        card = self._cards.of(author)
        return node_id(card.device) if card else b""

    def person_of(self, author: bytes) -> str:
        """Return the display name behind a signing key; "" where none is known."""
        card = self._cards.of(author)
        return card.name if card else ""

    def invite_card(self, invite: bytes) -> InviteCard | None:
        """Return the encrypted part of the INVITE with this hash, if this node could read it."""
        return self._cards.invite(invite)

    def entry_digest(self, author: bytes, data: bytes) -> bytes | None:
        """Return the hash that names an entry, for telling two branches apart; None for junk."""
        try:
            return wire.decode(data).digest(self.id, author)
        except WireError:
            return None

    def first_running(self, author: bytes) -> bytes:
        """Return the running hash of an empty feed."""
        return wire.first_running(self.id, author)

    def next_running(self, running: bytes, author: bytes, data: bytes) -> bytes | None:
        """Return the running hash after the entry `data`; None for junk."""
        digest = self.entry_digest(author, data)
        return None if digest is None else wire.next_running(running, digest)

    # --- entries ----------------------------------------------------------------------------------

    def take(self, author: bytes, data: bytes) -> Taken | Duplicate | DropReason:
        """Verify an entry of any author and apply it; nothing changes when it is refused."""
        try:
            entry = wire.decode(data)
        except WireError:
            return DropReason.ENTRY_MALFORMED
        head = entry.head
        feed = self.feeds.get(author)
        digest = entry.digest(self.id, author)
        if feed and (head.seq < feed.seq or (head.seq == feed.seq and digest == feed.digest)):
            return Duplicate(head.seq)
        refused = self._refuses(author, entry, feed)
        if refused is not None:
            return refused
        record: Record | None = None
        if head.kind < MEMBERSHIP_KINDS:
            judged = self._judge(author, entry, digest)
            if isinstance(judged, DropReason):
                return judged
            record = judged
        return Taken(entry, data, self._apply(author, entry, data, record))

    def write(self, draft: Draft, *, time_s: int, seed: bytes | None = None) -> Taken | DropReason:
        """Write an entry into the own feed, or into the new one that `seed` begins."""
        seed = self._seed if seed is None else seed
        author = crypto.sign_public(seed)
        feed = self.feeds.get(author) or FeedHead(self.first_running(author))
        if feed.frozen:
            return DropReason.FEED_FROZEN
        place = Place(feed.seq + 1, feed.hash32, self.log.digest(), time_s)
        entry = entries.write(self.keys, self.id, seed, place=place, draft=draft)
        record: Record | None = None
        if draft.kind < MEMBERSHIP_KINDS:
            judged = self._judge(author, entry, entry.digest(self.id, author))
            if isinstance(judged, DropReason):
                return judged
            record = judged
        elif not self._may(author, draft.kind):
            return DropReason.ENTRY_RIGHT
        data = entry.encode()
        return Taken(entry, data, self._apply(author, entry, data, record))

    def sign_with_own(self, statement: bytes) -> bytes:
        """Sign with the current signing key; used to hand its rights to a new one."""
        return crypto.sign(self._seed, statement)

    def succeed(self, seed: bytes) -> SpaceRecord:
        """Make `seed` the own signing key from now on; return the record to keep."""
        self.former = (*self.former, self.author)
        self._seed = seed
        self.author = crypto.sign_public(seed)
        return self.record()

    def check_fork(self, author: bytes, seq: int, mine: bytes, theirs: bytes) -> bool:
        """Tell whether both entries are signed by `author`, carry `seq`, and differ."""
        try:
            both = (wire.decode(mine), wire.decode(theirs))
        except WireError:
            return False
        digests = {entry.digest(self.id, author) for entry in both}
        return len(digests) == 2 and all(
            entry.head.seq == seq and entries.verify(self.id, author, entry) for entry in both
        )

    def freeze(self, author: bytes, seq: int, mine: bytes, theirs: bytes) -> tuple[Row, ...]:
        """Let the feed grow no more; return the row that keeps the proof."""
        feed = self.feeds.setdefault(author, FeedHead(self.first_running(author)))
        feed.frozen = True
        self.log.forked.add(author)
        ended = self.early.ended(author) if self.log.is_superseded(author) else ()
        rows = (MetaRow(fork_key(self.id, author), pack_fork(seq, mine, theirs)), *ended)
        return (*rows, self.mail.row(self.id)) if self.mail.strand(author, seq) else rows

    def take_aside(self, author: bytes, data: bytes) -> Taken | Duplicate | DropReason:
        """Take a membership record of a forked feed, whichever branch it is on.

        What others wrote may build on it, so it counts though its branch is not followed here.
        """
        try:
            entry = wire.decode(data)
        except WireError:
            return DropReason.ENTRY_MALFORMED
        head, digest = entry.head, entry.digest(self.id, author)
        if author not in self.log.forked or head.kind >= MEMBERSHIP_KINDS or entry.body is None:
            return DropReason.FEED_FROZEN
        if self.aside.holds(author, digest) or self.log.holds(digest):
            return Duplicate(head.seq)
        if self.aside.is_full(author):
            return DropReason.FEED_FROZEN
        if head.epoch_id != self.keys.epoch_id:
            return DropReason.EPOCH_UNKNOWN
        if not entries.verify(self.id, author, entry):
            return DropReason.ENTRY_SIGNATURE
        record = self._judge(author, entry, digest)
        if isinstance(record, DropReason):
            return record
        self._learn_card(author, entry, record, digest)
        return Taken(entry, data, (self.aside.keep(author, digest, data),))

    def take_early(self, author: bytes, data: bytes) -> Taken | Duplicate | DropReason:
        """Take a call for help before its place: all is proven but what its feed has before it.

        Its feed does not change. Own ones, and those that nobody can read here, are not taken.
        """
        try:
            entry = wire.decode(data)
        except WireError:
            return DropReason.ENTRY_MALFORMED
        head = entry.head
        if head.kind != Kind.DISTRESS or self.carries_only or self.is_own(author):
            return DropReason.ENTRY_GAP
        if data == self.early.get(author, {}).get(head.seq):
            return Duplicate(head.seq)
        refused = self._refuses(author, entry, self.feeds.get(author), early=True)
        if refused is not DropReason.ENTRY_GAP:
            return refused or DropReason.ENTRY_GAP
        if entry.body is None or not self._may(author, head.kind):
            return DropReason.ENTRY_RIGHT
        if not self.early.takes(author, head.seq):
            return DropReason.AIR_ASIDE_FULL
        return Taken(entry, data, self.early.keep(author, head.seq, data))

    # --- load -------------------------------------------------------------------------------------

    def record(self) -> SpaceRecord:
        """Return what is kept of this space beside its entries."""
        return SpaceRecord(
            genesis=self.genesis,
            name=self.name,
            epoch_key=self.keys.epoch_key,
            fetch=self.keys.fetch,
            seed=self._seed,
            rank=self.offered_rank,
            former=self.former,
        )

    def load(
        self,
        record: SpaceRecord,
        metas: dict[str, bytes],
        feeds: list[FeedImage],
        membership: list[EntryRow],
    ) -> list[bytes]:
        """Replace all state by what the store holds; return the authors of damaged feeds."""
        self._set_record(record)
        self._forget()
        damaged = [image.author for image in feeds if not self._load_feed(image, metas)]
        rows: dict[bytes, tuple[EntryRow, Entry]] = {}
        signed: list[Signed] = []
        self.aside.load(metas)
        self.early.load(metas)
        for row in (*membership, *self.aside.rows()):
            try:
                entry = wire.decode(row.data)
                judged = decode_record(entry.head.kind, entry.clear)
            except WireError:
                continue
            if judged is not None:
                digest = entry.digest(self.id, row.author)
                rows[digest] = (row, entry)
                signed.append(Signed(digest, row.author, entry.head.seq, judged))
        self.mail = load_mail(self.id, metas.get(mail_key(self.id)))
        self.prekeys.load(metas)
        forked = [each for each in self.feeds if fork_key(self.id, each) in metas]
        self.log, _ = recompute(self.id, self.founder, signed, forked)
        self._cards = Cards(self.id, self.keys, self.log)
        for held in self.log.records:
            row, entry = rows[held.digest]
            self._learn_card(row.author, entry, held.record, held.digest)
        return damaged

    def _load_feed(self, image: FeedImage, metas: dict[str, bytes]) -> bool:
        feed, whole = load_feed(image, metas.get(head_key(self.id, image.author), b""))
        feed.frozen = not whole or fork_key(self.id, image.author) in metas
        self.feeds[image.author] = feed
        self.acks.began(image.author, image.seq)
        return whole

    def _set_record(self, record: SpaceRecord) -> None:
        self._seed = record.seed
        self.author = crypto.sign_public(record.seed)
        self.former = record.former
        self.offered_rank = record.rank

    def _forget(self) -> None:
        self.feeds: dict[bytes, FeedHead] = {}
        self.aside = OtherBranches(self.id)
        self.early = Early(self.id)
        self.log = MembershipLog(self.id, self.founder)
        self.mail = Mail()
        self.prekeys = ToldPrekeys(self.id)
        self._cards = Cards(self.id, self.keys, self.log)

    # --- inside -----------------------------------------------------------------------------------

    def _refuses(
        self, author: bytes, entry: Entry, feed: FeedHead | None, *, early: bool = False
    ) -> DropReason | None:
        """Everything that can be told without the membership record inside, cheapest first.

        `early`: the signature is looked at even where what comes before is missing.
        """
        head = entry.head
        first = head.kind == Kind.SUCCESSOR and head.seq == 1
        if not self.is_member(author) and not first:
            return DropReason.AUTHOR_UNKNOWN
        if head.epoch_id != self.keys.epoch_id:
            return DropReason.EPOCH_UNKNOWN
        if head.author_id != self.keys.author_id(author):
            return DropReason.ENTRY_AUTHOR
        if feed and feed.frozen:
            return DropReason.FEED_FROZEN
        if feed is None and self._has_no_room(author, entry, first=first):
            return DropReason.FEEDS_FULL
        held, running = (feed.seq, feed.hash32) if feed else (0, self.first_running(author))
        if head.seq > held + 1 and author != self.author and not early:
            return DropReason.ENTRY_GAP
        if not entries.verify(self.id, author, entry):
            return DropReason.ENTRY_SIGNATURE
        if head.seq > held + 1:
            return DropReason.ENTRY_GAP
        if head.seq == held or head.prev != running[: wire.SHORT_LEN]:
            return DropReason.FORK_SUSPECTED
        if entry.body is None:
            return DropReason.ENTRY_ERASED
        if head.kind >= MEMBERSHIP_KINDS and not self._may(author, head.kind):
            return DropReason.ENTRY_RIGHT
        return None

    def _has_no_room(self, author: bytes, entry: Entry, *, first: bool) -> bool:
        """Tell whether a new feed is one too many: for its admission, or for the space.

        Who hides that it knows of its other heirs can sign any number of records that hold: so a
        replica takes the first few, and nobody else's record builds on the rest.
        """
        origin = self.log.origin(author)
        if first and not self.is_member(author):
            try:
                old = decode_successor(entry.clear).old
            except WireError:
                return True
            origin = self.log.origin(old)
            if self.log.heirs(origin) >= HEIRS_MAX:
                return True
        if len(self.feeds) < FEEDS_MAX:
            return False
        lines = {self.log.origin(known) for known in self.feeds}
        return origin not in lines and len(lines) >= FEEDS_MAX

    def _may(self, author: bytes, kind: int) -> bool:
        rank = self.log.rank(author)
        least = Rank.READER if kind == Kind.RECEIPT else Rank.WRITER
        return rank is not None and rank >= least

    def _judge(self, author: bytes, entry: Entry, digest: bytes) -> Record | DropReason:
        try:
            record = decode_record(entry.head.kind, entry.clear)
        except WireError:
            return DropReason.ENTRY_MALFORMED
        if record is None:
            return DropReason.ENTRY_KIND
        refused = self.log.add(Signed(digest, author, entry.head.seq, record))
        return record if refused is None else refused

    def _apply(
        self, author: bytes, entry: Entry, data: bytes, record: Record | None
    ) -> tuple[Row, ...]:
        digest = entry.digest(self.id, author)
        feed = self.feeds.setdefault(author, FeedHead(self.first_running(author)))
        feed.seq = entry.head.seq
        feed.hash32 = wire.next_running(feed.hash32, digest)
        feed.digest = digest
        feed.recent.append(digest)
        feed.bytes_total += len(data)
        rows: list[Row] = [
            EntryRow(self.id, author, feed.seq, data, record is not None),
            MetaRow(head_key(self.id, author), feed.encode()),
            *self.early.placed(author, feed.seq),
            *self.early.ended(record.old if isinstance(record, Successor) else b""),
        ]
        if record is not None:
            self._learn_card(author, entry, record, digest)
        elif entry.head.kind in MAIL_KINDS and not self.carries_only:
            rows += self._learn_mail(author, entry, digest)
        elif entry.head.kind == Kind.PREKEY and not self.carries_only:
            rows += self._learn_prekey(author, entry)
        return tuple(rows)

    def _learn_prekey(self, author: bytes, entry: Entry) -> list[Row]:
        opened = entries.open_entry(self.keys, self.id, author, entry)
        try:
            said = payload.decode_prekey(opened.payload) if opened is not None else None
        except WireError:
            said = None
        if said is None:
            return []
        row = self.prekeys.learn(author, said)
        if self.is_own(author):
            changed = self.mail.settle(said.unopened)
        else:
            changed = self.mail.give_back(said.unopened, self.node_of(author))
        return [*([row] if row else []), *([self.mail.row(self.id)] if changed else [])]

    def _learn_mail(self, author: bytes, entry: Entry, digest: bytes) -> list[Row]:
        opened = entries.open_entry(self.keys, self.id, author, entry)
        if opened is None:
            return []
        own = self.is_own(author)
        if opened.kind != Kind.RECEIPT:
            node = b"" if own else self.node
            changed = self.mail.message(author, opened, own=own, node=node, digest=digest)
        else:
            node = self.node_of(author)
            changed = self.mail.receipt(opened, own=own, node=node, missing=self._is_missing)
        return [self.mail.row(self.id)] if changed else []

    def _is_missing(self, author: bytes, seq: int) -> bool:
        """Tell of an own entry that is not here, though somebody had it."""
        feed = self.feeds.get(author)
        return self.is_own(author) and (feed is None or seq > feed.seq)

    def _learn_card(self, author: bytes, entry: Entry, record: Record, digest: bytes) -> None:
        self._cards.learn(author, entry, record, digest)
        self.name = self._cards.space_name or self.name

    def _member(self, author: bytes) -> Member:
        card = self._cards.of(author)
        rank = self.log.rank(author)
        assert rank is not None
        device, name = (card.device, card.name) if card else (b"", "")
        node = node_id(device) if device else b""
        current = not self.log.is_superseded(author)
        return Member(author, device, node, rank.name.lower(), name, current)
