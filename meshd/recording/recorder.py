"""A Node that writes down what it is told: the header, then one line for each input.

Enters: the calls of a host. Leaves: the same calls into the engine, and lines for a tape.
A recording holds the device's keys and what was drawn from entropy: see docs/recording.md.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from random import Random
from typing import Any

from meshd import __version__
from meshd.core import crypto
from meshd.core.events import StoreImage
from meshd.core.identity import Identity
from meshd.core.ids import node_text
from meshd.node import Boot, Node, NodeOptions
from meshd.recording.tape import Lines
from meshd.recording.values import coder
from meshd.recording.witness import INPUTS, Verb, WitnessedNode

SCHEMA = "meshd.recording/1"
CHECK_EVERY_US = 10_000_000
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_WARNING = "SECRET: this file holds the device's keys; keep it as safe as the state directory"


class RecordingNode(WitnessedNode):
    """Records from its birth until `finish`, or until the tape ends; then it is as any Node."""

    def __init__(
        self,
        options: NodeOptions,
        *,
        identity: Identity,
        boot: Boot,
        image: StoreImage,
        rng: Random,
        entropy: Callable[[int], bytes],
        tape: Lines,
    ) -> None:
        self._tape: Lines | None = tape
        self._draw = entropy
        self._checked_us: int | None = None
        header = {
            "schema": SCHEMA,
            "warning": _WARNING,
            "version": __version__,
            "node": node_text(identity.node),
            "crypto": crypto_kind(),
            "options": coder(NodeOptions).encode(options),
            "boot": coder(Boot).encode(boot),
            "rng": rng.getstate(),
            "identity": coder(Identity).encode(identity),
            "image": coder(StoreImage).encode(image),
        }
        self._write(header)
        super().__init__(
            options, identity=identity, boot=boot, image=image, rng=rng, entropy=self._entropy
        )
        self._tell()

    @property
    def recording(self) -> bool:
        """Tell whether lines are still written."""
        return self._tape is not None

    def finish(self) -> None:
        """Write the last line, with a digest of the state, and close the file."""
        if self._tape is not None:
            self._write({"end": "stopped", **self._done(), "state": self.state()}, last=True)
        if self._tape is not None:
            self._tape.close()
            self._tape = None

    # --- what a Node does, noted ------------------------------------------------------------------

    def heard(self, verb: Verb, args: tuple[Any, ...]) -> None:
        """Write what the node is about to be told, and now and then what became of it."""
        line: dict[str, object] = {}
        if verb.timed:
            now: int = args[-1]
            line["at"] = now
            if self._checked_us is None or now - self._checked_us >= CHECK_EVERY_US:
                if self._checked_us is not None:
                    self._write({"check": now, **self._done(), "state": self.pulse()})
                    self.polls = 0
                self._checked_us = now
        line |= {"do": verb.name, **self._done()}
        for (name, form), value in zip(verb.args, args, strict=False):
            line[name] = form.encode(value)
        self._write(line)
        self.polls = 0

    def raised(self, kind: type[BaseException] | None) -> None:
        """Write that the node failed: a replay has to fail there too."""
        self._write({"raised": kind.__name__ if kind else ""})

    def poll_transmit(self) -> Any:
        """See `Node`."""
        if self._tape is None:
            return Node.poll_transmit(self)
        return self._guarded(super().poll_transmit)

    def poll_event(self) -> Any:
        """See `Node`."""
        if self._tape is None:
            return Node.poll_event(self)
        return self._guarded(super().poll_event)

    def _guarded(self, poll: Callable[[], Any]) -> Any:
        well = False
        try:
            found = poll()
            well = True
        finally:
            if not well:
                self.raised(sys.exc_info()[0])
        return found

    def _entropy(self, count: int) -> bytes:
        drawn = self._draw(count)
        self._write({"entropy": coder(bytes).encode(drawn)})
        return drawn

    def _done(self) -> dict[str, object]:
        return {"polls": self.polls, "seen": self.seen()}

    # --- the tape ---------------------------------------------------------------------------------

    def _write(self, line: dict[str, Any], *, last: bool = False) -> None:
        if self._tape is None:
            return
        data = _ENCODER.encode(line).encode() + b"\n"
        if not self._tape.write(data, last=last):
            if hasattr(self, "problems"):
                self._tell()

    def _tell(self) -> None:
        """Show in `status` why the tape has ended; it is left."""
        if self._tape is not None and self._tape.problem is not None:
            problem = self._tape.problem
            self._tape = None
            Node.warn(self, "record", problem)


def crypto_kind() -> str:
    """Tell whether this process uses the real primitives, or those of a simulation."""
    return "real" if crypto.sign.__module__ == crypto.__name__ else "stand-in"


def _recorded(verb: Verb) -> Callable[..., Any]:
    """Return a method that writes down a call, then makes it."""
    call = verb.call

    @wraps(call)
    def told(self: RecordingNode, *args: Any) -> Any:
        if not self.recording:
            return call(self, *args)
        well = False
        self.heard(verb, args)
        try:
            found = call(self, *args)
            well = True
        finally:
            if not well:
                self.raised(sys.exc_info()[0])
        if found is not None:
            self.note(found)
        return found

    return told


for _verb in INPUTS.values():
    setattr(RecordingNode, _verb.name, _recorded(_verb))
