"""What an opened LoRa frame holds: items, one behind the other, of all kinds.

Enters: the decrypted payload of a frame. Leaves: a tuple of values, or WireError. An item is a head
byte, whose upper three bits are its type; each tells its own length:

    0 LOCAL     head [type:3 sub:5] length:1 body      for those in earshot, never sent on
    1 to 4      objects for everybody, and who has which: `wire/lora_items.py`
    5 to 7      routes, direct messages, answers: `wire/lora_routes.py`

A LOCAL whose `sub` is not known is skipped, so that later versions may add some.
Ref: docs/wire-format.md#lora-items.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from meshd.core.errors import UsageError, WireError
from meshd.wire import lora_items, lora_routes

ITEMS_MAX = 32
LOCAL_HEAD = 2
LOCAL_MAX = 255

_LOCAL = 0
_ROUTES = 5


class Sub(IntEnum):
    """What a LOCAL item is, for those in earshot."""

    STRANGERS = 2
    ECHOES = 3
    DIGESTS = 4
    HEADS = 5
    NEEDS = 6
    SYMBOLS = 7
    PIECE = 8
    PIECES_WANTED = 9
    PACKET = 10
    ENTRY = 11
    ENTRY_PART = 12
    HELD = 13
    OFFER = 14
    MARKS = 15
    OWN_NAME = 16
    PROBE = 17
    PIECES_LATER = 18
    FILE_HELD = 19


class ObjectKind(IntEnum):
    """What an object is: the first byte of its body."""

    ENTRY = 1
    ENTRY_PART = 4
    WORD = 5


class Local(NamedTuple):
    """Something for those in earshot, or for one of them when its frame names one."""

    sub: int
    body: bytes

    def encode(self) -> bytes:
        """Return the item. Raises: UsageError for a body that is too long."""
        if len(self.body) > LOCAL_MAX or not 0 <= self.sub < 32:
            raise UsageError(f"a local item of {len(self.body)} bytes")
        return bytes((_LOCAL << 5 | self.sub, len(self.body))) + self.body


Item = Local | lora_items.Item | lora_routes.RouteItem


def encode(items: Iterable[Item]) -> bytes:
    """Return the payload of a frame."""
    return b"".join(item.encode() for item in items)


def parse(data: bytes) -> tuple[Item, ...]:
    """Take a payload apart. Raises: WireError."""
    items: list[Item] = []
    at = 0
    while at < len(data):
        if len(items) == ITEMS_MAX:
            raise WireError("more items than a frame may hold")
        item: Item
        kind = data[at] >> 5
        if kind == _LOCAL:
            item, at = _local(data, at)
        elif kind < _ROUTES:
            item, at = lora_items.parse_item(data, at)
        else:
            item, at = lora_routes.parse(data, at)
        items.append(item)
    return tuple(items)


def _local(data: bytes, at: int) -> tuple[Local, int]:
    start = at + LOCAL_HEAD
    if start > len(data) or start + data[at + 1] > len(data):
        raise WireError("local item cut off")
    end = start + data[at + 1]
    return Local(data[at] & 0x1F, data[start:end]), end
