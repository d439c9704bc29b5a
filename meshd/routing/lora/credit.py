"""How much may be said of routes over one LoRa radio, beside the regular turns, and when.

Enters: what was said, how many share the channel, time. Leaves: when the next word goes. What
changed waits until what was said before is paid for. What somebody waits for goes on an account of
its own, so that news does not hold it up, and whoever asks without end does not take the hour.
Must not know: routes, what is said.
"""

from meshd.routing.lora.rules import Rules

START_BYTES = 2_000
"""So much may be said beside that once, at the start: all names there are, and ways to them."""

BURST_BYTES = 400
CHANGES = 2
"""So much may be said at once, and afterwards that many times `share`, of changes: the next word
waits until what was said before is paid for."""

AWAITED_BYTES = 2_000
"""The same of what somebody waits for: so much when a node in the middle goes, about."""


class _Account:
    """Airtime saved, in µs: never more than at first or `most_us`, never less than `-most_us`."""

    def __init__(self, first_us: int, most_us: int, now: int) -> None:
        self.paid_us = now
        self._saved_us = first_us
        self._most_us = most_us
        self._at_us = now

    def spend(self, cost_us: int, rate: float, now: int) -> None:
        saved_us = self._saved_us + int((now - self._at_us) * rate)
        saved_us = min(saved_us, max(self._saved_us, self._most_us))
        self._saved_us = max(saved_us - cost_us, -self._most_us)
        self._at_us = now
        self.paid_us = now + int(max(-self._saved_us, 0) / rate)


class Credit:
    """What one radio may say of routes."""

    def __init__(self, rules: Rules, now: int) -> None:
        self._rules = rules
        byte_us = rules.byte_us
        burst_us = BURST_BYTES * byte_us
        self._news = _Account(START_BYTES * byte_us + burst_us, burst_us, now)
        self._awaited = _Account(AWAITED_BYTES * byte_us, AWAITED_BYTES * byte_us, now)

    def spend(self, size: int, sharing: int, now: int, *, awaited: bool) -> None:
        """Note that so many bytes are said, where `sharing` nodes share the channel."""
        rate = CHANGES * self._rules.share / sharing
        cost_us = size * self._rules.byte_us
        self._news.spend(cost_us, rate, now)
        if awaited:
            self._awaited.spend(cost_us, rate, now)

    def paid_us(self, *, awaited: bool) -> int:
        """Return from when on something may be said."""
        if awaited:
            return min(self._news.paid_us, self._awaited.paid_us)
        return self._news.paid_us
