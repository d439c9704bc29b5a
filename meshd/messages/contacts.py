"""Whose key is whose: open sealed bodies of whoever sent them, and learn keys that are missing.

Enters: sealed bodies with the short address they claim, introductions. Leaves: opened letters with
their sender, keys by NodeId. A body names its sender by two bytes only, so the keys of those known
by that short address are tried, a few of each kind: who shares a space and who is in earshot first,
then who was told apart by something that opened, last who only introduced itself. A key needs no
proof but its hash, the NodeId; keys with a certain short address cost a few seconds each.
Where both devices have told prekeys, keys that hang on these are tried as well: a body says neither
whose nor which it is. Must not know: how bodies travel, how prekeys are told.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import SHORT_LEN
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import Pair, Pairwise, Prekey
from meshd.wire.letters import Introduction, Letter, parse

LEARNT_MAX = 256
"""Keys learnt by introductions, and as many of them that have opened something since.

Those that opened nothing for longest are forgotten, and asked for again.
"""

SAME_MAX = 4
"""Of them with one short address."""

CANDIDATES_MAX = 8
"""Keys of one kind that are tried for one body."""

Known = Callable[[bytes], Iterable[tuple[bytes, bytes]]]
"""The NodeIds with a short address, and their keys, that another part knows: spaces, radios."""


class Opened(NamedTuple):
    """A letter, who sealed it, and what its answer is.

    `name` is the same whatever keys it came under: its tag under those of the identities alone.
    """

    node: bytes
    letter: Letter
    answer: bytes
    name: bytes
    prekeys: bool = False


class Used(NamedTuple):
    """A pair of prekeys: an own one, and the public half of another device's."""

    own: Prekey
    theirs: bytes


class Sealing(Protocol):
    """Which prekeys this device and another may have used, or use now."""

    def to_seal(self, node: bytes, now: int) -> Used | None: ...
    def to_open(self, node: bytes) -> list[Used]: ...
    def expects(self, node: bytes) -> bool: ...
    def trust(self, node: bytes) -> None: ...


class _None:
    """No prekeys at all."""

    def to_seal(self, node: bytes, now: int) -> Used | None:
        return None

    def to_open(self, node: bytes) -> list[Used]:
        return []

    def expects(self, node: bytes) -> bool:
        return False

    def trust(self, node: bytes) -> None:
        pass


class Contacts:
    """The keys of other devices. `known` are other parts that know some."""

    def __init__(
        self, seed: bytes, mesh: bytes, *, known: tuple[Known, ...], prekeys: Sealing | None = None
    ) -> None:
        self._prekeys: Sealing = prekeys or _None()
        self._pairwise = Pairwise(seed, mesh)
        self._known = known
        self._told: OrderedDict[bytes, bytes] = OrderedDict()
        self._used: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._told) + len(self._used)

    def nodes(self) -> tuple[bytes, ...]:
        """Return the devices whose keys were learnt."""
        return (*self._used, *self._told)

    def learn(self, introduction: Introduction) -> bool:
        """Keep a key; False when it is none."""
        if self._pairwise.with_device(introduction.public) is None:
            return False
        if introduction.node not in self._used:
            _keep(self._told, introduction.node, introduction.public)
        return True

    def opened(self, node: bytes) -> None:
        """Something was opened with a node's key: if it was learnt, it is kept before others."""
        public = self._used.get(node) or self._told.pop(node, None)
        if public is not None:
            _keep(self._used, node, public)

    def forget(self, node: bytes) -> None:
        """Let a key go that was learnt: its owner seems not to know ours any more."""
        self._told.pop(node, None)
        self._used.pop(node, None)

    def pair(self, node: bytes) -> Pair | None:
        """Return the keys with a node by the identities alone; None when its key is not known."""
        public = self._public_of(node)
        return None if public is None else self._pairwise.with_device(public)

    def prekeyed(self, node: bytes, now: int) -> Pair | None:
        """Return the keys with a node by prekeys too; None where both have not told any."""
        public, used = self._public_of(node), self._prekeys.to_seal(node, now)
        if public is None or used is None:
            return None
        return self._pairwise.with_prekeys(public, used.own, used.theirs)

    def expected(self, short: bytes) -> bytes | None:
        """Return who with a short address may have sealed with prekeys, and not be understood."""
        for node, _ in self._of(short):
            if self._prekeys.expects(node):
                return node
        return None

    def forget_prekey(self, own: bytes) -> None:
        """Let go of what hangs on an own prekey, by its public half: it was deleted."""
        self._pairwise.forget(own)

    def open(self, origin: bytes, body: bytes) -> Opened | DropReason:
        """Open a body that claims to be of a short address."""
        for kind in self._kinds(origin):
            for node, public in kind[:CANDIDATES_MAX]:
                found = self._try(node, public, body)
                if found is not None:
                    self.opened(node)
                    return found
        return DropReason.LETTER_STRANGER

    def open_of(self, node: bytes, body: bytes) -> Opened | DropReason:
        """Open a body that a certain node made."""
        public = self._public_of(node)
        found = None if public is None else self._try(node, public, body)
        return DropReason.LETTER_STRANGER if found is None else found

    def _try(self, node: bytes, public: bytes, body: bytes) -> Opened | DropReason | None:
        """Open a body with each key that a node may have used; None where none fits."""
        identities = self._pairwise.with_device(public)
        if identities is None:
            return None
        for used in (None, *self._prekeys.to_open(node)):
            pair: Pair | None = identities
            if used is not None:
                pair = self._pairwise.with_prekeys(public, used.own, used.theirs)
            plaintext = None if pair is None else pairwise.unseal(pair.back, body)
            if pair is None or plaintext is None:
                continue
            if used is not None:
                self._prekeys.trust(node)
            name = pairwise.tag_of(identities.back, plaintext)
            answer = pairwise.answer(pair.back, body)
            try:
                return Opened(node, parse(plaintext), answer, name, used is not None)
            except WireError:
                return DropReason.LETTER_MALFORMED
        return None

    def _public_of(self, node: bytes) -> bytes | None:
        for known, public in self._of(node[:SHORT_LEN]):
            if known == node:
                return public
        return None

    def _of(self, short: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield each device with this short address."""
        for kind in self._kinds(short):
            yield from kind

    def _kinds(self, short: bytes) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield the devices with this short address by where they are known from, best first."""
        seen: set[bytes] = set()
        learnt = (_with(short, self._used), _with(short, self._told))
        for found in (*(known(short) for known in self._known), *learnt):
            kind = [(node, public) for node, public in found if node not in seen]
            seen.update(node for node, _ in kind)
            yield kind


def _with(short: bytes, table: OrderedDict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the devices of a table with a short address, the newest first."""
    return [(node, table[node]) for node in reversed(table) if node[:SHORT_LEN] == short]


def _keep(table: OrderedDict[bytes, bytes], node: bytes, public: bytes) -> None:
    """Put a key at the end of a table, and let the first go where there are too many."""
    table[node] = public
    table.move_to_end(node)
    same = [known for known in table if known[:SHORT_LEN] == node[:SHORT_LEN]]
    if len(same) > SAME_MAX:
        del table[same[0]]
    elif len(table) > LEARNT_MAX:
        table.popitem(last=False)
