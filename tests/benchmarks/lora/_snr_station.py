"""A station whose waits are ordered by SNR, as floods order them: who heard it worst goes first.

All else is that of `CastStation`: who need not send is known, frames are shared, lists repair.
"""

from radios.cast_station import CastStation

from meshd.core.drops import Drops
from meshd.forwarding.cast import POWER, Cast

LOWEST_DB, SPAN_DB = -17.5, 27.5
"""From what LongFast still reads up to 10 dB, where the wait is the longest."""


class SnrStation(CastStation):
    """One of them."""

    def __init__(self, number, rng, rules):
        super().__init__(number, rng, rules)
        self.cast = _SnrCast(self.neighbours, rules, rng, drops=Drops(), link="lora0")

    def receive(self, data, rssi_dbm, snr_db, now):
        self.cast.snr_db = snr_db
        super().receive(data, rssi_dbm, snr_db, now)


class _SnrCast(Cast):
    snr_db = 0.0

    def _plan(self, held, now):
        super()._plan(held, now)
        if held.due_us is not None:
            slot_us = self.rules.slot_us
            hold_us = (held.due_us - now - slot_us) * held.reach**POWER
            near = min(max((self.snr_db - LOWEST_DB) / SPAN_DB, 0.0), 1.0)
            held.due_us = now + slot_us + round(hold_us * near)
