"""Has back routes that a wide table left out, now that the better ones are gone.

Enters: entries that lost their route. Leaves: routes to them from the packets that neighbours last
sent, as far as those are remembered. A neighbour whose packet is not is asked by name.
Must not know: the choice, links.
"""

from collections.abc import Sequence

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour
from meshd.routing.learn import ASKS_MAX, Learner
from meshd.routing.lesson import Lesson
from meshd.routing.table import Entry, Lease
from meshd.wire.babel import RouteRequest, Update
from meshd.wire.babel_parser import decode
from meshd.wire.babel_words import chosen


def recall(learner: Learner, entries: Sequence[Entry], now: int) -> None:
    """Read again what is spare of these entries; each packet once."""
    pages: dict[Lease, dict[Prefix, None]] = {}
    asks: dict[Neighbour, list[Prefix]] = {}
    for entry in entries:
        for lease in entry.spare:
            if lease.expires_us <= now:
                lease.stray(entry.prefix)
            elif lease.data:
                pages.setdefault(lease, {})[entry.prefix] = None
            else:
                asks.setdefault(lease.neighbour, []).append(entry.prefix)
        entry.spare = ()
    for lease, wanted in pages.items():
        source = lease.neighbour.address
        updates = chosen(lease.data, wanted, source)
        if updates is None:
            said = decode(lease.data, source).tlvs
            updates = [tlv for tlv in said if isinstance(tlv, Update) and tlv.prefix in wanted]
        Lesson(learner, lease.neighbour, now).recall(lease, updates)
    for neighbour, lost in asks.items():
        for start in range(0, len(lost), ASKS_MAX):
            requests = [RouteRequest(prefix) for prefix in lost[start : start + ASKS_MAX]]
            learner.announcer.unicast(neighbour, requests)
