"""Items of LoRa frames that spread objects: the objects, and who has which.

Enters: the payload of an opened frame, and where an item begins. Leaves: a value and where the next
one begins, or WireError. An item is a head byte, whose upper three bits are its type, and a body
that tells its own length:

    1 OBJECT    head [type:3 priority:3 0:2] age:1 length:1 body
    2 LISTING   head [type:3 0:5] count:1 young:1 old:1 count * tag:2
    3 WANTS     head [type:3 0:5] count:1 count * tag:2
    4 HEARD     head [type:3 0:5] count:1 count * short address:2

`age`, `young` and `old` count steps of `AGE_STEP_US` since an object was made, as relays reckon.
A `tag` is two bytes of BLAKE2b over the body: it names an object among those of some minutes, and
now and then two of them.
Ref: docs/wire-format.md#lora-items.
"""

from hashlib import blake2b
from typing import NamedTuple

from meshd.core.errors import WireError

TAG_LEN = 2
BODY_MAX = 240
AGE_STEP_US = 8_000_000
AGE_MAX = 255
PRIORITIES = 5
"""0 distress, 1 small text, 2 membership, 3 documents, 4 bulk."""

OBJECT_HEAD = 3
TAGS_HEAD = 2
LISTING_HEAD = 4
COUNT_MAX = 255

_OBJECT, _LISTING, _WANTS, _HEARD = 1, 2, 3, 4


def tag_of(body: bytes) -> bytes:
    """Return how frames name an object."""
    return blake2b(body, digest_size=TAG_LEN).digest()


class Object(NamedTuple):
    """Something for everybody; `age` in steps."""

    body: bytes
    priority: int
    age: int = 0

    @property
    def size(self) -> int:
        """Return how many bytes of a frame it takes."""
        return OBJECT_HEAD + len(self.body)

    def encode(self) -> bytes:
        """Return the item."""
        head = _OBJECT << 5 | self.priority << 2
        return bytes((head, self.age, len(self.body))) + self.body


class Listing(NamedTuple):
    """All objects between two ages that the sender has, but for those in the same frame."""

    tags: tuple[bytes, ...]
    young: int
    old: int

    @property
    def size(self) -> int:
        """Return how many bytes of a frame it takes."""
        return LISTING_HEAD + TAG_LEN * len(self.tags)

    def encode(self) -> bytes:
        """Return the item."""
        head = bytes((_LISTING << 5, len(self.tags), self.young, self.old))
        return head + b"".join(self.tags)


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


def parse_item(data: bytes, at: int) -> tuple[Item, int]:
    """Take the item apart that begins at `at`; return it and where it ends. Raises: WireError."""
    kind, low = data[at] >> 5, data[at] & 0x1F
    if kind == _OBJECT:
        return _object(data, at, low)
    if kind not in (_LISTING, _WANTS, _HEARD) or low:
        raise WireError(f"item of type {kind}")
    start = at + (LISTING_HEAD if kind == _LISTING else TAGS_HEAD)
    if start > len(data) or start + TAG_LEN * data[at + 1] > len(data):
        raise WireError("item cut off")
    end = start + TAG_LEN * data[at + 1]
    words = tuple(data[place : place + TAG_LEN] for place in range(start, end, TAG_LEN))
    if kind == _LISTING:
        return Listing(words, data[at + 2], data[at + 3]), end
    return (Wants(words) if kind == _WANTS else Heard(words)), end


def _object(data: bytes, at: int, low: int) -> tuple[Object, int]:
    priority, rest = low >> 2, low & 3
    if at + OBJECT_HEAD > len(data) or priority >= PRIORITIES or rest:
        raise WireError("object without a right head")
    start = at + OBJECT_HEAD
    end = start + data[at + 2]
    if end > len(data) or not start < end <= start + BODY_MAX:
        raise WireError("object of a wrong length")
    return Object(data[start:end], priority, data[at + 1]), end
