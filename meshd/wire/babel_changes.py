"""What a packet of updates says otherwise than an earlier one of the same sender.

Enters: the bytes of two packets. Leaves: the updates that are new or different, and the prefixes
that are gone; so a dump of which a little changed costs that little. What was compared of late is
kept, for others who hear the same. Must not know: routes, neighbours.
"""

from functools import lru_cache

from meshd.core.ids import Prefix
from meshd.wire.babel import Packet, Update
from meshd.wire.babel_parser import KEPT, decode
from meshd.wire.babel_words import GONE_MAX, Changes


@lru_cache(maxsize=KEPT)
def changes(before: bytes, after: bytes, source: bytes) -> Changes | None:
    """Compare two sound packets; None when they cannot or need not be compared."""
    old, new = _updates(decode(before, source)), _updates(decode(after, source))
    if not old or not new:
        return None
    if len({update.interval_cs for updates in (old, new) for update in updates.values()}) > 1:
        return None
    gone = tuple(prefix for prefix in old if prefix not in new)
    if len(gone) > GONE_MAX:
        return None
    updates = (update for prefix, update in new.items() if old.get(prefix) != update)
    return Changes(tuple(updates), gone)


def _updates(packet: Packet) -> dict[Prefix, Update]:
    """Return a packet's updates by prefix; none when it says anything else, or one thing twice."""
    found = {tlv.prefix: tlv for tlv in packet.tlvs if isinstance(tlv, Update)}
    return found if len(found) == len(packet.tlvs) and not packet.ignored else {}
