"""One Babel speaker on one link, and the test speaks for its neighbours."""

from speakers.air import SECOND, Station, link_address

from meshd.core.drops import DropReason
from meshd.core.events import Datagram, Link, LinkKind
from meshd.core.ids import Prefix
from meshd.core.limits import BABEL_PORT
from meshd.wire.babel import Hello, Ihu, Update, encode
from meshd.wire.babel_parser import decode

LINK = Link("w0", LinkKind.MESH, link_address(1))
PEER = link_address(2)
OTHER = link_address(3)
GREETING = (Hello(7, 400), Ihu(LINK.address, 256, 1200))


class Talk:
    """One speaker on one link, and we are its neighbours."""

    def __init__(self, *, kind: LinkKind = LinkKind.MESH, **options) -> None:
        self.station = Station(1, **options)
        self.now = SECOND
        self.link = LINK._replace(kind=kind)
        self.station.babel.link_up(self.link, self.now)
        self.heard()

    def say(self, *tlvs, source: bytes = PEER) -> None:
        self.raw(encode(tlvs, source), source)

    def raw(self, data: bytes, source: bytes = PEER, link: str = "w0") -> None:
        self.station.babel.receive(link, Datagram(source, BABEL_PORT, data), self.now)

    def heard(self) -> list[object]:
        """Return what the speaker said since the last call."""
        said = []
        while self.station.ctx.transmits:
            said += decode(self.station.ctx.transmits.popleft().data, LINK.address).tlvs
        return said

    def wait(self, seconds: float) -> None:
        """Let virtual time pass; timers fire."""
        end = self.now + int(seconds * SECOND)
        while (head := self.station.ctx.timers.next()) is not None and head[0] <= end:
            self.now = max(self.now, head[0])
            for key in self.station.ctx.timers.expired(self.now):
                self.station.babel.handle_timer(key, self.now)
        self.now = end

    def metric(self, prefix: Prefix) -> int | None:
        found = self.station.babel.route_to(prefix.address)
        return found[2] if found is not None else None

    def drops(self, reason: DropReason) -> int:
        return self.station.ctx.drops.total(reason)


def update(prefix: Prefix, *, router: int = 9, seqno: int = 1, metric: int = 0, **other) -> Update:
    router_id = router.to_bytes(8, "big")
    return Update(prefix, router_id, seqno, metric, 2400, other.get("next_hop", PEER))


def numbered(number: int, high: int = 0xFD42) -> Prefix:
    return Prefix(high.to_bytes(2, "big") + number.to_bytes(14, "big"), 128)
