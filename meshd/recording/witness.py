"""A Node whose outputs are counted and hashed, and the table of what can be told to it.

Enters: what a host polls. Leaves: counts and digests, equal for two nodes that did the same.
Must not know: files.
"""

import json
from collections.abc import Callable
from hashlib import blake2b
from inspect import signature
from typing import Any, NamedTuple, get_type_hints

from meshd.core.events import Event, RadioSend, StreamSend, Transmit, TunSend
from meshd.core.snapshot import to_json
from meshd.node import Node
from meshd.recording.values import Coder, coder

VERBS = (
    *("receive", "handle_timeout", "add_link", "remove_link", "protect", "remember"),
    *("set_wall_clock", "stream_opened", "stream_failed", "stream_accepted", "stream_received"),
    *("stream_writable", "stream_closed", "committed", "commit_failed", "reload", "read_done"),
    *("read_failed", "request", "snapshot", "start", "stop", "warn"),
    *("radios_start", "radios_clock", "airtime_saved", "radio_up", "radio_down"),
    *("radio_heard", "radio_sent", "radio_not_sent", "radio_dropped"),
    *("radio_aired", "tun_received"),
)
"""Every method of a Node that tells it something. Polls are not among them: they are counted."""
_DIGEST_LEN = 8


class Verb(NamedTuple):
    """One verb: the arguments before `now`, in order, and whether it takes the time."""

    name: str
    call: Callable[..., Any]
    args: tuple[tuple[str, Coder], ...]
    timed: bool


def _verb(name: str) -> Verb:
    call = getattr(Node, name)
    hints = get_type_hints(call)
    names = [item for item in signature(call).parameters if item != "self"]
    args = tuple((item, coder(hints[item])) for item in names if item != "now")
    return Verb(name, call, args, names[-1] == "now")


INPUTS = {name: _verb(name) for name in VERBS}


class WitnessedNode(Node):
    """A Node that keeps a running digest of what it did; `polls` counts from the last input on."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.polls = 0
        self.outputs = 0
        self._digest = blake2b(digest_size=_DIGEST_LEN)

    def poll_transmit(self) -> Transmit | RadioSend | TunSend | StreamSend | None:
        """Return the next thing to send, and note it."""
        self.polls += 1
        sent = super().poll_transmit()
        if sent is not None:
            self.outputs += 1
            self._digest.update(repr(sent[:-1]).encode())
            self._digest.update(sent.data)
        return sent

    def poll_event(self) -> Event | None:
        """Return the next thing to do or to tell, and note it."""
        self.polls += 1
        event = super().poll_event()
        if event is not None:
            self.outputs += 1
            self.note(event)
        return event

    def note(self, value: object) -> None:
        """Let the digest depend on a value that the host was given."""
        self._digest.update(repr(value).encode("utf-8", "surrogatepass"))

    def seen(self) -> str:
        """Return the digest of all that this node did until now."""
        return self._digest.copy().hexdigest()

    def pulse(self) -> str:
        """Return a digest of what is cheap to look at, whatever the size of the tables."""
        ctx = self._ctx
        parts = (self.poll_timeout(), len(ctx.timers), ctx.drops.as_dict(), ctx.rng.getstate())
        return blake2b(repr(parts).encode(), digest_size=_DIGEST_LEN).hexdigest()

    def state(self) -> str:
        """Return a digest of the node as it is: its pulse and all that status shows."""
        shown = Node.snapshot(self, self._now)
        self._snapshots -= 1  # nobody was shown it
        data = f"{self.pulse()} {json.dumps(to_json(shown))}"
        return blake2b(data.encode(), digest_size=_DIGEST_LEN).hexdigest()
