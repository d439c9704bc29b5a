"""Remember which keys stand behind a NodeId, and which NodeIds two keys have claimed.

Enters: what a finished handshake proved; never an unauthenticated packet. Leaves: the static key
to dial with, and the verdict on a twin. Both tables are bounded.
"""

from collections import OrderedDict
from typing import NamedTuple

KNOWN_MAX = 1024
TWINS_MAX = 64


class Keys(NamedTuple):
    """A node's device public key and its Noise static public key."""

    public: bytes
    static: bytes


class KnownPeers:
    """Keys by NodeId. Beyond the bound the node that was met longest ago is forgotten."""

    __slots__ = ("_keys", "_names", "_twins")

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, Keys] = OrderedDict()
        self._names: dict[bytes, str] = {}
        self._twins: OrderedDict[bytes, None] = OrderedDict()  # held by more than one device

    def __len__(self) -> int:
        return len(self._keys)

    def static(self, node: bytes | None) -> bytes | None:
        """Return the static key to dial `node` with, if one is known."""
        keys = self._keys.get(node) if node else None
        return keys.static if keys else None

    def meet(self, node: bytes, keys: Keys) -> bool:
        """Remember proven keys; False, from now on for both, when another device key holds `node`.

        A new static key under the same device key replaces the old one.
        """
        known = self._keys.get(node)
        if known is not None and known.public != keys.public:
            self._twins[node] = None
            if len(self._twins) > TWINS_MAX:
                self._twins.popitem(last=False)
        if node in self._twins:
            return False
        self._keys[node] = keys
        self._keys.move_to_end(node)
        if len(self._keys) > KNOWN_MAX:
            self._names.pop(self._keys.popitem(last=False)[0], None)
        return True

    def named(self, node: bytes, name: str) -> None:
        """Note what a known node calls itself; "" is no name."""
        self._names.pop(node, None)
        if name and node in self._keys:
            self._names[node] = name

    def nodes(self) -> tuple[bytes, ...]:
        """Return the nodes whose keys are known."""
        return tuple(self._keys)

    def names(self) -> dict[bytes, str]:
        """Return what they call themselves."""
        return self._names
