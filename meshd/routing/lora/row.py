"""One node as one LoRa radio tells of it.

Enters and leaves: what was said, and what is to be said soon. Must not know: when, frames.
Ref: docs/decisions/0010-lora-routes.md.
"""

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour


class Row:
    """One node as it is told of: `told` in steps, None before the first time.

    `repeats`: how often it is to be said soon; `name`: in full; `asked`: as somebody waits for it;
    `wanted`: with this seqno or a later one, until when. `common`: how often it was said here whom
    it means. `lost`: how often it is still to be said that there is no way any more.
    """

    __slots__ = (
        *("asked", "common", "lost", "name", "named_us", "node", "prefix", "repeats", "said_us"),
        *("told", "via", "wanted"),
    )

    def __init__(self, node: bytes, prefix: Prefix) -> None:
        self.node = node
        self.prefix = prefix
        self.told: int | None = None
        self.via: Neighbour | None = None
        self.said_us = 0
        self.repeats = 0
        self.name = False
        self.named_us: int | None = None
        self.asked = False
        self.common = 0
        self.lost = 0
        self.wanted: tuple[int, int] | None = None
