"""Whom a short address on LoRa stands for, and which seqno seven bits of it.

Enters: what is said with its whole name, and what comes in the short form. Leaves: which form an
entry needs to be understood rightly, and the meaning of a short one, None when it has none yet.
Two nodes may share a short address, out of each other's range, so what a neighbour means by one is
known only when it said so: by a named entry, or by a check over a few entries that comes out right
with what is known here of nodes and seqnos. It keeps to what it said: once it used a short address
for one node, another is named each time. Seqnos of one source, as one node tells them, only rise.
Seven bits stand for the first number from the last one known that ends in them: where words were
lost that may be too early a number, never one too late, so it cannot make a route look feasible.
Must not know: routes, frames. Ref: docs/wire-format.md#lora-routes.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

from meshd.core.ids import NODE_ID_LEN, SHORT_LEN
from meshd.wire.lora_routes import CHECK_LEN, GROUP, SEQNO_MODULUS

Entry = TypeVar("Entry")

SPOKEN_MAX = 4096
"""Short addresses in use at once; further nodes are told by name each time."""

NAMES_MAX = 512
"""What is known of one neighbour's short addresses; whom else it names is taken as it is named."""

STEP_MAX = 64
"""A seqno that rose by more since it was told last is told in full."""

_NOBODY = bytes(NODE_ID_LEN)


def check_of(teller: bytes, words: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the check over some entries of `teller`: NodeIds and seqnos, 0 where unreachable."""
    said = b"".join(node + seqno.to_bytes(2, "big") for node, seqno in words)
    return blake2b(teller + said, digest_size=CHECK_LEN).digest()


def grouped(entries: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """Return entries by groups, each of which has a check."""
    return [tuple(entries[at : at + GROUP]) for at in range(0, len(entries), GROUP)]


def nearest(seqno: int, known: int) -> int:
    """Return the number closest to `known` that ends in the seven bits of `seqno`."""
    half = SEQNO_MODULUS // 2
    return known - half + (seqno - known + half) % SEQNO_MODULUS & 0xFFFF


class Spoken:
    """What this node said by one radio since it started: by short address, whom it meant."""

    __slots__ = ("_said",)

    def __init__(self, own: bytes) -> None:
        self._said: dict[bytes, tuple[bytes, int]] = {own[:SHORT_LEN]: (_NOBODY, 0)}

    def __len__(self) -> int:
        return len(self._said)

    def plain(self, node: bytes, seqno: int | None) -> bool:
        """Tell whether the short form is understood rightly; without seqno: of the name alone."""
        said = self._said.get(node[:SHORT_LEN])
        if said is None:
            return len(self._said) < SPOKEN_MAX and seqno is not None
        return said[0] == node and (seqno is None or seqno - said[1] & 0xFFFF < STEP_MAX)

    def note(self, node: bytes, seqno: int) -> None:
        """Note an entry that is told now. A seqno that went back is told in full until it is up."""
        short = node[:SHORT_LEN]
        said = self._said.get(short)
        if said is None:
            if len(self._said) < SPOKEN_MAX:
                self._said[short] = (node, seqno)
        elif said[0] != node:
            self._said[short] = (_NOBODY, 0)
        elif seqno - said[1] & 0xFFFF < 0x8000:
            self._said[short] = (node, seqno)


class Names:
    """What one neighbour means, by short address."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, int]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget it all: the neighbour forgot what it said."""
        self._known.clear()

    def note(self, node: bytes, seqno: int) -> bool:
        """Take a node and seqno that are certain; False when there is no room for it."""
        short = node[:SHORT_LEN]
        known = self._known.get(short)
        if known is None and len(self._known) >= NAMES_MAX:
            return False
        shared = known is not None and known[0] != node
        self._known[short] = (_NOBODY, 0) if shared else (node, seqno)
        return True

    def meant(self, short: bytes, seqno: int | None) -> tuple[bytes, int] | None:
        """Return NodeId and seqno of a short entry; None is no news of a seqno."""
        known = self._known.get(short)
        if known is None or known[0] == _NOBODY:
            return None
        node, before = known
        if seqno is None:
            return known
        return node, before + (seqno - before) % SEQNO_MODULUS & 0xFFFF

    def shared(self, short: bytes) -> bool:
        """Tell whether the neighbour used this short address for two nodes."""
        known = self._known.get(short)
        return known is not None and known[0] == _NOBODY
