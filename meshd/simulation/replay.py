"""A recording told again to a node: the same inputs, polled as they were, to the same state.

Enters: a recording. Leaves: a `Replay` with the node as it was at the end or at a chosen time, and
the first line at which it did something else than the recorded one.
Must not know: where the recording was made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from meshd.core.errors import MeshdError
from meshd.core.events import Event, RadioSend, StreamSend, Transmit, TunSend
from meshd.core.snapshot import NodeSnapshot
from meshd.recording.reader import Check, Done, Entropy, Input, Raised, Reader
from meshd.recording.values import RecordingError
from meshd.recording.witness import WitnessedNode
from meshd.simulation.crypto import primitives

Output = Event | Transmit | RadioSend | TunSend | StreamSend
_DRY_MAX = 3
"""After so many polls in vain nothing is left to poll for."""


class Difference(NamedTuple):
    """Where the node did not do what was recorded: a line of the file, and what is different."""

    line: int
    what: str


class Watcher(NamedTuple):
    """Who wants to see what is told and what comes of it: both get the time and the value."""

    told: Callable[[int, Input], None]
    did: Callable[[int, Output], None]


class _Ended(MeshdError):
    """The recording ends while the node draws entropy."""


class _Differs(MeshdError):
    """The node does something else than the recorded one."""


class _Guard:
    """Takes what a node raises, of whatever kind: that it failed is a fact to compare."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> _Guard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, _Ended | _Differs | RecordingError):
            return False
        self.error = error
        return isinstance(error, Exception)


class Replay:
    """One recording and the node that it drives; `run` leaves what was found in the attributes."""

    def __init__(self, file: BinaryIO, *, watcher: Watcher | None = None) -> None:
        """Make the node from the header. Raises: RecordingError."""
        self.difference: Difference | None = None
        self.ended = "killed"
        self.failed: str | None = None
        self.inputs = 0
        self.checks = 0
        self.now = 0
        self.started_us: int | None = None
        self._watcher = watcher
        self._lines = Reader(file)
        self._line = 1
        self._waiting_for = "transmit"
        self._dry = 0
        self.header = header = self._lines.header
        with _Guard() as guard, self._crypto():
            self.node = WitnessedNode(
                header.options,
                identity=header.identity,
                boot=header.boot,
                image=header.image,
                rng=header.rng,
                entropy=self._draw,
            )
        if guard.error is not None:
            raise RecordingError(f"line 1: no node can be made of it: {guard.error}")

    def run(self, *, until_us: int | None = None) -> None:
        """Tell the node everything, or what it was told in the first `until_us`.

        Raises: RecordingError when a line is damaged.
        """
        try:
            with self._crypto():
                self._follow_all(until_us)
        except _Differs as found:
            self.ended = "different"
            self.difference = Difference(self._line, str(found))
        except _Ended:
            self.ended = "killed"

    def found(self) -> tuple[str, NodeSnapshot]:
        """Return the digest of the node as it is, and its status.

        Raises: RecordingError when a recording of whoever made it too strange to be shown.
        """
        shown = None
        with _Guard() as guard:
            shown = self.node.state(), self.node.snapshot(self.now)
        if shown is None:
            raise RecordingError(f"the node that it makes cannot be shown: {guard.error}")
        return shown

    @property
    def elapsed_us(self) -> int:
        """The time from the first input on."""
        return self.now - (self.started_us or 0)

    def _crypto(self) -> AbstractContextManager[None]:
        """Use the primitives that the recorded node used, within a block."""
        return primitives(self.header.crypto)

    def _follow_all(self, until_us: int | None) -> None:
        while (line := self._lines.peek()) is not None:
            if isinstance(line, Input) and self._later(line, until_us):
                self.ended = "until"
                break
            self._line = self._lines.number
            self._follow(line)
        if self.ended != "stopped":
            self._poll_dry()

    def _later(self, line: Input, until_us: int | None) -> bool:
        if line.at is None or until_us is None or self.started_us is None:
            return False
        return line.at - self.started_us > until_us

    def _follow(self, line: object) -> None:
        """Do what one line says."""
        match line:
            case Input():
                self._reach(line.done)
                self._lines.advance()
                self._tell(line)
            case Check():
                self._reach(line.done)
                self._lines.advance()
                self._compare(line)
            case Entropy():
                self._until_taken(line, "entropy was drawn there, and is not drawn here")
            case Raised():
                what = f"the node failed there ({line.kind}), and does not here"
                self._until_taken(line, what)

    def _until_taken(self, line: object, otherwise: str) -> None:
        """Poll until a line that belongs to an output was used up."""
        while self._lines.peek() is line:
            if self._dry > _DRY_MAX:
                raise _Differs(otherwise)
            self._poll()

    # --- inputs -----------------------------------------------------------------------------------

    def _tell(self, line: Input) -> None:
        if line.at is not None:
            self.now = line.at
            if self.started_us is None:
                self.started_us = line.at
        if self._watcher is not None:
            self._watcher.told(self.now, line)
        self.inputs += 1
        args = line.args if line.at is None else (*line.args, line.at)
        found = self._guarded(lambda: line.verb.call(self.node, *args))
        if found is not None:
            self.node.note(found)
        self.node.polls = 0
        self._dry = 0
        self._waiting_for = "transmit"

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Make a call; when it fails, the recorded one must have failed in the same way."""
        found = None
        with _Guard() as guard:
            found = call()
        if guard.error is None:
            return found
        line = self._lines.peek()
        self._waiting_for = "transmit"
        kind = type(guard.error).__name__
        self.failed = f"{kind}: {guard.error}"
        if isinstance(line, Raised) and line.kind == kind:
            self._lines.advance()
        elif line is not None:
            raise _Differs(f"the node fails here: {self.failed}")
        return found

    def _draw(self, count: int) -> bytes:
        line = self._lines.peek()
        if line is None:
            raise _Ended
        if not isinstance(line, Entropy) or len(line.data) != count:
            raise _Differs(f"{count} bytes of entropy are drawn here, and were not there")
        self._lines.advance()
        return line.data

    # --- outputs ----------------------------------------------------------------------------------

    def _reach(self, done: Done) -> None:
        """Poll as often as the recorded host did, and compare what came."""
        if not self.node.polls <= done.polls:
            raise _Differs(f"{done.polls} polls there, {self.node.polls} here")
        while self.node.polls < done.polls:
            if self._dry > _DRY_MAX:  # the host looked in vain; that changes nothing
                self.node.polls = done.polls
            else:
                self._poll()
        if self.node.seen() != done.seen:
            raise _Differs("what the node did before this line is not what it did there")

    def _poll(self) -> Output | None:
        """Poll once, as every host does: what to send first, then events."""
        node = self.node
        transmit = self._waiting_for == "transmit"
        self._waiting_for = "event" if transmit else "transmit"
        poll: Callable[[], Output | None] = node.poll_transmit if transmit else node.poll_event
        found: Output | None = self._guarded(poll)
        self._dry = self._dry + 1 if found is None else 0
        if found is not None:
            self._waiting_for = "transmit"
            if self._watcher is not None:
                self._watcher.did(self.now, found)
        return found

    def _poll_dry(self) -> None:
        """Poll until nothing is left: the recording ended, or is left here."""
        while self._dry <= _DRY_MAX:
            self._poll()

    def _compare(self, line: Check) -> None:
        self.node.polls = 0
        self.checks += 1
        found = self.node.state() if line.last else self.node.pulse()
        if found != line.state:
            raise _Differs("the node's state is not what it was there")
        if line.last:
            self.ended = "stopped"
