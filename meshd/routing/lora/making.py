"""A ROUTES item in the making: entries as far as there is room, and the checks over the short ones.

Enters: entries with the NodeId and seqno that they stand for. Leaves: what the item will hold.
Must not know: the route table, when it is sent. Ref: docs/wire-format.md#lora-routes.
"""

from meshd.routing.lora.names import check_of, grouped
from meshd.wire.lora_routes import (
    CHECK_LEN,
    ENTRIES_MAX,
    ENTRY_LEN,
    GROUP,
    NAMED_LEN,
    NAMED_MAX,
    NamedEntry,
    RouteEntry,
)


class Making:
    """Entries of an item, and the bytes left for more."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.entries: list[RouteEntry] = []
        self.named: list[NamedEntry] = []
        self.meant: list[tuple[bytes, int]] = []

    def checks(self, teller: bytes) -> tuple[bytes, ...]:
        """Return the checks over the short entries."""
        return tuple(check_of(teller, group) for group in grouped(self.meant))

    def takes(self, *, plain: bool) -> bool:
        """Take room for an entry; False when there is none."""
        size = NAMED_LEN
        if plain:
            size = ENTRY_LEN if len(self.entries) % GROUP else ENTRY_LEN + CHECK_LEN
        full = len(self.entries) >= ENTRIES_MAX if plain else len(self.named) >= NAMED_MAX
        if full or self.left < size:
            return False
        self.left -= size
        return True
