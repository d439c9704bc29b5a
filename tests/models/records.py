"""Signed values of the membership models: entries, what they do, and how they hang together.

A signature is abstract: whoever appears as `author` has signed all of it. `name` stands for the
running hash, so an entry fixes all that came before it. `salt` is what an author may grind. An
entry's past is what it links to, its feed and the records it knows: nothing else is ever judged.
The models are the rules; decision 0005 says where they had to be made precise, and why so.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import NamedTuple

FOUNDER = "anna"
"""The device that the genesis names; the space begins with its first entry."""


class Rank(IntEnum):
    """What a person may do; each rank may do what those below may. TOP: the founder's phrase."""

    RELAY = 0
    READER = 1
    WRITER = 2
    ADMIN = 3
    OWNER = 4
    TOP = 5


class Head(NamedTuple):
    """A place in a feed: number and running hash; `seq` 0 is before its first entry."""

    feed: str
    seq: int
    name: str


class Found(NamedTuple):
    """The founder's first entry."""

    person: str
    recovery: str


class Invite(NamedTuple):
    """Somebody may come in with this rank; uses and expiry are not modelled."""

    rank: Rank


class Admit(NamedTuple):
    """A person comes in by an invitation, with a first device and the key of its phrase."""

    person: str
    device: str
    invite: str
    recovery: str = ""


class Promote(NamedTuple):
    """A person gets a rank."""

    person: str
    rank: Rank


class AddDevice(NamedTuple):
    """One more device of the author's person."""

    device: str


class Succeed(NamedTuple):
    """The author is a new key that takes over from `old`, which signed too: its first entry."""

    old: str


class Remove(NamedTuple):
    """Devices, pinned where the author knew them, or with `person` all of a person's."""

    pins: tuple[Head, ...]
    person: str = ""


class Recover(NamedTuple):
    """By a recovery key: `device` comes in and lost ones go, in one act."""

    device: str
    pins: tuple[Head, ...] = ()


class Rotate(NamedTuple):
    """A new epoch without a removal."""


class Note(NamedTuple):
    """Nothing but a closing statement."""


class Post(NamedTuple):
    """An update: what it touches, what it depends on, the engine's client id when not the feed."""

    touches: tuple[str, ...] = ("text",)
    needs: tuple[str, ...] = ()
    client: str = ""


Act = (
    Found | Invite | Admit | Promote | AddDevice | Succeed | Remove | Recover | Rotate | Note | Post
)
GRANTS = (Found, Admit, AddDevice, Succeed, Recover)
REMOVALS = (Remove, Recover)


@dataclass(frozen=True, eq=False)
class Entry:
    """One signed entry. Recovery keys have no feed: their acts stand alone, with seq 0.

    `knows` names the newest records that the author had (an entry's membership digest);
    `closing` is a closing statement: heads that it had applied.
    """

    author: str
    seq: int
    prev: str
    knows: tuple[str, ...]
    act: Act
    closing: tuple[Head, ...] = ()
    salt: int = 0
    name: str = field(init=False)

    def __post_init__(self) -> None:
        signed = (self.author, self.seq, self.prev, self.knows, self.act, self.closing, self.salt)
        name = blake2b(f"{type(self.act).__name__}{signed!r}".encode(), digest_size=12)
        object.__setattr__(self, "name", name.hexdigest())

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self.name == other.name

    @property
    def head(self) -> Head:
        """The place of this entry in its feed."""
        return Head(self.author, self.seq, self.name)

    @property
    def is_record(self) -> bool:
        """Whether the membership digest covers it."""
        return bool(self.closing) or not isinstance(self.act, Post)

    @property
    def links(self) -> tuple[str, ...]:
        """The entries that must be here before this one can be judged."""
        return (self.prev, *self.knows) if self.prev else self.knows


Entries = frozenset[Entry]
