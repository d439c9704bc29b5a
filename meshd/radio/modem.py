"""What each modem dialect does, whatever its bytes look like.

Enters: bytes from the serial port, frames to transmit, time. Leaves: bytes for the port, and
events: heard, sent, not sent, configured, broken. One `Modem` lives from the opening of a port to
its closing; after `Broken` its owner closes the port, waits, and starts with a new one.
Must not know: which port it is, what frames hold, how much airtime the law leaves.

A modem never waits for ever: each question has a deadline, and what does not come is told as
`NotSent` or `Broken`. What is not understood is dropped with a reason, never an exception.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError

TOO_WEAK = "this radio sends with 0 dBm or more: set at least that, and an antenna of less gain"
"""Advice for a plan of less than a milliwatt."""


SECOND = 1_000_000
STALE_US = SECOND // 2
"""Half a word of a modem that is not continued for so long will never be."""

TRIES, ASKED_TRIES = 3, 2
"""How often a question is put; fewer when nobody knows whether there is such a modem at all."""

RESTARTS_MAX = 5
"""How often a modem may restart by itself, no frame sent between, before it is given up."""

STRANGE_MAX = 512
"""Bytes that are kept of what another kind of modem says, to name it."""


class RadioPlan(NamedTuple):
    """How a radio is set: what all nodes of a mesh share, and the power of this one.

    `network` (0 to 255) tells meshes apart where a module can: its sync word or network number.
    """

    frequency_hz: int
    modulation: Modulation
    tx_dbm: int
    network: int = 18


class Opened(NamedTuple):
    """The modem answered: what it is, and its firmware as it says."""

    model: str
    firmware: str


class Configured(NamedTuple):
    """The modem holds this plan now; frames may be transmitted. `tx_dbm` as it was granted."""

    plan: RadioPlan


LEVEL_MAX = 200.0
"""No signal or noise is further from zero, in dB or dBm."""


class Heard(NamedTuple):
    """A frame from the air; signal figures where the modem tells them."""

    frame: bytes
    rssi_dbm: float | None
    snr_db: float | None


def plausible(level: float | None) -> float | None:
    """Return a level in dB or dBm; None for what no receiver can mean, NaN too."""
    return level if level is not None and abs(level) <= LEVEL_MAX else None


class Sent(NamedTuple):
    """The frame is on the air no more. `told` by the modem, or reckoned from its airtime."""

    told: bool


class NotSent(NamedTuple):
    """The frame did not go out: the channel was taken, the modem refused it or said nothing.

    `maybe`: the modem fell silent, so the frame may have gone out; its airtime counts.
    """

    reason: DropReason
    maybe: bool = False


class Noise(NamedTuple):
    """What the modem hears when nobody sends."""

    dbm: float


class BoardAired(NamedTuple):
    """A board that sends by itself too says how long it was on the air, ours and its own: in its
    last hour, or since it has power where that is less.
    """

    hour_us: int
    up_us: int


class Advised(NamedTuple):
    """The modem works, and its owner should know something: `WHAT: WHAT TO DO`; "": no more."""

    advice: str


class Pins(NamedTuple):
    """The mode pins of a module must be set so, before anything more is written."""

    m0: bool
    m1: bool


class Dropped(NamedTuple):
    """Bytes from the port that are no frame were left out."""

    reason: DropReason


class Broken(NamedTuple):
    """The modem can not be used as it is; `advice` is `WHAT IS WRONG: WHAT TO DO NEXT`."""

    reason: DropReason
    advice: str

    @property
    def cause(self) -> str:
        """Return what is wrong."""
        return self.advice.partition(": ")[0]

    @property
    def remedy(self) -> str:
        """Return what to do next, "" when that is not known."""
        return self.advice.partition(": ")[2]


Event = (
    Opened
    | Configured
    | Heard
    | Sent
    | NotSent
    | Noise
    | BoardAired
    | Advised
    | Pins
    | Dropped
    | Broken
)


class Modem(ABC):
    """One modem. Subclasses speak a dialect; the names below are all that their owner calls."""

    kind = ""
    """As `--kind` and the configuration name it."""

    baud = 115_200
    """The speed that the port is opened with, 8N1."""

    frame_max = 255
    """The longest frame that can be transmitted, in bytes."""

    added_bytes = 0
    """What the module adds to each frame on the air, beside what LoRa itself does."""

    listens = False
    """Whether the module listens before it talks."""

    needs_pins = False
    """Whether nothing may be written before mode pins are set: else it would go on the air."""

    def __init__(self, plan: RadioPlan) -> None:
        self.plan = plan
        self.ready = False
        self.asks_only = False
        self._writes: deque[bytes] = deque()
        self._events: deque[Event] = deque()
        self._due_us: int | None = None

    # --- what the owner calls ---------------------------------------------------------------------

    @abstractmethod
    def open(self, now: int) -> None:
        """Begin: the port is open."""

    def ask(self, now: int) -> None:
        """Begin, only to learn what is there: ends with `Opened` or `Broken`, sets nothing."""
        self.asks_only = True
        self.open(now)

    @abstractmethod
    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the port, cut anywhere."""

    @abstractmethod
    def handle_timeout(self, now: int) -> None:
        """Do what is due."""

    @abstractmethod
    def transmit(self, frame: bytes, now: int) -> None:
        """Send a frame. Allowed while `ready`; then `ready` is False until `Sent` or `NotSent`."""

    def poll_timeout(self) -> int | None:
        """Return when `handle_timeout` is wanted next, in µs; None: not at all."""
        return self._due_us

    def poll_write(self) -> bytes | None:
        """Return the next bytes for the port, or None. After `Pins` wait until they are set."""
        return self._writes.popleft() if self._writes else None

    def poll_event(self) -> Event | None:
        """Return what happened next, or None."""
        return self._events.popleft() if self._events else None

    def airtime_us(self, size: int) -> int:
        """Return how long a frame of so many bytes is on the air, with what the module adds."""
        return airtime_us(self.plan.modulation, size + self.added_bytes)

    # --- for dialects -----------------------------------------------------------------------------

    def _takes(self, frame: bytes) -> bool:
        """Tell whether a frame can go out; what has no fit length becomes `NotSent`.

        Raises: UsageError while the modem is not ready.
        """
        if not self.ready:
            raise UsageError("this modem takes no frame now")
        if 0 < len(frame) <= self.frame_max:
            return True
        self._events.append(NotSent(DropReason.MODEM_TOO_LONG))
        return False

    def _break(self, reason: DropReason, advice: str) -> None:
        """End: this modem is of no use as it is."""
        self.ready = False
        self._due_us = None
        self._events.append(Broken(reason, advice))
