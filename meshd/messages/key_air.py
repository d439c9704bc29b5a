"""How much of a radio's hour goes to keys that others ask for: a twentieth, and few to each.

Enters: who asks by which radio, time. Leaves: yes or no. Who asks needs no key that anybody knows,
so one short address or NodeId more costs nothing: the part of all is what holds.
Must not know: what is said.
"""

from meshd.core.buckets import Buckets
from meshd.core.law import HOUR_US
from meshd.messages.ways import RadioVerbs
from meshd.wire.letters import INTRODUCTION_LEN

PART = 20
LEAST = 2
"""So many an hour there are at least, where a frame is a large part of the hour."""

BURST_MAX = 16
ASKER_US = 600_000_000


class KeyAir:
    """One bucket for each radio, and one for each who asks there."""

    def __init__(self, radios: RadioVerbs) -> None:
        self._radios = radios
        self._full_at: dict[str, int] = {}
        self._askers = Buckets(burst=2, interval_us=ASKER_US, sources_max=256)

    def allow(self, link: str, asker: bytes, now: int) -> bool:
        """Take one introduction's part of the hour."""
        fits = self._radios.fits_hour(link, INTRODUCTION_LEN, now)
        share = max(fits // PART, LEAST)
        interval_us = HOUR_US // share
        burst = min(max(share // 2, LEAST), BURST_MAX)
        full_at = max(self._full_at.get(link, now), now)
        if not fits or full_at - now > (burst - 1) * interval_us:
            return False
        if not self._askers.allow((link, asker), now):
            return False
        self._full_at[link] = full_at + interval_us
        return True
