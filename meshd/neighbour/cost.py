"""From hello histories and the other side's IHU to the cost of a link (RFC 8966 Appendix A.2).

Wireless (mesh and shared interfaces): ETX, 256 for a clean hop. Two changes to the RFC's example:
the estimate looks at 16 hellos, so that a lossy but living link does not swing, and more hellos
missed in a row than its loss explains double it, so that a clean link that went silent is left
after two. A link that still lives costs at most 2,048, so that no slow radio's path is preferred
over it by mistake.
Wired: 2 of the last 3 hellos, cost 96.
Must not know: who the neighbour is, clocks.
"""

from meshd.core.events import LinkKind
from meshd.neighbour.hello import HelloHistory

INFINITY = 0xFFFF
CLEAN_HOP = 256
WIRED_HOP = 96
IP_LINK_MAX = 2048
SILENT_MISSES = 8
"""So many hellos missed in a row end a wireless link: at 40 % loss once in two hours."""


def rx_cost(kind: LinkKind, multicast: HelloHistory, unicast: HelloHistory) -> int:
    """Return what an IHU says: how well we hear the neighbour."""
    if kind is LinkKind.WIRED:
        up = _two_of_three(multicast) or _two_of_three(unicast)
        return WIRED_HOP if up else INFINITY
    run = multicast.misses_in_a_row
    if not multicast.bits or run >= SILENT_MISSES:
        return INFINITY
    share = CLEAN_HOP * multicast.samples // multicast.heard_count
    silent = CLEAN_HOP << (run - 1) if run > 1 and _unusual(multicast, run) else 0
    return min(max(share, silent), IP_LINK_MAX)


def link_cost(kind: LinkKind, rxcost: int, txcost: int) -> int:
    """Return the cost of sending over the link: never 0, infinite when either side is."""
    if rxcost == INFINITY or txcost == INFINITY:
        return INFINITY
    if kind is LinkKind.WIRED:
        return min(max(txcost, 1), IP_LINK_MAX)
    return min(max(txcost, CLEAN_HOP) * rxcost // CLEAN_HOP, IP_LINK_MAX)


def _unusual(history: HelloHistory, run: int) -> bool:
    """Tell whether `run` misses in a row are less than 2 % likely by the loss seen before them."""
    before = history.samples - run
    missed = max(before - history.heard_count, 1)
    return before > 0 and (missed / before) ** float(run) < 0.02


def _two_of_three(history: HelloHistory) -> bool:
    """Tell whether two of the last three hellos came; a first hello counts until it is missed."""
    if history.samples < 2:
        return history.bits & 1 == 1
    return (history.bits & 0b111).bit_count() >= 2
