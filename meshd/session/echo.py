"""Ask another node for a sign of life: the mesh's own echo, over UDP, many hops away.

Enters: the local request "ping", datagrams, timers. Leaves: echo requests and replies, and the
answer with each round-trip time. Replies are limited per source; requests run at most
`PINGS_MAX` at once. Must not know: routes, sessions.

Ref: docs/wire-format.md#echo.
"""

from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

from meshd.core.arguments import Args, number_of, seconds_of
from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, UsageError, WireError
from meshd.core.events import Datagram, Reply, Transmit
from meshd.core.ids import address_text, is_link_local, parse_node
from meshd.core.limits import MESHD_PORT
from meshd.core.timers import Key
from meshd.wire.echo import TOKEN_LEN, EchoPacket

PINGS_MAX = 32
COUNT_MAX = 100
INTERVAL_MIN_S, INTERVAL_MAX_S = 0.01, 60.0
LAST_WAIT_US = 2_000_000
"""How long the last request is waited for."""

SOURCES_MAX = 256


def course_of(args: Args, *, running: int) -> tuple[int, int]:
    """Return how many echoes a request wants, and how many µs between them.

    Raises: RequestError for unusable arguments, or when too many are `running`.
    """
    count = number_of(args, "count", default=4, least=1, most=COUNT_MAX)
    interval_s = seconds_of(
        args, "interval_s", default=1.0, least=INTERVAL_MIN_S, most=INTERVAL_MAX_S
    )
    if running >= PINGS_MAX:
        raise RequestError(
            f"{PINGS_MAX} pings are running", code=Exit.TEMPORARY, remedy="try again later"
        )
    return count, int(interval_s * 1e6)


class Ping:
    """One running request: where to, what is out, what came back."""

    __slots__ = ("address", "count", "interval_us", "out", "rtts_us", "sent", "ticket")

    def __init__(self, ticket: int, address: bytes, count: int, interval_us: int) -> None:
        self.ticket = ticket
        self.address = address
        self.count = count
        self.interval_us = interval_us
        self.sent = 0
        self.out: dict[bytes, int] = {}
        self.rtts_us: list[int] = []


class Echo:
    """Answers echoes and runs pings. `address_of` maps a NodeId to its mesh address."""

    def __init__(self, ctx: Context, address_of: Callable[[bytes], bytes]) -> None:
        self._ctx = ctx
        self._address_of = address_of
        self._pings: dict[int, Ping] = {}
        self._by_source = Buckets(burst=20, interval_us=100_000, sources_max=SOURCES_MAX)
        self._by_link = Buckets(burst=200, interval_us=5_000, sources_max=64)
        self.requests: dict[str, Callable[[Args, int, int], None]] = {"ping": self.ping}

    def ping(self, args: Args, ticket: int, now: int) -> None:
        """Send `count` (1 to 100, default 4) echoes to `node` or `address`, `interval_s` apart.

        Answers {address, sent, received, loss, rtt_ms: [...]}; exit code 5 when none came back.

        Raises: RequestError for unusable arguments.
        """
        address = self._address(args)
        count, interval_us = course_of(args, running=len(self._pings))
        self._pings[ticket] = Ping(ticket, address, count, interval_us)
        self._send(self._pings[ticket], now)

    def receive(self, name: str, datagram: Datagram, now: int) -> None:
        """Take an echo: answer a request, match a reply."""
        try:
            packet = EchoPacket.decode(datagram.data)
        except WireError:
            self._ctx.drop(DropReason.ECHO_MALFORMED, name)
            return
        if packet.reply:
            self._match(name, packet.token, datagram.source, now)
        elif datagram.multicast:
            self._ctx.drop(DropReason.ECHO_MALFORMED, name)
        elif self._by_source.allow(datagram.source, now) and self._by_link.allow(name, now):
            link = name if is_link_local(datagram.source) else ""
            answer = EchoPacket(packet.token, reply=True).encode()
            self._ctx.transmit(Transmit(link, MESHD_PORT, datagram.source, answer))
        else:
            self._ctx.drop(DropReason.ECHO_LIMITED, name)

    def handle_timer(self, key: Key, now: int) -> None:
        """Send the next echo of a ping, or give its answer."""
        ping = self._pings.get(key[1]) if isinstance(key[1], int) else None
        if ping is None:
            return
        if ping.sent < ping.count:
            self._send(ping, now)
        else:
            self._finish(ping)

    # --- helpers ----------------------------------------------------------------------------------

    def _address(self, args: Args) -> bytes:
        node, address = args.get("node"), args.get("address")
        try:
            if isinstance(node, str) and address is None:
                return self._address_of(parse_node(node))
            if isinstance(address, str) and node is None:
                packed = IPv6Address(address).packed
                if packed[0] & 0xFE == 0xFC:
                    return packed
                raise RequestError(
                    f"{address} is not a mesh address", code=Exit.USAGE, remedy="give a NodeId"
                )
        except (UsageError, AddressValueError) as error:
            raise RequestError(
                f"{node or address!r} is no node id" + (" and no address" if address else ""),
                code=Exit.USAGE,
                remedy="an id looks like k7q2-m6xw-abcd-efgh; `meshd status` shows those near",
            ) from error
        raise RequestError("say whom to ping: node or address", code=Exit.USAGE)

    def _send(self, ping: Ping, now: int) -> None:
        token = self._ctx.entropy(TOKEN_LEN)
        ping.out[token] = now
        ping.sent += 1
        self._ctx.transmit(Transmit("", MESHD_PORT, ping.address, EchoPacket(token).encode()))
        wait_us = ping.interval_us if ping.sent < ping.count else LAST_WAIT_US
        self._ctx.timers.set(("echo", ping.ticket), now + wait_us)

    def _match(self, name: str, token: bytes, source: bytes, now: int) -> None:
        for ping in self._pings.values():
            if ping.address == source and (sent := ping.out.pop(token, None)) is not None:
                ping.rtts_us.append(now - sent)
                if ping.sent == ping.count and not ping.out:
                    self._finish(ping)
                return
        self._ctx.drop(DropReason.ECHO_UNASKED, name)

    def _finish(self, ping: Ping) -> None:
        del self._pings[ping.ticket]
        self._ctx.timers.cancel(("echo", ping.ticket))
        text = address_text(ping.address)
        if not ping.rtts_us:
            self._ctx.emit(
                Reply(
                    ping.ticket,
                    None,
                    error=f"no answer from {text} to {ping.sent} echo{'es' * (ping.sent > 1)}",
                    code=Exit.TIMEOUT,
                    remedy="see `meshd routes` for a route to it, and whether it is running",
                )
            )
            return
        received = len(ping.rtts_us)
        value: dict[str, object] = {
            "address": text,
            "sent": ping.sent,
            "received": received,
            "loss": (ping.sent - received) / ping.sent,
            "rtt_ms": [rtt / 1000 for rtt in ping.rtts_us],
        }
        self._ctx.emit(Reply(ping.ticket, value))
