"""Whose key is whose: open sealed bodies of whoever sent them, and learn keys that are missing.

Enters: sealed bodies with the short address they claim, introductions. Leaves: opened letters with
their sender, keys by NodeId. A body names its sender by two bytes only, so the keys of those known
by that short address are tried, a few. A key needs no proof but its hash, the NodeId.
Must not know: how bodies travel.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import Pair, Pairwise
from meshd.wire.letters import SHORT_LEN, Introduction, Letter, parse

LEARNT_MAX = 256
"""Keys learnt by introductions; those used longest ago are forgotten, and asked for again."""

CANDIDATES_MAX = 8
"""Keys that are tried for one body."""

Known = Callable[[bytes], Iterable[tuple[bytes, bytes]]]
"""The NodeIds with a short address, and their keys, that another part knows: spaces, radios."""


class Opened(NamedTuple):
    """A letter, who sealed it, and what its answer is."""

    node: bytes
    letter: Letter
    answer: bytes


class Contacts:
    """The keys of other devices. `known` are other parts that know some."""

    def __init__(self, seed: bytes, mesh: bytes, *, known: tuple[Known, ...]) -> None:
        self._pairwise = Pairwise(seed, mesh)
        self._known = known
        self._learnt: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._learnt)

    def learn(self, introduction: Introduction) -> bool:
        """Keep a key; False when it is none."""
        if self._pairwise.with_device(introduction.public) is None:
            return False
        self._learnt[introduction.node] = introduction.public
        self._learnt.move_to_end(introduction.node)
        if len(self._learnt) > LEARNT_MAX:
            self._learnt.popitem(last=False)
        return True

    def forget(self, node: bytes) -> None:
        """Let a key go that was learnt: its owner seems not to know ours any more."""
        self._learnt.pop(node, None)

    def pair(self, node: bytes) -> Pair | None:
        """Return the keys with a node; None when its public key is not known."""
        for known, public in self._of(node[:SHORT_LEN]):
            if known == node:
                return self._pairwise.with_device(public)
        return None

    def open(self, origin: bytes, body: bytes) -> Opened | DropReason:
        """Open a body that claims to be of a short address."""
        for node, pair in self._candidates(origin):
            plaintext = pairwise.unseal(pair.back, body)
            if plaintext is None:
                continue
            try:
                return Opened(node, parse(plaintext), pairwise.answer(pair.back, body))
            except WireError:
                return DropReason.LETTER_MALFORMED
        return DropReason.LETTER_STRANGER

    def open_of(self, node: bytes, body: bytes) -> Opened | DropReason:
        """Open a body that a certain node made."""
        pair = self.pair(node)
        plaintext = None if pair is None else pairwise.unseal(pair.back, body)
        if pair is None or plaintext is None:
            return DropReason.LETTER_STRANGER
        try:
            return Opened(node, parse(plaintext), pairwise.answer(pair.back, body))
        except WireError:
            return DropReason.LETTER_MALFORMED

    def _candidates(self, short: bytes) -> Iterator[tuple[bytes, Pair]]:
        tried = 0
        for node, public in self._of(short):
            pair = self._pairwise.with_device(public)
            if pair is not None and tried < CANDIDATES_MAX:
                tried += 1
                yield node, pair

    def _of(self, short: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield each device with this short address once: those learnt first."""
        seen = set()
        for node, public in list(self._learnt.items()):
            if node[:SHORT_LEN] == short:
                seen.add(node)
                self._learnt.move_to_end(node)
                yield node, public
        for known in self._known:
            for node, public in known(short):
                if node not in seen:
                    seen.add(node)
                    yield node, public
