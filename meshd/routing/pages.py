"""The steady order in which a table is announced: pages of prefixes, each about one packet.

Enters: prefixes that have a route, and which of them changed, or so little that it waits. Leaves:
pages, and a version of each that is another one after every change. A prefix keeps its page as long
as it lives, and a new one takes the first free place, so that a node that comes or goes changes one
packet of a dump and the others stay the same, byte by byte. What waits is changed once it lasted.
Must not know: routes, packets, links.
"""

from meshd.core.ids import Prefix

PAGE = 63
"""Prefixes of a page: as many updates of node addresses as fit into a packet of 1,452 bytes.

With 48 bytes of room, for a hello and two IHUs in front of them.
"""


LASTING_US = 180_000_000
"""How long a small change waits."""


class Page:
    """Some prefixes in order, each with the version at which it last changed.

    `version` rises when one of them must be said otherwise, or no more.
    """

    __slots__ = ("prefixes", "version")

    def __init__(self) -> None:
        self.prefixes: dict[Prefix, int] = {}
        self.version = 0


class Pages:
    """All prefixes of a table, by page."""

    __slots__ = ("_pages", "_places", "_waiting")

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._places: dict[Prefix, Page] = {}
        self._waiting: dict[Prefix, int] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, number: int) -> Page:
        return self._pages[number]

    def touch(self, prefix: Prefix) -> None:
        """Note that a prefix, new or known, must be announced otherwise than before."""
        self._waiting.pop(prefix, None)
        page = self._places.get(prefix)
        if page is None:
            page = self._places[prefix] = self._free()
        page.version += 1
        page.prefixes[prefix] = page.version

    def put_off(self, prefix: Prefix, now: int) -> None:
        """Note that a prefix should be announced otherwise, but only if that lasts."""
        self._waiting.setdefault(prefix, now)

    def as_before(self, prefix: Prefix) -> None:
        """Note that what was announced of a prefix holds."""
        self._waiting.pop(prefix, None)

    def waits(self, prefix: Prefix) -> bool:
        """Tell whether a change of a prefix waits."""
        return prefix in self._waiting

    def ripen(self, now: int) -> None:
        """Make the changes that lasted."""
        lasted = [each for each, since_us in self._waiting.items() if now - since_us >= LASTING_US]
        for prefix in lasted:
            self.touch(prefix)

    def remove(self, prefix: Prefix) -> None:
        """Forget a prefix; its place is free. Pages that got sparse are filled anew."""
        self._waiting.pop(prefix, None)
        page = self._places.pop(prefix, None)
        if page is None:
            return
        del page.prefixes[prefix]
        page.version += 1
        if 2 * len(self._places) + PAGE < len(self._pages) * PAGE:
            self._pages.clear()
            kept = sorted(self._places)
            self._places.clear()
            for prefix in kept:
                self.touch(prefix)

    def _free(self) -> Page:
        for page in self._pages:
            if len(page.prefixes) < PAGE:
                return page
        self._pages.append(Page())
        return self._pages[-1]
