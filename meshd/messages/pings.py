"""Ask a node behind LoRa for a sign of life: one sealed echo at a time, as long as LoRa takes.

Enters: the local request "ping" where a LoRa hop lies on the way, what became of echoes, timers.
Leaves: echoes, and the answer with each time. The answer of a letter is that of its echo: only who
holds the other key can have made it. Must not know: ways, keys.
"""

from collections.abc import Callable

from meshd.core.arguments import Args
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit
from meshd.core.events import Progress, Reply
from meshd.core.ids import address_text, mesh_address
from meshd.messages.exchange import Exchange
from meshd.session.echo import course_of
from meshd.wire.letters import TOKEN_LEN, Echo

ECHO_WAIT_US = 60_000_000
"""How long one echo is waited for."""

LORA_INTERVAL_US = 2_000_000
"""The least time between echoes over LoRa."""

KEY_WAIT_US = 30_000_000

_WAITS = (
    f"waits for answers by LoRa: they take seconds, and up to {ECHO_WAIT_US // 1_000_000} s each"
)
_WAITS_KEY = f"waits up to {KEY_WAIT_US // 1_000_000} s for that node's key, which was asked for"


class _Ping:
    """One running request. It hears what becomes of its echo."""

    def __init__(self, pings: "Pings", ticket: int, node: bytes, count: int, interval_us: int):
        self.ticket = ticket
        self.node = node
        self.count = count
        self.interval_us = interval_us
        self.sent = 0
        self.parcel: int | None = None
        self.begun_us = 0
        self.rtts_us: list[int] = []
        self.hops: int | None = None
        self.asked_us: int | None = None
        self._pings = pings

    def left(self, now: int) -> None:
        """The echo left; it is timed from when it was asked for."""

    def answered(self, hops: int, now: int) -> None:
        """The answer came."""
        self.rtts_us.append(now - self.begun_us)
        self.hops = hops or None
        self.parcel = None
        self._pings.next(self, now)

    def failed(self, reason: DropReason, now: int) -> None:
        """No answer came."""
        self.parcel = None
        self._pings.next(self, now)

    def refused(self, now: int) -> None:
        """The node could not open it: ask again, sealed otherwise."""
        self.parcel = None
        self.sent -= 1
        self._pings.next(self, now)


class Pings:
    """The pings over LoRa of this node."""

    def __init__(
        self, ctx: Context, exchange: Exchange, *, mesh: bytes, medium: Callable[[bytes], str]
    ) -> None:
        self._ctx = ctx
        self._medium = medium
        self._exchange = exchange
        self._mesh = mesh
        self._running: dict[int, _Ping] = {}

    def ping(self, node: bytes, args: Args, ticket: int, now: int) -> None:
        """Send `count` echoes, one after the other. Raises: RequestError."""
        count, interval_us = course_of(args, running=len(self._running))
        interval_us = max(interval_us, LORA_INTERVAL_US)
        ping = self._running[ticket] = _Ping(self, ticket, node, count, interval_us)
        self._ctx.emit(Progress(ticket, _WAITS, 0, count))
        self._send(ping, now)
        self._exchange.pump(now)

    def key_known(self, node: bytes, now: int) -> None:
        """A key came that an echo may have waited for."""
        for ping in list(self._running.values()):
            if ping.node == node and ping.asked_us is not None:
                self._send(ping, now)

    def handle_timer(self, ticket: int, now: int) -> None:
        """Send the next echo, or wait for this one no longer."""
        ping = self._running.get(ticket)
        if ping is None:
            return
        if ping.parcel is not None:
            self._exchange.cancel(ping.parcel, now)
            ping.parcel = None
            self.next(ping, now)
        elif ping.asked_us is not None and now - ping.asked_us >= KEY_WAIT_US:
            ping.sent += 1
            self._finish(ping)
        else:
            self._send(ping, now)

    def next(self, ping: _Ping, now: int) -> None:
        """Go on to the next echo, or answer the request."""
        if ping.ticket not in self._running:
            return
        if ping.sent >= ping.count:
            self._finish(ping)
        else:
            due_us = max(now + 1, ping.begun_us + ping.interval_us)
            self._ctx.timers.set(("messages", "ping", ping.ticket), due_us)

    def _send(self, ping: _Ping, now: int) -> None:
        key = ("messages", "ping", ping.ticket)
        if not self._exchange.knows(ping.node):
            if ping.asked_us is None:
                ping.asked_us = now
                self._exchange.ask(ping.node, now)
                self._ctx.emit(Progress(ping.ticket, _WAITS_KEY, ping.sent, ping.count))
            self._ctx.timers.set(key, ping.asked_us + KEY_WAIT_US)
            return
        ping.asked_us = None
        ping.sent += 1
        ping.begun_us = now
        self._ctx.timers.set(key, now + ECHO_WAIT_US)
        echo = Echo(self._ctx.entropy(TOKEN_LEN)).encode()
        ping.parcel = self._exchange.send(ping.node, echo, ping, now)
        if ping.parcel is None:
            self.next(ping, now)

    def _finish(self, ping: _Ping) -> None:
        del self._running[ping.ticket]
        self._ctx.timers.cancel(("messages", "ping", ping.ticket))
        text = address_text(mesh_address(self._mesh, ping.node))
        received = len(ping.rtts_us)
        if not received:
            why = f"no answer from {text} to {ping.sent} echo{'es' * (ping.sent > 1)} by LoRa"
            if ping.asked_us is not None:
                why = f"{text} did not tell its key, without which nothing can be sealed for it"
            remedy = (
                "see `meshd routes` for a way to it, and `meshd status` for airtime that is left"
            )
            self._ctx.emit(Reply(ping.ticket, None, why, int(Exit.TIMEOUT), remedy))
            return
        value: dict[str, object] = {
            "address": text,
            "sent": ping.sent,
            "received": received,
            "loss": (ping.sent - received) / ping.sent,
            "rtt_ms": [rtt / 1000 for rtt in ping.rtts_us],
            "medium": self._medium(ping.node),
            "hops": ping.hops,
        }
        self._ctx.emit(Reply(ping.ticket, value))
