"""What this node originates: its prefixes, its router-id and its seqno (RFC 8966 §3.2.1).

Enters: seqno requests and what others say of us. Leaves: a seqno that only rises. Numbers are
reserved on disk in blocks before they are used, so that a restart never goes back; a node whose
disk was rolled back hears a later seqno of its own and adopts it.
Must not know: packets, routes of others.
"""

from collections.abc import Mapping

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import MetaRow, Notice
from meshd.core.ids import Prefix
from meshd.routing.source import newer

RESERVED_KEY = "babel-seqno-reserved"
"""MetaRow with the last reserved seqno in two bytes; a restart begins one after it."""

BLOCK = 64
"""Sequence numbers reserved at once; a crash skips what is left of the block.

Half a round is 32,768: who is restarted more than 512 times while others remember it, which by LoRa
is for four hours, is taken for old.
"""

BLOCK_LOW = 32
INCREASE_EVERY_US = 1_000_000
INCREASE_BURST = 5
ADOPT_EVERY_US = 1_000_000

JUMP_MAX = 0x4000
"""How far others may move our seqno at once, and again within `JUMP_WHOLE_US`.

Who is 0x8000 behind takes what we say for old, and does so for minutes. So we never move that far
before each node heard of the last move, which takes up to 24 s a hop, whatever we are told.
"""

JUMP_WHOLE_US = 600_000_000

GUESS_JUMP = 0x8000
"""How far others may move a seqno that was only guessed, the first time: anywhere.

A node whose disk is gone draws its seqno; what others remember may be half a turn away from it, and
until it is beyond that they take each of its announcements for old.
"""


def reserve(metas: Mapping[str, bytes]) -> tuple[int, int | None, MetaRow]:
    """Return with which seqno to start, the last one reserved (None: a guess), and what to commit.

    A store that never held a reservation is new, or stands for one that was lost.
    """
    seqno = int.from_bytes(metas.get(RESERVED_KEY, b"\0\1"), "big")
    limit = seqno + BLOCK & 0xFFFF
    row = MetaRow(RESERVED_KEY, limit.to_bytes(2, "big"))
    return seqno, limit if RESERVED_KEY in metas else None, row


class Own:
    """Own prefixes and seqno."""

    __slots__ = (
        *("_adopted_us", "_ctx", "_increases", "_jump_left", "_limit"),
        *("guessed", "prefixes", "router_id", "seqno"),
    )

    def __init__(
        self,
        ctx: Context,
        prefixes: tuple[Prefix, ...],
        router_id: bytes,
        *,
        seqno: int,
        limit: int | None,
    ) -> None:
        """Begin at `seqno`; `limit` is the last number reserved, None when `seqno` is a guess."""
        self._ctx = ctx
        self.prefixes = dict.fromkeys(prefixes)
        self.router_id = router_id
        self.seqno = seqno & 0xFFFF
        self.guessed = limit is None
        self._limit = (seqno + BLOCK if limit is None else limit) & 0xFFFF
        self._increases: list[int] = []
        self._adopted_us: int | None = None
        self._jump_left = GUESS_JUMP if limit is None else JUMP_MAX
        self._reserve()

    def increase(self, now: int) -> bool:
        """Raise the seqno by one; False when that was asked too often of late."""
        self._increases = [at for at in self._increases if now - at < self._window_us()]
        if len(self._increases) >= INCREASE_BURST:
            return False
        self._increases.append(now)
        self._advance((self.seqno + 1) & 0xFFFF)
        return True

    def adopt(self, prefix: Prefix, seqno: int, now: int, link: str) -> bool:
        """Go one beyond `seqno`, which somebody heard from us; tell whether that was done.

        It is not when our own is as late already, or when the last time is less than a second ago.
        Nor is it when we went far of late: others forget in three minutes what we cannot outdo.
        """
        if not newer(seqno, self.seqno):
            return False
        left, jump = self._jump_left, seqno + 1 - self.seqno & 0xFFFF
        if self._adopted_us is not None:
            passed = now - self._adopted_us
            if passed < ADOPT_EVERY_US:
                return False
            left = min(left + passed * JUMP_MAX // JUMP_WHOLE_US, JUMP_MAX)
        if jump > left:
            self._ctx.drop(DropReason.BABEL_SEQNO_JUMP, link)
            return False
        self._adopted_us, self._jump_left = now, left - jump
        before = self.seqno
        self._advance((seqno + 1) & 0xFFFF)
        fields: dict[str, object] = {
            "prefix": str(prefix),
            "from": before,
            "to": self.seqno,
        }
        self._ctx.emit(Notice("seqno-adopted", fields))
        return True

    def _advance(self, seqno: int) -> None:
        self.seqno = seqno
        self._reserve()

    def _reserve(self) -> None:
        """Ask for the next block on disk while some of the present one are left."""
        left = self._limit - self.seqno & 0xFFFF
        if BLOCK_LOW <= left <= BLOCK:
            return
        self._limit = self.seqno + BLOCK & 0xFFFF
        self._ctx.append((MetaRow(RESERVED_KEY, self._limit.to_bytes(2, "big")),))

    @staticmethod
    def _window_us() -> int:
        return INCREASE_BURST * INCREASE_EVERY_US
