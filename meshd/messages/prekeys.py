"""This device's prekeys, and which ones it and another may use: made, told, replaced, deleted.

Enters: rows of the last run, time, entropy, what feeds of shared spaces told. Leaves: PREKEY
entries in the own feeds, secret rows, pairs of prekeys to seal with and to open with. A prekey is
told only when its private half is on disk. Ages count uptime of the node, over all its starts; each
start counts up to an hour that was not. Must not know: what is sealed, how it travels.
Ref: docs/wire-format.md#letters.
"""

from collections import OrderedDict
from collections.abc import Callable
from struct import Struct

from meshd.core import crypto
from meshd.core.context import Context
from meshd.core.errors import RequestError, WireError
from meshd.core.events import MetaRow, Notice
from meshd.core.law import HOUR_US
from meshd.forwarding.pairwise import Prekey
from meshd.messages.contacts import Used
from meshd.messages.letter import ROW_PREFIX, rows_of
from meshd.space.entries import Draft
from meshd.space.mail import Name
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.space.told_prekeys import Told
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.membership import Rank

DAY_US = 24 * HOUR_US
REPLACE_US = 30 * DAY_US
DELETE_US = 60 * DAY_US
"""A private half is deleted at this age, at most an hour later."""

SETTLE_US = DAY_US
"""So long the prekey before is used to seal with, since others may not have heard the new one."""

OWN_MAX = 3
THEIRS_MAX = 3
"""Prekeys of another device that are tried; of more those with the lowest numbers are not."""

PLAIN_US = HOUR_US
"""Who could not open something gets all under the identity keys so long, or until it does."""

PLAIN_MAX = 256
SOON_US = 60_000_000
PER_MEMBER_US = 240_000_000
"""A prekey is told within so long for each member of the largest space: few tell at a time."""

UNOPENED_US = 600_000_000
"""How often a space is told which letters this device could not open."""

GATHER_US = 2_000_000
UNOPENED_WAIT_MAX = 256
_UPTIME_KEY = ROW_PREFIX + "uptime"
_OWN = Struct(">32sQ8s")
_TIMER = ("messages", "prekeys")


class _Peer:
    """What shared spaces say of a device: its prekeys, newest first, and the newest own number."""

    __slots__ = ("heard_own", "told")

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.heard_own = 0


class Prekeys:
    """The prekeys of one node."""

    def __init__(self, ctx: Context, spaces: Spaces) -> None:
        self.on_gone: Callable[[bytes], None] = lambda public: None
        self._ctx = ctx
        self._spaces = spaces
        self._own: dict[int, Prekey] = {}
        self._uptime_us = 0
        self._claimed_us = 0
        self._since: int | None = None
        self._tell_at: int | None = None
        self._making = False
        self._peers: dict[bytes, _Peer] | None = None
        self._plain: OrderedDict[bytes, int] = OrderedDict()
        self._unopened: dict[tuple[bytes, Name], None] = {}
        self._returned_at: dict[bytes, int] = {}

    def load(self, metas: dict[str, bytes]) -> list[str]:
        """Take what the store held; return the names of rows that are damaged."""
        self._own, damaged = {}, []
        self._making = False
        self._peers = None
        self._unopened = {}
        for key, value in rows_of(metas, "own"):
            try:
                prekey = _decode(key, value)
                self._own[prekey.number] = prekey
            except WireError:
                damaged.append(key)
                self._commit(MetaRow(key, None, secret=True))
        kept = metas.get(_UPTIME_KEY, b"")
        if self._since is None:
            self._uptime_us = self._claimed_us = int.from_bytes(kept[:8], "big")
        if self._spaces.all():
            self._ctx.timers.set(_TIMER, 0)
        return damaged

    def secrets(self) -> list[bytes]:
        """Return the private halves that are kept, the newest first."""
        return [prekey.secret for prekey in self._newest()]

    # --- which to use -----------------------------------------------------------------------------

    def to_seal(self, node: bytes, now: int) -> Used | None:
        """Return the prekeys to seal with for a node; None: the identity keys have to do."""
        peer = self._table().get(node)
        if peer is None or not peer.told or now < self._plain.get(node, now):
            return None
        ready = [prekey for prekey in self._newest() if prekey.number <= peer.heard_own]
        if not ready:
            return None
        young = self.uptime_us(now) - ready[0].made_us < SETTLE_US
        return Used(ready[young and len(ready) > 1], peer.told[0][1])

    def to_open(self, node: bytes) -> list[Used]:
        """Return the prekeys with which a node may have sealed, likely ones first."""
        peer = self._table().get(node)
        if peer is None or not peer.heard_own:
            return []
        return [Used(own, public) for own in self._newest() for _, public in peer.told]

    def expects(self, node: bytes) -> bool:
        """Tell whether a node may seal with prekeys: it shares a space that has heard of an own."""
        peer = self._table().get(node)
        return peer is not None and peer.heard_own > 0

    def doubt(self, node: bytes, now: int) -> None:
        """The node proved that it could not open something: use no prekeys with it for a while."""
        self._plain[node] = now + PLAIN_US
        self._plain.move_to_end(node)
        if len(self._plain) > PLAIN_MAX:
            self._plain.popitem(last=False)

    def trust(self, node: bytes) -> None:
        """The node has sealed with prekeys, or told a new one: use them."""
        self._plain.pop(node, None)

    def _newest(self) -> list[Prekey]:
        return [self._own[number] for number in sorted(self._own, reverse=True)]

    def _table(self) -> dict[bytes, _Peer]:
        if self._peers is None:
            self._peers = {}
            for space in self._spaces.all():
                if space.carries_only:
                    continue
                heard = max((number for number, _ in self._told_in(space)), default=0)
                for member in space.members():
                    if member.node and not space.is_own(member.author):
                        peer = self._peers.setdefault(member.node, _Peer())
                        peer.told += space.prekeys.of(member.author)
                        if member.role != "relay":
                            peer.heard_own = max(peer.heard_own, heard)
            for peer in self._peers.values():
                peer.told = sorted(set(peer.told), reverse=True)[:THEIRS_MAX]
        return self._peers

    # --- inputs -----------------------------------------------------------------------------------

    def uptime_us(self, now: int) -> int:
        """Return how long this node has run, in all its starts."""
        return self._uptime_us + (0 if self._since is None else now - self._since)

    def changed(self, now: int, *, own: bool) -> None:
        """Spaces or their feeds changed; `own`: perhaps something is to be told."""
        self._peers = None
        if not own:
            return
        if self._since is None:
            self._ctx.timers.set_earlier(_TIMER, now)
        else:
            self._plan(now)

    def unopened(self, space: Space, name: Name, now: int) -> None:
        """A letter in a space opens with no key: give it back to who wrote it."""
        if len(self._unopened) < UNOPENED_WAIT_MAX:
            self._unopened[space.id, name] = None
            due_us = max(now + GATHER_US, self._returned_at.get(space.id, now))
            self._ctx.timers.set_earlier(_TIMER, due_us)

    def tell_in(self, space: Space, now: int) -> None:
        """Tell the newest prekey in a space now, if there is one: a letter follows in that feed."""
        if self._own and self._wanting(space):
            self._append(space, (), now)

    def tend(self, now: int) -> None:
        """Delete, make and tell what is due."""
        if not self._own and not self._spaces_of_others():
            return
        if self._since is None:
            self._since = now
        up_us = self.uptime_us(now)
        if up_us + HOUR_US // 2 > self._claimed_us:
            self._claimed_us = up_us + HOUR_US
            self._commit(MetaRow(_UPTIME_KEY, self._claimed_us.to_bytes(8, "big")))
        for prekey in list(self._own.values()):
            if up_us - prekey.made_us >= DELETE_US:
                self._delete(prekey)
        if self._tell_at is not None and now >= self._tell_at:
            self._tell_at = None
            self._tell(now)
        self._give_back(now)
        self._plan(now)
        self._ctx.timers.set_earlier(_TIMER, now + HOUR_US // 2)

    # --- inside -----------------------------------------------------------------------------------

    def _plan(self, now: int) -> None:
        """Tell what is to be told at a moment that others do not choose too."""
        if self._tell_at is not None or self._making:
            return
        spaces = self._spaces_of_others()
        if spaces and (self._due(now) or any(map(self._wanting, spaces))):
            members = max(len(space.log.authors()) for space in spaces)
            self._tell_at = now + self._ctx.jitter(SOON_US, SOON_US + members * PER_MEMBER_US)
            self._ctx.timers.set_earlier(_TIMER, self._tell_at)

    def _tell(self, now: int) -> None:
        if self._due(now):
            self._make(now)
            return
        for space in self._spaces_of_others():
            if self._wanting(space):
                self._append(space, (), now)

    def _due(self, now: int) -> bool:
        """Tell whether a new prekey is to be made: by age, or since others know a later one."""
        if not self._own or self._is_overtaken():
            return True
        return self.uptime_us(now) - self._newest()[0].made_us >= REPLACE_US

    def _make(self, now: int) -> None:
        told = max((number for number, _ in self._all_told()), default=0)
        if self._is_overtaken():
            self._ctx.emit(Notice("prekey-lost", {"number": told}, warning=True))
        number = max(told, 0, *self._own) + 1
        if number > 0xFFFFFFFF:
            return
        secret = self._ctx.entropy(crypto.KEY_LEN)
        prekey = Prekey(number, secret, crypto.exchange_public(secret), self.uptime_us(now))
        self._making = True

        def written(why: str, at: int) -> None:
            self._making = False
            if why:
                return
            self._own[number] = prekey
            for extra in self._newest()[OWN_MAX:]:
                self._delete(extra)
            self._tell(at)

        self._spaces.commit((MetaRow(_own_key(number), _encode(prekey), secret=True),), written)

    def _delete(self, prekey: Prekey) -> None:
        del self._own[prekey.number]
        self.on_gone(prekey.public)
        self._commit(MetaRow(_own_key(prekey.number), None, secret=True))

    def _append(self, space: Space, unopened: tuple[Name, ...], now: int) -> bool:
        newest = self._newest()[0]
        said = payload.PrekeyRecord(newest.number, newest.public, unopened)
        try:
            self._spaces.append(space, Draft(Kind.PREKEY, b"", said.encode()), now)
        except (RequestError, WireError):
            return False
        self._peers = None
        return True

    def _give_back(self, now: int) -> None:
        """Name the letters that this device could not open, with the key to use instead."""
        if not self._own:
            return
        self._returned_at = {one: due for one, due in self._returned_at.items() if due > now}
        by_space: dict[bytes, list[Name]] = {}
        for space_id, name in self._unopened:
            by_space.setdefault(space_id, []).append(name)
        for space_id, names in by_space.items():
            space, due_us = self._spaces.get(space_id), self._returned_at.get(space_id, now)
            if now < due_us:
                self._ctx.timers.set_earlier(_TIMER, due_us)
                continue
            some = tuple(names[: payload.UNOPENED_MAX])
            if space is None or not _may_tell(space):
                some = tuple(names)
            elif self._append(space, some, now):
                self._returned_at[space_id] = now + UNOPENED_US
            else:
                continue
            for name in some:
                del self._unopened[space_id, name]

    def _spaces_of_others(self) -> list[Space]:
        """Return the spaces in which this device may tell, and somebody may listen."""
        return [
            space
            for space in self._spaces.all()
            if _may_tell(space) and not all(map(space.is_own, space.log.authors()))
        ]

    def _wanting(self, space: Space) -> bool:
        """Tell whether a space has not heard the newest prekey."""
        if not self._own or not _may_tell(space):
            return False
        newest = self._newest()[0]
        return (newest.number, newest.public) not in self._told_in(space)

    def _told_in(self, space: Space) -> list[Told]:
        """Return what own feeds have told in a space."""
        return [told for each in (space.author, *space.former) for told in space.prekeys.of(each)]

    def _all_told(self) -> list[Told]:
        return [told for space in self._spaces.all() for told in self._told_in(space)]

    def _is_overtaken(self) -> bool:
        """Tell whether own feeds told what is not here: an old copy of the card was put back."""
        newest = self._newest()[:1]
        number, public = (newest[0].number, newest[0].public) if newest else (0, b"")
        return any(told >= number and key != public for told, key in self._all_told())

    def _commit(self, row: MetaRow) -> None:
        self._spaces.commit((row,), lambda why, now: None)


def _may_tell(space: Space) -> bool:
    rank = space.rank
    return not space.carries_only and rank is not None and rank >= Rank.WRITER


def _own_key(number: int) -> str:
    return f"{ROW_PREFIX}own/{number:08x}"


def _encode(prekey: Prekey) -> bytes:
    """Return secret (32), uptime when it was made (8), and a digest of both (8)."""
    made = prekey.made_us.to_bytes(8, "big")
    return prekey.secret + made + _check(prekey.secret + made)


def _decode(key: str, value: bytes) -> Prekey:
    """Decode the row of an own prekey. Raises: WireError."""
    try:
        number = int(key.rpartition("/")[2], 16)
    except ValueError as error:
        raise WireError("a kept prekey has no number") from error
    if len(value) != _OWN.size or _check(value[:-8]) != value[-8:]:
        raise WireError("a kept prekey is damaged")
    secret, made_us, _ = _OWN.unpack(value)
    return Prekey(number, secret, crypto.exchange_public(secret), made_us)


def _check(data: bytes) -> bytes:
    return crypto.digest(data, size=8, person=b"meshd-prekey-row")
