"""Decide whether an incoming stream may begin a handshake: bounds first by ingress, then by source.

Enters: where it comes from, what is half open, the time. Leaves: a named refusal or none.
"""

from collections.abc import Collection

from meshd.core.buckets import Buckets
from meshd.core.drops import DropReason
from meshd.session.connection import Connection, Ends

HALF_OPEN_MAX = 64
HALF_OPEN_INGRESS_MAX = 24
HALF_OPEN_SOURCE_MAX = 4
SOURCES_MAX = 512
INGRESSES_MAX = 64


class Gate:
    """The bounds on half-open handshakes that others began.

    An ingress is an interface ("" where it is not known), for its neighbours or for all behind it.
    """

    __slots__ = ("_by_ingress", "_by_source")

    def __init__(self) -> None:
        self._by_source = Buckets(burst=8, interval_us=1_000_000, sources_max=SOURCES_MAX)
        self._by_ingress = Buckets(burst=64, interval_us=50_000, sources_max=INGRESSES_MAX)

    def refuse(self, ends: Ends, half_open: Collection[Connection], now: int) -> DropReason | None:
        """Return why a stream may not begin, or None."""
        where = (ends.link, ends.direct)
        ingress = [conn for conn in half_open if (conn.ends.link, conn.ends.direct) == where]
        source = sum(conn.ends.host == ends.host for conn in ingress)
        if (
            len(half_open) >= HALF_OPEN_MAX
            or len(ingress) >= HALF_OPEN_INGRESS_MAX
            or source >= HALF_OPEN_SOURCE_MAX
        ):
            return DropReason.HANDSHAKE_BUSY
        limited = not self._by_source.allow((*where, ends.host), now)
        if limited or not self._by_ingress.allow(where, now):
            return DropReason.HANDSHAKE_LIMITED
        return None
