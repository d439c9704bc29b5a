"""What all parts of one node share: randomness, entropy, timers, drops and the way out.

A part never calls its neighbours to send: it puts a `Transmit` or an event here, and the host
(daemon or simulator) takes them by `Node.poll_transmit` and `Node.poll_event`.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from meshd.core.drops import DropReason, Drops
from meshd.core.events import (
    Answer,
    Event,
    Query,
    RadioSend,
    Row,
    StoreAppend,
    StoreRead,
    Transmit,
    TunSend,
)
from meshd.core.limits import STORE_READS_MAX
from meshd.core.timers import Timers


class Reader(Protocol):
    """A part that asks the store."""

    def read_done(self, token: int, answer: Answer, now: int) -> None: ...
    def read_failed(self, token: int, why: str, now: int) -> None: ...


class Context:
    """One per node. `rng` is for jitter only; keys and nonces come from `entropy(n)`."""

    __slots__ = (
        *("drops", "entropy", "events", "rng", "timers", "transmits"),
        *("_appended", "_read_owners", "_reads_waiting", "_token"),
    )

    def __init__(self, *, rng: Random, entropy: Callable[[int], bytes]) -> None:
        self.rng = rng
        self.entropy = entropy
        self.timers = Timers()
        self.drops = Drops()
        self.transmits: deque[Transmit | RadioSend | TunSend] = deque()
        self.events: deque[Event] = deque()
        self._appended = 0
        self._token = 0
        self._read_owners: dict[int, str] = {}
        self._reads_waiting: deque[tuple[str, StoreRead]] = deque()

    @property
    def quiet(self) -> bool:
        """Tell whether nothing is queued for the host, and its timer need not ring earlier."""
        return not (self.transmits or self.events or self.timers.sooner)

    def transmit(self, sent: Transmit | RadioSend | TunSend) -> None:
        """Queue a datagram, or a frame of a radio, for the host."""
        self.transmits.append(sent)

    def emit(self, event: Event) -> None:
        """Queue an event for the host."""
        self.events.append(event)

    def drop(self, reason: DropReason, link: str = "") -> None:
        """Count a named drop."""
        self.drops.count(reason, link)

    def jitter(self, low_us: int, high_us: int) -> int:
        """Return a random whole number of microseconds in [low_us, high_us]."""
        return self.rng.randint(low_us, high_us)

    def append(self, rows: tuple[Row, ...]) -> int:
        """Ask the host to commit `rows` in one transaction; return the number it will confirm."""
        self._appended += 1
        self.emit(StoreAppend(self._appended, rows))
        return self._appended

    def read(self, owner: str, query: Query) -> int:
        """Ask the host to answer `query`; the answer goes to the part named `owner`.

        At most `STORE_READS_MAX` are in flight, the others wait here in order; each owner bounds
        what it asks for.
        """
        self._token += 1
        read = StoreRead(self._token, query)
        if len(self._read_owners) < STORE_READS_MAX:
            self._read_owners[read.token] = owner
            self.emit(read)
        else:
            self._reads_waiting.append((owner, read))
        return read.token

    def read_finished(self, token: int) -> str | None:
        """Return who asked, and let the next waiting read go; None for a token not in flight."""
        owner = self._read_owners.pop(token, None)
        if owner is not None and self._reads_waiting:
            waiting, read = self._reads_waiting.popleft()
            self._read_owners[read.token] = waiting
            self.emit(read)
        return owner
