"""The steady order in which a table is announced: pages of prefixes, each about one packet.

Enters: prefixes that have a route, and which of them changed. Leaves: pages, and a version of each
that is another one after every change. A prefix keeps its page as long as it lives, and a new one
takes the first free place, so that a node that comes or goes changes one packet of a dump and the
others stay the same, byte by byte.
Must not know: routes, packets, links.
"""

from meshd.core.ids import Prefix

PAGE = 64
"""Prefixes of a page: as many updates of node addresses as fit into a packet of 1,452 bytes."""


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

    __slots__ = ("_pages", "_places")

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._places: dict[Prefix, Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, number: int) -> Page:
        return self._pages[number]

    def touch(self, prefix: Prefix) -> None:
        """Note that a prefix, new or known, must be announced otherwise than before."""
        page = self._places.get(prefix)
        if page is None:
            page = self._places[prefix] = self._free()
        page.version += 1
        page.prefixes[prefix] = page.version

    def remove(self, prefix: Prefix) -> None:
        """Forget a prefix; its place is free. Pages that got sparse are filled anew."""
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
