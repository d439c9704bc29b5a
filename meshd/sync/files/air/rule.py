"""Which files go by LoRa, in how many pieces, and what is said of those that do not.

Enters: sizes, what each radio may still send. Leaves: how a file is cut, a verdict with its reason
as a sentence. A file goes when the airtime that is left to bulk data in this hour holds all of it,
with an eighth more for what gets lost; one that no hour holds waits for WiFi. Pure arithmetic.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from meshd.core.crypto import TAG_LEN
from meshd.core.law import HOUR_US, Budget
from meshd.sync.files.air.erasure import PIECES_MAX
from meshd.wire.file_messages import NAME_LEN
from meshd.wire.lora_pieces import MARK_LEN, MARKS_HEAD, OFFER_BYTES_MIN, PIECE_HEAD, RUNS_MAX

COUNT_MAX = 200
"""Pieces that suffice: there are 55 more at least, for what gets lost."""
SPARE_MIN = 8
"""Repair pieces are as many as those of the file and so many more, where their numbers last."""
RUN_MAX = 28
SPARE_PART = 8
"""One more of so many pieces is reckoned with."""
PACE_PERCENT = 115
"""Between two frames others may speak."""
PACE_MIN = 4
"""With fewer pieces nobody knows the pace."""
EXTRA_BYTES = NAME_LEN + TAG_LEN
"""What a file has beside its plaintext: the name of its one chunk, and that chunk's tag."""


class Cut(NamedTuple):
    """How a blob is cut: pieces of `piece` bytes, `need` suffice, `pieces` may be made, marks in
    runs of `run`."""

    piece: int
    need: int
    pieces: int
    run: int


class Way(StrEnum):
    """How a file comes to those who lack it."""

    LORA = "goes-by-lora"
    AIRTIME = "waits-for-airtime"
    WIFI = "waits-for-wifi"


class Verdict(NamedTuple):
    """What is to become of a file, and the sentence that tells people.

    What goes at once goes by `link`, and takes `took_us` where nothing goes before it; what waits
    for airtime waits for that of `link`, and for so much.
    """

    way: Way
    text: str
    link: str = ""
    took_us: int = 0


def cut_of(size: int, room: int) -> Cut | None:
    """Return how a blob of `size` bytes is cut for items of `room` bytes; None: too large."""
    piece_max, most = room - PIECE_HEAD, count_max(room)
    if not 0 < size <= most * piece_max:
        return None
    count = -(-size // piece_max)
    first = count + count // SPARE_PART + 1  # the first repair pieces need no further run
    run = min(_run_max(room), -(-first // -(-count // _run_max(room))))
    spare = -(-(SPARE_MIN + count) // run) * run
    runs = _runs_max(room)
    return Cut(-(-size // count), count, min(PIECES_MAX, count + spare, runs * run), run)


def count_max(room: int) -> int:
    """Return how many pieces may suffice for a file where items have `room` bytes."""
    return max(min(COUNT_MAX, (_runs_max(room) - 1) * _run_max(room)), 0)


def _run_max(room: int) -> int:
    return min(RUN_MAX, (room - MARKS_HEAD) // MARK_LEN)


def _runs_max(room: int) -> int:
    return min(RUNS_MAX, (room - OFFER_BYTES_MIN) // MARK_LEN)


def frames_of(count: int) -> int:
    """Return how many full frames so many pieces take, all told."""
    return count + -(-count // SPARE_PART) + -(-count // RUN_MAX) + 1


def limit_bytes(budget: Budget, left_us: int) -> int:
    """Return how large a file may be that goes within `left_us`; 0: none."""
    frames = max(left_us, 0) // max(budget.frame_us, 1)
    count = min(count_max(budget.room), frames)
    while count and frames_of(count) > frames:
        count -= 1
    return max(count * (budget.room - PIECE_HEAD) - EXTRA_BYTES, 0)


def needed_us(size: int, budget: Budget) -> int | None:
    """Return how much airtime a blob takes by a radio; None: it does not go by it at all."""
    plan = cut_of(size, budget.room)
    return None if plan is None or not budget.hour_us else frames_of(plan.need) * budget.frame_us


def time_us(size: int, budget: Budget) -> int | None:
    """Return how long a blob takes by a radio, though it be hours; None: it is too large."""
    needs_us = needed_us(size, budget)
    if needs_us is None:
        return None
    if needs_us <= budget.left_us:
        return needs_us * PACE_PERCENT // 100
    return HOUR_US * -(-(needs_us - budget.left_us) // budget.hour_us)


def judge(size: int, budgets: Sequence[Budget]) -> Verdict | None:
    """Judge a file of `size` bytes; None without a radio."""
    if not budgets:
        return None
    best = max(
        budgets, key=lambda one: (limit_bytes(one, one.hour_us), limit_bytes(one, one.left_us))
    )
    for one in budgets:
        if size <= limit_bytes(one, one.left_us):
            took_us = time_us(size + EXTRA_BYTES, one) or 0
            return Verdict(Way.LORA, f"goes by LoRa on {one.link}", one.link, took_us)
    most = limit_bytes(best, best.hour_us)
    count = -(-(size + EXTRA_BYTES) // max(best.room - PIECE_HEAD, 1))
    needs_us = frames_of(count) * best.frame_us
    if size <= most:
        needs, left = _time(needs_us), _time(best.left_us)
        text = f"waits for airtime: it takes {needs} on {best.link}, {left} are left of this hour"
        return Verdict(Way.AIRTIME, text, best.link, needs_us)
    least = f"files up to {bytes_text(most)} go by LoRa" if most else "no file is small enough"
    took_us = needs_us * HOUR_US // max(best.hour_us, 1)
    text = f"waits for WiFi: {bytes_text(size)} would take {_time(took_us)} on {best.link}; {least}"
    return Verdict(Way.WIFI, text)


def bytes_text(size: int) -> str:
    """Return a size as people say it."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (1000, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}" if size < 10 * unit else f"{size // unit} {name}"
    return f"{size} B"


def _time(span_us: int) -> str:
    seconds = span_us // 1_000_000
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    return f"{seconds} s"
