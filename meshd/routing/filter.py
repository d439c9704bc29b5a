"""Which prefixes are never accepted from the air.

Enters: a prefix. Leaves: why it is refused, or None. What is ours, what the host protects (its LAN
and connected prefixes), what is no unicast address, and what is so wide that it swallows others.
Must not know: who announced it.
"""

from collections.abc import Iterable

from meshd.core.drops import DropReason
from meshd.core.ids import Prefix

WIDTH_MIN = 8
"""A shorter prefix than this, other than ::/0, has no honest use."""

WIDTH_MIN_GLOBAL = 32
"""The same outside fc00::/7: a provider's block. A few dozen /8 would stand for a default route."""

_MARTIANS = (
    Prefix(bytes.fromhex("fe80") + bytes(14), 10),
    Prefix(bytes.fromhex("ff") + bytes(15), 8),
    Prefix(bytes(12) + bytes(4), 96),
    Prefix(bytes(10) + bytes.fromhex("ffff") + bytes(4), 96),
)
_MARTIAN_BYTES = tuple(prefix.address[0] for prefix in _MARTIANS)


class Filter:
    """The rules of one node."""

    __slots__ = ("_hosts", "_own", "_protected")

    def __init__(self, own: Iterable[Prefix]) -> None:
        own = tuple(own)
        self._hosts = {prefix: None for prefix in own if prefix.length == 128}
        self._own = tuple(prefix for prefix in own if prefix.length < 128)
        self._protected: tuple[Prefix, ...] = ()

    def protect(self, prefixes: Iterable[Prefix]) -> None:
        """Replace the prefixes that no neighbour may announce."""
        self._protected = tuple(prefixes)

    def refused(self, prefix: Prefix) -> DropReason | None:
        """Return why `prefix` is refused, or None."""
        if prefix.length == 0:
            return DropReason.BABEL_DEFAULT_ROUTE
        if prefix.length < WIDTH_MIN:
            return DropReason.BABEL_WIDE_PREFIX
        if prefix in self._hosts or _within(prefix, self._own):
            return DropReason.BABEL_OWN_PREFIX
        if _within(prefix, self._protected):
            return DropReason.BABEL_PROTECTED_PREFIX
        if prefix.address[0] in _MARTIAN_BYTES and _martian(prefix):
            return DropReason.BABEL_MARTIAN
        if prefix.length < WIDTH_MIN_GLOBAL and prefix.address[0] & 0xFE != 0xFC:
            return DropReason.BABEL_WIDE_PREFIX
        return None


def _within(prefix: Prefix, wide: tuple[Prefix, ...]) -> bool:
    return bool(wide) and any(known.contains(prefix) for known in wide)


def _martian(prefix: Prefix) -> bool:
    return any(known.contains(prefix) or prefix.contains(known) for known in _MARTIANS)
