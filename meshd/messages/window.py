"""Which texts of a sender are known: each is taken once, whatever restarts and whoever replays.

Enters: number and tag of an authentic text. Leaves: new, again, or too old; and bytes for the disk.
A number with another tag is another text: its sender lost state, or is a copy, and says so unknown.
Must not know: whose window it is.
"""

from enum import Enum
from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError

WINDOW_MAX = 128
"""Texts of one sender that are told apart; what is older than all of them is not taken."""

TAG_KEPT = 8
_HEAD = Struct(">I")
_TEXT = Struct(f">I{TAG_KEPT}s")


class Verdict(Enum):
    """What a text is to its receiver. TWIN: new, but its number was used for another one."""

    NEW = "new"
    TWIN = "twin"
    AGAIN = "again"
    OLD = "old"


class Before(NamedTuple):
    """What a window was before it took a text: its floor, what that became, and what fell out."""

    floor: int
    raised: int
    fallen: tuple[int, bytes] | None


class Window:
    """The texts of one sender. Up to `floor` none is taken any more."""

    __slots__ = ("_floor", "_texts")

    def __init__(self) -> None:
        self._floor = 0
        self._texts: dict[tuple[int, bytes], None] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def judge(self, number: int, tag: bytes) -> Verdict:
        """Tell what a text is; nothing changes."""
        if (number, tag[:TAG_KEPT]) in self._texts:
            return Verdict.AGAIN
        if number <= self._floor:
            return Verdict.OLD
        twin = any(known == number for known, _ in self._texts)
        return Verdict.TWIN if twin else Verdict.NEW

    def take(self, number: int, tag: bytes) -> Before:
        """Remember a text; return what `restore` needs."""
        self._texts[number, tag[:TAG_KEPT]] = None
        before = Before(self._floor, self._floor, None)
        if len(self._texts) > WINDOW_MAX:
            lowest = min(self._texts)
            del self._texts[lowest]
            self._floor = max(self._floor, lowest[0])
            before = Before(before.floor, self._floor, lowest)
        return before

    def restore(self, number: int, tag: bytes, before: Before) -> None:
        """Let a text be new again, and known what it pushed out: it could not be kept."""
        name = (number, tag[:TAG_KEPT])
        self._texts.pop(name, None)
        if before.fallen is not None and before.fallen != name:
            self._texts[before.fallen] = None
        if self._floor == before.raised:
            self._floor = before.floor

    def encode(self) -> bytes:
        """Return floor (4), then number (4) and tag (8) of each text."""
        return _HEAD.pack(self._floor) + b"".join(_TEXT.pack(*text) for text in self._texts)

    @classmethod
    def decode(cls, data: bytes) -> "Window":
        """Decode what `encode` made. Raises: WireError."""
        size = len(data) - _HEAD.size
        if size < 0 or size % _TEXT.size or size > WINDOW_MAX * _TEXT.size:
            raise WireError("a kept window is damaged")
        window = cls()
        window._floor = _HEAD.unpack_from(data)[0]
        window._texts = dict.fromkeys(_TEXT.iter_unpack(data[_HEAD.size :]))
        return window
