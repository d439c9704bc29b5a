"""The membership log: who may append what, as a function of signed records alone.

Enters: verified membership records in any order that brings ancestors first (`recompute` finds such
an order). Leaves: ranks, invitations, the membership digest and the frontier. A record is judged by
its causal past only: its frontier and what that knew. So an admission whose admitter knew of a
revocation is invalid everywhere, one concurrent with it is valid everywhere, and nothing that was
applied is ever un-applied. Knows no clock. Ref: docs/wire-format.md#membership, decision 0002.
"""

from collections.abc import Iterable
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.wire import membership as wire
from meshd.wire.entry import Kind
from meshd.wire.membership import (
    Admit,
    Founding,
    Invite,
    Rank,
    Record,
    RevokeInvite,
    Successor,
)

RECORDS_MAX = 4096
"""Membership records of one space; further ones are refused, nothing is evicted."""
HEIRS_MAX = 8
"""Keys that one admission may hand its rights to in turn; a relay's, which writes nothing, none."""

_DECODERS = {
    Kind.FOUNDING: wire.decode_founding,
    Kind.ADMIT: wire.decode_admit,
    Kind.INVITE: wire.decode_invite,
    Kind.REVOKE_INVITE: wire.decode_revoke_invite,
    Kind.SUCCESSOR: wire.decode_successor,
}


class Signed(NamedTuple):
    """A verified membership entry: the hash that names it, its author, its place, its record."""

    digest: bytes
    author: bytes
    seq: int
    record: Record


class Grant(NamedTuple):
    """One record that gives `author` a rank; `by` is its index in the log."""

    by: int
    author: bytes
    rank: Rank


def decode_record(kind: int, clear: bytes) -> Record | None:
    """Decode the clear part of a membership entry; None for a kind of a later version.

    Raises: WireError.
    """
    decoder = _DECODERS.get(kind)  # type: ignore[call-overload]
    return decoder(clear) if decoder else None


def proof_statement(space: bytes, invite: bytes, author: bytes, commitment: bytes) -> bytes:
    """Return what the invite key and the joiner's signing key sign; `invite` is its public key."""
    return b"meshd-join-1" + space + invite + author + commitment


def device_statement(space: bytes, author: bytes) -> bytes:
    """Return what a device signs to stand behind a signing key."""
    return b"meshd-device-1" + space + author


def device_commitment(device: bytes, signature: bytes) -> bytes:
    """Return what ADMIT shows of a device to those who may not know it."""
    return crypto.digest(device + signature, person=b"meshd-card")


def successor_statement(space: bytes, author: bytes, record: Successor) -> bytes:
    """Return what the old key signs to hand its rights to `author`."""
    place = record.seq.to_bytes(4, "big") + record.running
    return b"meshd-successor-1" + space + record.old + author + place


class MembershipLog:
    """Valid records, each with its causal past as a bit mask over their indexes."""

    __slots__ = (
        *("_digest", "_founder", "_grants", "_heads", "_heirs", "_index", "_invites", "_last"),
        *("_let_in", "_origins", "_pasts", "_revocations", "_space", "_superseded"),
        *("forked", "records"),
    )

    def __init__(self, space: bytes, founder: bytes) -> None:
        self.records: list[Signed] = []
        self.forked: set[bytes] = set()
        self._space = space
        self._founder = founder
        self._index: dict[bytes, int] = {}
        self._pasts: list[int] = []
        self._grants: dict[bytes, list[Grant]] = {}
        self._invites: dict[bytes, int] = {}
        self._revocations: dict[bytes, list[int]] = {}
        self._let_in: dict[bytes, list[Grant]] = {}
        self._superseded: set[bytes] = set()
        self._heirs: dict[bytes, list[int]] = {}
        self._origins: dict[int, bytes] = {}
        self._heads: set[bytes] = set()
        self._last: dict[bytes, int] = {}
        self._digest: bytes | None = None

    def add(self, signed: Signed) -> DropReason | None:
        """Judge and apply a record; None when it holds (or was applied before).

        MEMBERSHIP_MISSING means: not yet to be judged, ask again when more has been applied.
        A record builds on its author's last one, but those of a `forked` feed know one branch.
        """
        if signed.digest in self._index:
            return None
        if len(self.records) >= RECORDS_MAX:
            return DropReason.MEMBERSHIP_FULL
        past = self._past(signed.record.frontier)
        if past is None:
            return DropReason.MEMBERSHIP_MISSING
        previous = self._last.get(signed.author)
        known = previous is None or past >> previous & 1 or signed.author in self.forked
        if not known:
            return DropReason.MEMBERSHIP_INVALID
        if not self._holds(signed, past):
            return DropReason.MEMBERSHIP_INVALID
        self._apply(signed, past)
        return None

    def holds(self, digest: bytes) -> bool:
        """Tell whether the record with this hash was applied."""
        return digest in self._index

    def records_of(self, author: bytes, first: int) -> list[Signed]:
        """Return the records of one key from a number on, by number."""
        mine = [each for each in self.records if each.author == author and each.seq >= first]
        return sorted(mine, key=lambda signed: signed.seq)

    def rank(self, author: bytes) -> Rank | None:
        """Return what `author` may do; None for who is no member."""
        return self._rank(author, -1)

    def authors(self) -> list[bytes]:
        """Return every admitted signing key, the founder first, then by order of key."""
        return [self._founder, *sorted(self._grants)]

    def digest(self) -> bytes:
        """Return the 32-byte digest of all valid records, whatever order they came in."""
        if self._digest is None:
            joined = b"".join(sorted(self._index))
            self._digest = crypto.digest(self._space + joined, person=b"meshd-members")
        return self._digest

    def frontier(self, author: bytes) -> tuple[bytes, ...]:
        """Return the newest records, sorted, for a new record by `author`.

        Another's succession that nothing builds on is left out: it adds no right but its own, and
        not every replica may hold it. Of more than `FRONTIER_MAX` heads the author's own goes
        first; later records name the rest.
        """
        heads = self._heads_for(author)
        if len(heads) > wire.FRONTIER_MAX:
            own = self._last.get(author)
            first = [] if own is None else [self.records[own].digest]
            others = [head for head in heads if head not in first]
            heads = sorted((first + others)[: wire.FRONTIER_MAX])
        return tuple(heads)

    def frontier_before(self, author: bytes, seq: int) -> tuple[bytes, ...]:
        """Return the frontier without what `author` wrote from `seq` on and what builds on that.

        A forked branch may never reach everybody; what follows the fork must not hang on it.
        """
        kept, left_out, covered = [], 0, 0
        for index, signed in enumerate(self.records):
            past = self._pasts[index]
            if (signed.author == author and signed.seq >= seq) or past & left_out:
                left_out |= 1 << index
            else:
                kept.append(index)
                covered |= past
        heads = [self.records[index].digest for index in kept if not covered >> index & 1]
        return tuple(sorted(heads)[: wire.FRONTIER_MAX]) or self.frontier(author)

    def admission(self, author: bytes) -> Signed | None:
        """Return the record that says who stands behind `author`: the smallest hash of several."""
        grants = self._grants.get(author, [])
        return min((self.records[grant.by] for grant in grants), default=None)

    def origin(self, author: bytes) -> bytes:
        """Return the admitted key (or the founder) whose rights came down to `author`."""
        return self._origin(author, -1)

    def heirs(self, origin: bytes) -> int:
        """Return how many keys hold the rights of one admission after its first."""
        return len(self._heirs.get(origin, ()))

    def is_superseded(self, author: bytes) -> bool:
        """Tell whether a newer feed took over the rights of `author`."""
        return author in self._superseded

    def invite_of(self, public: bytes) -> Signed | None:
        """Return the first INVITE record of an invite key."""
        index = self._invites.get(public)
        return None if index is None else self.records[index]

    def invites(self) -> list[Signed]:
        """Return all INVITE records in order of their hash."""
        return sorted(self.records[index] for index in self._invites.values())

    def is_revoked(self, invite: bytes) -> bool:
        """Tell whether a revocation of the INVITE with this hash is known here."""
        return invite in self._revocations

    def admitted_by(self, invite: bytes) -> set[bytes]:
        """Return the signing keys that the INVITE with this hash let in."""
        return self._admitted_by(invite, -1)

    def _heads_for(self, author: bytes) -> list[bytes]:
        left_out = {
            self._index[head]
            for head in self._heads
            if isinstance((signed := self.records[self._index[head]]).record, Successor)
            and signed.author != author
        }
        if not left_out:
            return sorted(self._heads)
        kept = [index for index in range(len(self.records)) if index not in left_out]
        covered = 0
        for index in kept:
            covered |= self._pasts[index]
        return sorted(self.records[index].digest for index in kept if not covered >> index & 1)

    def _origin(self, author: bytes, past: int) -> bytes:
        grants = [grant for grant in self._grants.get(author, ()) if past >> grant.by & 1]
        inherited = [grant.by for grant in grants if grant.by in self._origins]
        if author == self._founder or len(inherited) < len(grants) or not grants:
            return author
        return self._origins[min(inherited, key=lambda index: self.records[index].digest)]

    def _past(self, frontier: tuple[bytes, ...]) -> int | None:
        past = 0
        for digest in frontier:
            index = self._index.get(digest)
            if index is None:
                return None
            past |= self._pasts[index] | 1 << index
        return past

    def _rank(self, author: bytes, past: int) -> Rank | None:
        if author == self._founder:
            return Rank.OWNER
        grants = self._grants.get(author, ())
        return max((grant.rank for grant in grants if past >> grant.by & 1), default=None)

    def _admitted_by(self, invite: bytes, past: int) -> set[bytes]:
        grants = self._let_in.get(invite, ())
        return {grant.author for grant in grants if past >> grant.by & 1}

    def _holds(self, signed: Signed, past: int) -> bool:
        record = signed.record
        if isinstance(record, Successor):
            return self._successor_holds(signed, record, past)
        rank = self._rank(signed.author, past)
        if rank is None:
            return False
        match record:
            case Founding():
                return signed.author == self._founder and signed.seq == 1
            case Invite():
                return rank >= Rank.ADMIN
            case RevokeInvite():
                invite = self._invite(record.invite, past)
                return invite is not None and (rank >= Rank.ADMIN or invite.author == signed.author)
            case Admit():
                return rank >= Rank.READER and self._admit_holds(record, past)

    def _admit_holds(self, record: Admit, past: int) -> bool:
        signed = self._invite(record.invite, past)
        if signed is None or not isinstance(invite := signed.record, Invite):
            return False
        revoked = any(past >> index & 1 for index in self._revocations.get(record.invite, ()))
        admitted = self._admitted_by(record.invite, past)
        if record.author in admitted or len(admitted) >= invite.uses:
            return False
        if revoked or record.rank != invite.rank:
            return False
        statement = proof_statement(self._space, invite.public, record.author, record.commitment)
        return crypto.verify(invite.public, statement, record.proof) and crypto.verify(
            record.author, statement, record.consent
        )

    def _successor_holds(self, signed: Signed, record: Successor, past: int) -> bool:
        rank = self._rank(record.old, past)
        if signed.seq != 1 or rank is None or rank < Rank.READER:
            return False
        heirs = self._heirs.get(self._origin(record.old, past), ())
        if sum(past >> index & 1 for index in heirs) >= HEIRS_MAX:
            return False
        if self._rank(signed.author, past) is not None:
            return False
        statement = successor_statement(self._space, signed.author, record)
        return crypto.verify(record.old, statement, record.signature)

    def _invite(self, digest: bytes, past: int) -> Signed | None:
        index = self._index.get(digest)
        if index is None or not past >> index & 1:
            return None
        signed = self.records[index]
        return signed if isinstance(signed.record, Invite) else None

    def _apply(self, signed: Signed, past: int) -> None:
        index = len(self.records)
        self.records.append(signed)
        self._pasts.append(past)
        self._index[signed.digest] = index
        self._last[signed.author] = index
        self._heads.difference_update(signed.record.frontier)
        self._heads.add(signed.digest)
        self._digest = None
        record = signed.record
        match record:
            case Admit():
                grant = Grant(index, record.author, record.rank)
                self._grant(grant)
                self._let_in.setdefault(record.invite, []).append(grant)
            case Successor():
                rank = self._rank(record.old, past)
                assert rank is not None
                origin = self._origins[index] = self._origin(record.old, past)
                self._heirs.setdefault(origin, []).append(index)
                self._grant(Grant(index, signed.author, rank))
                self._superseded.add(record.old)
            case Invite():
                self._invites.setdefault(record.public, index)
            case RevokeInvite():
                self._revocations.setdefault(record.invite, []).append(index)
            case Founding():
                pass

    def _grant(self, grant: Grant) -> None:
        self._grants.setdefault(grant.author, []).append(grant)


def recompute(
    space: bytes, founder: bytes, records: Iterable[Signed], forked: Iterable[bytes] = ()
) -> tuple[MembershipLog, list[Signed]]:
    """Build the log from records in any order; return it and what does not hold (yet).

    Feeds go in their own order; it repeats until nothing more holds, so the result is the same
    for every order of `records`. Those of `forked` feeds are of several branches: each goes alone.
    """
    log = MembershipLog(space, founder)
    log.forked = set(forked)
    feeds: dict[bytes, list[Signed]] = {}
    for signed in sorted(records, key=lambda signed: (signed.author, signed.seq), reverse=True):
        key = signed.digest if signed.author in log.forked else signed.author
        feeds.setdefault(key, []).append(signed)
    moved = True
    while moved:
        moved = False
        for feed in feeds.values():
            while feed and log.add(feed[-1]) is None:
                feed.pop()
                moved = True
    return log, [signed for feed in feeds.values() for signed in feed]
