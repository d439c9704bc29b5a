"""Whose keys spaces vouch for: the devices of all members, by their short address.

Enters: the spaces of this node. Leaves: ids and public keys. Must not know: what is sealed.
"""

from meshd.core.ids import SHORT_LEN
from meshd.space.spaces import Spaces


class Members:
    """The other devices of all spaces. Gathered when first asked for, after each `changed`."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._table: dict[bytes, dict[bytes, bytes]] | None = None

    def changed(self) -> None:
        """Look again: something came into a space."""
        self._table = None

    def of(self, short: bytes) -> list[tuple[bytes, bytes]]:
        """Return the devices of all spaces with this short address, and their keys."""
        if self._table is None:
            self._table = {}
            own = self._spaces.identity.node
            for space in self._spaces.all():
                for member in space.members():
                    if member.node and member.node != own:
                        same = self._table.setdefault(member.node[:SHORT_LEN], {})
                        same[member.node] = member.device_public
        return list(self._table.get(short, {}).items())

    def has(self, node: bytes) -> bool:
        """Tell whether a node is a member of some space here."""
        return any(known == node for known, _ in self.of(node[:SHORT_LEN]))
