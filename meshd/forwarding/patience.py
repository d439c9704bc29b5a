"""When control that nobody waits for may go: once the channel is calm, or after a while anyway.

Enters: whether the channel is calm, time. Leaves: when to go on. Must not know: what is sent.
"""

from collections.abc import Callable

AGAIN_US = 20_000_000
"""So long control waits when the channel is busy, until it is asked again whether it is."""
PATIENCE_US = 45_000_000
"""A channel that stays busy is not waited for any longer: those who relay have to be known."""

Jitter = Callable[[int, int], int]


class Patience:
    """Waits for a calm channel. `until_us` is None while control may go."""

    def __init__(self, jitter: Jitter) -> None:
        self.until_us: int | None = None
        self._jitter = jitter
        self._last_us: int | None = None

    def allows(self, now: int, *, calm: bool) -> bool:
        """Tell whether control may go now: on a busy channel once, then it waits anew."""
        if self.until_us is not None and now < self.until_us:
            return False
        self.until_us = None
        if calm or (self._last_us is not None and now >= self._last_us):
            self._last_us = None
            return True
        if self._last_us is None:
            self._last_us = now + PATIENCE_US
        self.until_us = now + self._jitter(AGAIN_US // 2, AGAIN_US)
        return False
