"""LoRa dialects that talk to each other in tests: no frames, no radio, any time."""

from random import Random

from meshd.core.context import Context
from meshd.core.ids import OPEN_MESH_ID, host_prefix, mesh_address
from meshd.routing.lora.names import check_of, grouped
from meshd.routing.lora.words import Rules
from meshd.routing.speaker import Babel
from meshd.wire.lora_routes import RouteEntry, Routes

S = 1_000_000
RULES = Rules(soon_us=20 * S)


def node(number):
    """Return the NodeId of a node, whose number is its short address."""
    return number.to_bytes(2, "big") + (number + 1).to_bytes(8, "big")


def address(number):
    return mesh_address(OPEN_MESH_ID, node(number))


def prefix(number):
    return host_prefix(address(number))


def plain(teller, rows, seqno=0, **more):
    """Return an item of node `teller` with short entries: (number, seqno, metric, heard)."""
    entries = tuple(RouteEntry(node(n)[:2], s & 127, m, heard=h) for n, s, m, h in rows)
    meant = [(node(n), s if m < 255 else 0) for n, s, m, _ in rows]
    checks = tuple(check_of(node(teller), group) for group in grouped(meant))
    return Routes(seqno, entries=entries, checks=checks, **more)


class Talker:
    """A Babel speaker with one radio, and the time it takes part in."""

    def __init__(self, number, *, rules=RULES, rng=None, seqno=0, boot=1):
        self.number = number
        self.ctx = Context(rng=rng or Random(number), entropy=bytes)
        self.babel = Babel(
            self.ctx,
            own=(prefix(number),),
            router_id=address(number)[8:],
            seqno=seqno,
            seqno_limit=seqno + 1000,
            boot=boot,
        )
        self.lora = self.babel.radio_up("lora0", rules, 0)

    def at(self, now):
        """Let the timers ring that are due."""
        for key in self.ctx.timers.expired(now):
            if key[0] == "routing":
                self.babel.handle_timer(key, now)

    def drops(self):
        return set(self.ctx.drops.as_dict())
