"""What hellos and IHUs of a link mean, before anything is known of their sender.

Enters: an address or a TLV, and the link that it came by. Leaves: whether its sender can be a
neighbour, and how long what it says holds. Must not know: neighbours, routes.
"""

from meshd.core.drops import DropReason
from meshd.core.events import Link
from meshd.core.ids import is_link_local
from meshd.wire.babel import Hello, Ihu, Tlv


def not_a_source(source: bytes, link: Link) -> DropReason | None:
    """Return why nobody on a link can have an address."""
    if len(source) != 16 or not is_link_local(source):
        return DropReason.BABEL_SOURCE
    return DropReason.BABEL_OWN_PACKET if source == link.address else None


def introduces(tlv: Tlv, link: Link) -> bool:
    """Tell whether a TLV makes its sender a neighbour."""
    return isinstance(tlv, Hello) or (isinstance(tlv, Ihu) and tlv.address == link.address)


def heard_us(ihu: Ihu | None) -> tuple[int, int] | None:
    """Return how well we are heard and how long that holds, if an IHU says so."""
    return None if ihu is None else (ihu.rxcost, holds_us(ihu))


def holds_us(ihu: Ihu) -> int:
    """Return how long an IHU holds (RFC 8966 Appendix B)."""
    return ihu.interval_cs * 10_000 * 7 // 2
