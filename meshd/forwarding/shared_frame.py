"""What shares a frame: items for those in earshot, objects, and the words of who is there.

Enters: items that wait, in the order of their coming. Leaves: a frame with the most urgent of each,
and what is in it. Must not know: when it is sent, the link's queue, the law.
"""

from typing import NamedTuple

from meshd.core.ids import SHORT_LEN
from meshd.forwarding.cast import ROOM_MIN, Batch, Cast
from meshd.forwarding.presence import ASKS_MAX, ECHOES_MAX, Presence, Words
from meshd.link.account import Share
from meshd.link.ledger import Priority
from meshd.link.queue import Outgoing
from meshd.wire.lora_frame import ECHO_LEN, FrameKind
from meshd.wire.lora_payload import LOCAL_HEAD, Local, Sub, encode

SHARING_MAX = 4
"""Items of each of two rounds that share a frame: with objects never more than one may hold."""
RIDERS_MAX = 8
"""Echoes that go with what is sent anyway."""


class Waiting(NamedTuple):
    """An encoded item for everybody in earshot (`to` None), or for one of them."""

    item: bytes
    to: bytes | None
    share: Share
    priority: Priority


class SharedFrame:
    """A frame for all in earshot, or for one, in the link's queue, and what is in it."""

    __slots__ = ("batch", "items", "outgoing", "words")

    def __init__(
        self, outgoing: Outgoing, batch: Batch | None, items: list[Waiting], words: Words | None
    ) -> None:
        self.outgoing = outgoing
        self.batch = batch
        self.items = items
        self.words = words


class FrameMaker:
    """Puts the frames of one radio together; `room` is what one holds."""

    def __init__(self, cast: Cast, presence: Presence, room: int) -> None:
        self._cast = cast
        self._presence = presence
        self._room = room

    def make(self, to: bytes | None, items: list[Waiting], now: int) -> SharedFrame | None:
        """Put a frame together: items for half of it, then objects, then what else there is."""
        waiting = sorted((one for one in items if one.to == to), key=lambda one: one.priority)
        first = max((len(one.item) for one in waiting[:1]), default=0)
        chosen = _fitting(waiting, max(self._room // 2, first))
        room = self._room - _size(chosen)
        batch = None
        if to is None and room >= ROOM_MIN:
            if chosen:
                self._cast.ride(room, now)
            batch = self._cast.build(now, room, whole=self._room)
            room -= len(encode(batch.items)) if batch is not None else 0
        chosen += _fitting([one for one in waiting if one not in chosen], room)
        if batch is None and not chosen:
            return None
        words = None
        if to is None:
            room = self._room - _size(chosen) - (len(encode(batch.items)) if batch else 0)
            words = self._words(room, now, alone=batch is None or not batch.objects)
        return SharedFrame(_frame(to, batch, chosen, words), batch, chosen, words)

    def _words(self, room: int, now: int, *, alone: bool) -> Words:
        """Return which echoes and questions ride in what is left of a frame."""
        echoes = min(ECHOES_MAX if alone else RIDERS_MAX, (room - LOCAL_HEAD) // ECHO_LEN)
        words = self._presence.words(now, echoes=max(echoes, 0), asks=ASKS_MAX)
        room -= len(_said(words._replace(strangers=()))) + LOCAL_HEAD
        return words._replace(strangers=words.strangers[: max(room // SHORT_LEN, 0)])


def _frame(
    to: bytes | None, batch: Batch | None, chosen: list[Waiting], words: Words | None
) -> Outgoing:
    items = b"".join(one.item for one in chosen)
    if words is not None:
        items += _said(words)
    shares = {one.share for one in chosen}
    priorities = [one.priority for one in chosen]
    if batch is not None:
        items += encode(batch.items)
        priorities += [Priority(held.rank) for held in batch.objects]
        for held in batch.objects:
            shares.add(Share.OWN if held.own and not held.sends else Share.RELAYED)
    share = max(shares, default=Share.CONTROL)
    priority = min(priorities, default=Priority.MEMBERSHIP)
    return Outgoing(FrameKind.LOCAL, items, share, priority, next_hop=to)


def _said(words: Words) -> bytes:
    """Return the items that say these words."""
    echoes, strangers = b"".join(echo for _, echo in words.echoes), b"".join(words.strangers)
    said = Local(Sub.ECHOES, echoes).encode() if echoes else b""
    return said + (Local(Sub.STRANGERS, strangers).encode() if strangers else b"")


def _fitting(waiting: list[Waiting], room: int) -> list[Waiting]:
    """Return those that fit, in their order."""
    chosen: list[Waiting] = []
    for one in waiting:
        if len(chosen) < SHARING_MAX and len(one.item) <= room:
            chosen.append(one)
            room -= len(one.item)
    return chosen


def _size(waiting: list[Waiting]) -> int:
    return sum(len(one.item) for one in waiting)
