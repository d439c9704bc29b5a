"""What goes wrong at a LoRa radio because a plan says so: somebody jams, or the modem fails.

Enters: frames on their way from the node to the air, and back. Leaves: what becomes of them at this
host. Several troubles at once compose. A modem that is gone says so, as a serial port does; one
that does not answer is given up for a frame after `SILENT_US`. Must not know: what frames hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from meshd.core.drops import DropReason

SILENT_US = 8_000_000
REFUSED_US = 50_000
GONE = "gone"


@dataclass(frozen=True, slots=True, eq=False)
class RadioTrouble:
    """One trouble: "jam" or one of `plan.MODEM_MODES`, and the share of frames that it befalls."""

    kind: str
    share: float


class Refusal:
    """A frame that the modem does not send: why, how late the node is told, and if it may have."""

    __slots__ = ("after_us", "maybe", "reason")

    def __init__(self, reason: DropReason, after_us: int, *, maybe: bool) -> None:
        self.reason = reason
        self.after_us = after_us
        self.maybe = maybe


class RadioTroubles:
    """All that is wrong at one radio now."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._now: list[RadioTrouble] = []

    @property
    def gone(self) -> bool:
        """Tell whether the modem is unplugged."""
        return any(trouble.kind == GONE for trouble in self._now)

    def begin(self, trouble: RadioTrouble) -> None:
        """Let one more be at work."""
        self._now.append(trouble)

    def end(self, trouble: RadioTrouble) -> None:
        """Let one end."""
        self._now.remove(trouble)

    def taken(self) -> bool:
        """Tell whether a jammer makes the channel seem taken at this moment."""
        return self._befalls("jam")

    def mute(self) -> bool:
        """Tell whether a frame seems sent and is not."""
        return self._befalls("mute")

    def refusal(self) -> Refusal | None:
        """Return how the modem fails to send the next frame, if it does."""
        if self._befalls("refusing"):
            return Refusal(DropReason.MODEM_REFUSED, REFUSED_US, maybe=False)
        if self._befalls("silent"):
            return Refusal(DropReason.MODEM_SILENT, SILENT_US, maybe=True)
        return None

    def heard(self, frame: bytes) -> bytes | None:
        """Return what the node gets of a frame from the air; None: nothing."""
        if self._befalls("jam") or self._befalls("deaf"):
            return None
        if not self._befalls("garbled"):
            return frame
        damaged = bytearray(frame)
        for _ in range(self._rng.randint(1, 4)):
            damaged[self._rng.randrange(len(damaged))] ^= 1 << self._rng.randrange(8)
        return bytes(damaged)

    def _befalls(self, kind: str) -> bool:
        return any(
            trouble.kind == kind and self._rng.random() < trouble.share for trouble in self._now
        )
