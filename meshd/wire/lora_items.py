"""What a LoRa frame holds once it is opened: items, one behind the other.

Enters: the decrypted payload of a frame. Leaves: a tuple of values, or WireError. An item is a head
byte, whose upper three bits are its type, and a body that tells its own length:

    1 OBJECT    head [type:3 priority:3 named:2] age:1 length:1 named * 1 byte, body
    2 LISTING   head [type:3 0:5] count:1 count * tag:2
    3 WANTS     head [type:3 0:5] count:1 count * tag:2
    4 HEARD     head [type:3 0:5] count:1 count * short address:2

`age` counts steps of `AGE_STEP_US` since the object was made, as its relays reckon. A `tag` is the
first two bytes of BLAKE2b over the body: it names an object among those of some minutes, and no
more than that. `named` are low bytes of short addresses: who should send the object on soon.
Ref: docs/wire-format.md#lora-items.
"""

from hashlib import blake2b
from typing import NamedTuple

from meshd.core.errors import WireError

TAG_LEN = 2
SHORT_LEN = 2
NAMED_MAX = 3
BODY_MAX = 240
ITEMS_MAX = 32
AGE_STEP_US = 4_000_000
AGE_MAX = 255
PRIORITIES = 5
"""0 distress, 1 small text, 2 membership, 3 documents, 4 bulk."""

OBJECT_HEAD = 3
TAGS_HEAD = 2

_OBJECT, _LISTING, _WANTS, _HEARD = 1, 2, 3, 4


def tag_of(body: bytes) -> bytes:
    """Return how frames name an object."""
    return blake2b(body, digest_size=TAG_LEN).digest()


class Object(NamedTuple):
    """Something for everybody. `age` in steps; `named` low bytes of who should send it on soon."""

    body: bytes
    priority: int
    age: int = 0
    named: bytes = b""

    @property
    def size(self) -> int:
        """Return how many bytes of a frame it takes."""
        return OBJECT_HEAD + len(self.named) + len(self.body)

    def encode(self) -> bytes:
        """Return the item."""
        head = _OBJECT << 5 | self.priority << 2 | len(self.named)
        return bytes((head, self.age, len(self.body))) + self.named + self.body


class Listing(NamedTuple):
    """All objects of the last minutes that the sender has, but for those in the same frame."""

    tags: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the item."""
        return bytes((_LISTING << 5, len(self.tags))) + b"".join(self.tags)


class Wants(NamedTuple):
    """Objects that the sender heard of and has not."""

    tags: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the item."""
        return bytes((_WANTS << 5, len(self.tags))) + b"".join(self.tags)


class Heard(NamedTuple):
    """All neighbours that the sender hears, by short address."""

    shorts: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the item."""
        return bytes((_HEARD << 5, len(self.shorts))) + b"".join(self.shorts)


Item = Object | Listing | Wants | Heard


def encode(items: tuple[Item, ...]) -> bytes:
    """Return the payload of a frame."""
    return b"".join(item.encode() for item in items)


def parse(data: bytes) -> tuple[Item, ...]:
    """Take a payload apart. Raises: WireError."""
    items: list[Item] = []
    at = 0
    while at < len(data):
        if len(items) == ITEMS_MAX:
            raise WireError("more items than a frame may hold")
        item, at = _item(data, at)
        items.append(item)
    return tuple(items)


def _item(data: bytes, at: int) -> tuple[Item, int]:
    kind, low = data[at] >> 5, data[at] & 0x1F
    if kind == _OBJECT:
        return _object(data, at, low)
    if kind not in (_LISTING, _WANTS, _HEARD) or low:
        raise WireError(f"item of type {kind}")
    if at + TAGS_HEAD > len(data):
        raise WireError("item cut off")
    start, count = at + TAGS_HEAD, data[at + 1]
    end = start + TAG_LEN * count
    if end > len(data):
        raise WireError("item cut off")
    words = tuple(data[place : place + TAG_LEN] for place in range(start, end, TAG_LEN))
    if kind == _LISTING:
        return Listing(words), end
    return (Wants(words) if kind == _WANTS else Heard(words)), end


def _object(data: bytes, at: int, low: int) -> tuple[Object, int]:
    priority, count = low >> 2, low & 3
    if at + OBJECT_HEAD > len(data) or priority >= PRIORITIES:
        raise WireError("object without a right head")
    start = at + OBJECT_HEAD + count
    end = start + data[at + 2]
    if end > len(data) or not start < end <= start + BODY_MAX:
        raise WireError("object of a wrong length")
    return Object(data[start:end], priority, data[at + 1], data[start - count : start]), end
