"""The entries seen last, kept in memory so that forwarding them needs no disk.

Enters: verified entries. Leaves: the same. Bounded in bytes; the oldest go first.
"""

from collections import OrderedDict

RECENT_BYTES_MAX = 512 * 1024


class Recent:
    """A cache of entries by (space, author, seq)."""

    __slots__ = ("_bytes", "_entries")

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[bytes, bytes, int], bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, space: bytes, author: bytes, seq: int, data: bytes) -> None:
        """Keep an entry, in place of another of its name."""
        key = (space, author, seq)
        self._bytes += len(data) - len(self._entries.pop(key, b""))
        self._entries[key] = data
        while self._bytes > RECENT_BYTES_MAX:
            _, old = self._entries.popitem(last=False)
            self._bytes -= len(old)

    def run(self, space: bytes, author: bytes, first: int, last: int) -> tuple[bytes, ...]:
        """Return entries from `first` on, as many as are here without a gap."""
        found = []
        for seq in range(first, last + 1):
            data = self._entries.get((space, author, seq))
            if data is None:
                break
            found.append(data)
        return tuple(found)
