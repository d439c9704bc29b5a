"""Entries that are too long for LoRa as entries: they go in pieces, as small files do.

So do those whose frames together take more than two thirds of the law's hour. Enters: such
entries that somebody may lack, offers of neighbours. Leaves: offers and pieces by `AirBlobs`,
entries for `accept`, and sentences for people: what waits for what, and how long. Only the next
entry of a feed is taken, since nobody could judge another one; so each feed has one entry on its
way here at most. Pieces go last of all, and authors have equal parts of them.
Ref: docs/wire-format.md#entries-over-lora, docs/decisions/0014-entries-by-lora.md.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.law import HOUR_US
from meshd.space.space import Space
from meshd.sync.air.link import AirLink
from meshd.sync.air.names import Feed, Names
from meshd.sync.air.offers import Key
from meshd.sync.air.thin import fitting
from meshd.sync.files.air.blobs import AirBlobs
from meshd.sync.files.air.rule import bytes_text
from meshd.sync.files.air.sending import Plan, Sending
from meshd.sync.files.air.taking import IDLE_US, QUIET_US, Taking
from meshd.sync.ports import PassingPort
from meshd.wire import entry as wire
from meshd.wire.air_entry import ID_LEN, Thin, blob_ref, ref_parts
from meshd.wire.lora_pieces import Offer

SOON_US = 500_000, 3_000_000
LATER_US = 10_000_000, 60_000_000
"""How soon an entry is offered that nobody else can have offered, and one that others may."""
AGAIN_US = 30_000_000
"""An offer is not told again before so long, whoever asks."""
OFFERED_US = 600_000_000
"""So long after an offer no later entry of the same author is offered unasked."""
AHEAD_MAX = 64
"""Who is behind by more entries asks for them first."""
GIVERS_MAX = 64
VAIN_MAX = 4
"""After each offer that nobody wanted the next one waits twice as long, so often."""
REFUSED_MAX = 64
REFUSED_US = 24 * HOUR_US
"""Entries that were taken whole and refused, and how long they are not taken again."""
_FALSE = (DropReason.ENTRY_MALFORMED, DropReason.ENTRY_SIGNATURE, DropReason.ENTRY_AUTHOR)
"""What shows that an offer was of something else: its signer has verified what it gives."""

Accept = Callable[[Key, bytes, str, int], DropReason | bool]
"""Takes an entry that came by a radio; returns whether it is new, or why it is none."""


class LongEntries:
    """The long entries of all spaces of a node."""

    def __init__(
        self, ctx: Context, names: Names, passing: PassingPort, blobs: AirBlobs, accept: Accept
    ) -> None:
        self.names = names
        self._ctx = ctx
        self._spaces = names.spaces
        self._passing = passing
        self._blobs = blobs
        self._accept = accept
        self._givers: OrderedDict[Key, tuple[str, bytes]] = OrderedDict()
        self._coming: dict[Feed, bytes] = {}
        self._refused = _Refused()
        blobs.takers = self

    # --- giving -----------------------------------------------------------------------------------

    def thin(self, link: AirLink, feed: Feed, data: bytes, now: int, *, whole: bool) -> Thin | None:
        """Return an entry as a radio sends it in frames; None: in pieces, or not at all."""
        space = self._spaces.get(feed[0])
        if space is None:
            return None
        thin = fitting(space, feed[1], data, room=link.room, whole=whole)
        if thin is None or not self.fits(link, thin.seq, len(thin.encode()), now):
            return None
        return thin

    def fits(self, link: AirLink, seq: int, size: int, now: int) -> bool:
        """Tell whether an entry of so many bytes on air goes in frames by a radio."""
        budget = self._blobs.budget(link.name, now)
        return link.carries(seq, size, None if budget is None else budget.hour_us)

    def news(self, link: str, key: Key, data: bytes, now: int, *, own: bool, alone: bool) -> None:
        """Offer an entry that is on disk now; one of each author, who lacks the others asks.

        `alone`: nobody else in earshot can have it from where it came.
        """
        came = self._givers.get(key)
        if came is not None and came[0] == link and self._blobs.reached(*came):
            return
        for one in self._blobs.given(key[1]):
            if ref_parts(one.offer.ref)[0] != self._name(key):
                continue  # a file of the same author
            known_us = now if one.offered_us is None else one.offered_us
            if one.link == link and (one.todo or now - known_us < OFFERED_US):
                return
        soon = own or (alone and came is None)
        due_us = now + self._ctx.jitter(*(SOON_US if soon else LATER_US))
        self._give(Plan(link, due_us, own, key[1]), key, data, now)

    def asked(self, link: str, key: Key, data: bytes, now: int, *, due_us: int) -> None:
        """Offer an entry that a neighbour lacks."""
        known = self._blobs.gives(link, blob_ref(self._name(key), key[2]))
        if known is None:
            self._give(Plan(link, due_us, False, key[1]), key, data, now)
            return
        again_us = AGAIN_US << min(max(known.vain - 1, 0), VAIN_MAX)
        if not known.todo and (known.offered_us is None or now - known.offered_us > again_us):
            self._blobs.remind(known, due_us, now)

    def _give(self, plan: Plan, key: Key, data: bytes, now: int) -> None:
        self._blobs.give(plan, blob_ref(self._name(key), key[2]), data, now)

    def _name(self, key: Key) -> bytes:
        space = self._spaces.get(key[0])
        return bytes(ID_LEN) if space is None else space.keys.author_id(key[1])

    # --- taking -----------------------------------------------------------------------------------

    def offered(self, link: str, node: bytes, offer: Offer, now: int) -> bool | None:
        """Take an entry that is offered, if it is the next of its feed; None: it may be soon.

        Authors whose ids are alike are all meant: the signature tells whose it is.
        """
        name, seq = ref_parts(offer.ref)
        known, nexts = False, []
        for space_id, author in self.names.authors(name):
            space = self._spaces.get(space_id)
            feed = space.feeds.get(author) if space is not None else None
            ahead = seq - (feed.seq if feed is not None else 0)
            if space is None or seq <= 0 or ahead > AHEAD_MAX:
                continue
            known = True
            if ahead > 0 and not (feed is not None and feed.frozen):
                nexts.append((ahead, space, (space_id, author, seq)))
        spaces = {
            key: space
            for ahead, space, key in nexts
            if ahead == 1 and self._is_wanted(space, key, link, node, offer=offer, now=now)
        }
        if not spaces:
            return None if any(ahead > 1 for ahead, *_ in nexts) else known
        taking = Taking(link, node, offer, root=offer.ref, take=partial(self._came, tuple(spaces)))
        members = (member for space in spaces.values() for member in space.members())
        taking.trusted = node in {member.node for member in members}
        self._blobs.take(taking, now)
        self._coming.update((key[:2], offer.ref) for key in spaces)
        return True

    def _is_wanted(
        self, space: Space, key: Key, link: str, node: bytes, *, offer: Offer, now: int
    ) -> bool:
        if not wire.FIXED_LEN <= offer.size <= wire.ENTRY_LEN_MAX:
            self._ctx.drop(DropReason.PIECES_WRONG, link)
            return False
        if space.carries_only and self._passing.free_bytes() < offer.size:
            self._ctx.drop(DropReason.SYNC_LEASE, link)
            return False
        if self._refused.holds((key, offer.signed), _state(space, key), now):
            return False
        return node not in self._passing.sharers(space.id)

    def _came(self, keys: Sequence[Key], taking: Taking, blob: bytes, now: int) -> bool:
        """Judge an entry that is whole; False when it is not what was offered."""
        for key in keys:
            self._coming.pop(key[:2], None)
        try:
            head = wire.decode(blob).head
        except WireError:
            return False
        if (head.author_id, head.seq) != ref_parts(taking.offer.ref):
            return False
        taken: DropReason | bool = False
        for key in keys:
            taken = self._judge(key, taking, blob, now)
            if taken not in _FALSE:
                break
        if isinstance(taken, DropReason):
            self._ctx.drop(taken, taking.link)
        if taken is not DropReason.STORE_CLOSED:
            self._blobs.done(taking.offer.ref)
        return taken not in _FALSE

    def _judge(self, key: Key, taking: Taking, blob: bytes, now: int) -> DropReason | bool:
        """Hand an entry to its space, and remember what that refused."""
        self._givers[key] = (taking.link, taking.node)
        if len(self._givers) > GIVERS_MAX:
            self._givers.popitem(last=False)
        space = self._spaces.get(key[0])
        state = b"" if space is None else _state(space, key)
        taken = self._accept(key, blob, taking.link, now)
        if isinstance(taken, DropReason) and taken is not DropReason.STORE_CLOSED:
            self._refused.add((key, taking.offer.signed), state, now)
        return taken

    def applied(self, key: Key, now: int) -> None:
        """An entry is here, from wherever: what comes after it may have been offered."""
        ref = self._coming.get(key[:2])
        if ref is not None and ref_parts(ref)[1] <= key[2]:
            del self._coming[key[:2]]
            self._blobs.stop(ref)
        self._blobs.again(now)

    # --- for people -------------------------------------------------------------------------------

    def time_us(self, link: str, size: int, now: int) -> int | None:
        """Return how long an entry takes by a radio, after all before it; None: it does not go."""
        return self._blobs.least_us(link, size, now)

    def said(self, space: Space, later: Mapping[bytes, int], now: int) -> tuple[str, ...]:
        """Say what is on its way in pieces, and what waits for it.

        `later` has how many entries of each author are here that cannot be used yet.
        """
        lines = []
        for author, feed in space.feeds.items():
            who = "this node" if space.is_own(author) else space.person_of(author)
            who = who or author.hex()[:8]
            taking = self._blobs.taking(self._coming.get((space.id, author), b""))
            count, one = later.get(author, 0), f"entry {feed.seq + 1}"
            if taking is not None:
                said = self._blobs.text(taking, now)
                line = f"{one} of {who} ({bytes_text(taking.offer.size)}) {said}"
                lines.append(line + (f"; {_waiting(count)} for it" if count else ""))
            elif count:
                lines.append(f"{_waiting(count, f' of {who}')} for {one}, which is missing")
            name = space.keys.author_id(author)
            lines += [
                f"entry {ref_parts(sending.offer.ref)[1]} of {who} {said}"
                for sending in self._blobs.given(author)
                if ref_parts(sending.offer.ref)[0] == name and (said := self._given(sending, now))
            ]
        return tuple(lines)

    def _given(self, sending: Sending, now: int) -> str:
        said = self._blobs.giving(sending, now)
        return f"({bytes_text(sending.offer.size)}) {said}" if said else ""

    def gives(self, space: Space) -> bool:
        """Tell whether an own entry is on its way in pieces."""
        name = space.keys.author_id(space.author)
        given = self._blobs.given(space.author)
        going = (one for one in given if one.todo or one.offered_us is None)
        return any(ref_parts(one.offer.ref)[0] == name for one in going)

    def coming(self, now: int) -> list[Feed]:
        """Return the feeds of which an entry comes in pieces now: it need not be asked for.

        What a stranger offers keeps nobody from asking for long.
        """
        takings = ((feed, self._blobs.taking(ref)) for feed, ref in self._coming.items())
        return [
            feed
            for feed, one in takings
            if one is not None and now - one.moved_us < (IDLE_US if one.trusted else QUIET_US)
        ]


class _Refused:
    """Offers of what was taken whole and refused, and the state of feed and members in that hour.

    Another branch of a fork would be taken again and again: all else about it is right.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[Key, bytes], tuple[bytes, int]] = OrderedDict()

    def add(self, offer: tuple[Key, bytes], state: bytes, now: int) -> None:
        """Remember one; the oldest is forgotten."""
        self._rows[offer] = state, now
        if len(self._rows) > REFUSED_MAX:
            self._rows.popitem(last=False)

    def holds(self, offer: tuple[Key, bytes], state: bytes, now: int) -> bool:
        """Tell whether it would be refused again."""
        known, since_us = self._rows.get(offer, (None, now))
        return known == state and now - since_us < REFUSED_US


def _state(space: Space, key: Key) -> bytes:
    """Return what an entry of a feed is judged by: what comes before it, and the members."""
    feed = space.feeds.get(key[1])
    return (b"" if feed is None else feed.hash32) + space.log.digest()


def _waiting(count: int, whose: str = "") -> str:
    return f"1 entry{whose} waits" if count == 1 else f"{count} entries{whose} wait"
