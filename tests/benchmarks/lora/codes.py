"""What sets cost to compare, and what pieces cost to make: symbols, bytes, time beside hashing."""

from collections.abc import Callable
from hashlib import blake2b
from random import Random
from statistics import mean, median
from time import perf_counter

from lora._raptorq import Code, RaptorQ, has_raptorq
from report import Figure

from meshd.sync.air.riblt import Difference, Sketch
from meshd.sync.files.air.erasure import Cauchy, cut
from meshd.wire.symbols import SYMBOLS_MAX, SymbolBatch

MEMBERS = 10_000
PIECE_BYTES = 224


def measure() -> list[Figure]:
    """Measure differences of 1, 10, 100, 400 in a set of 10,000; blobs of 10 and 100 kB."""
    figures: list[Figure] = []
    for count, seeds in ((1, 8), (10, 16), (100, 8), (400, 4)):
        figures += _differences(count, seeds)
    for size in (10_000, 40_000, 100_000):
        figures += _speed(size)
    return figures


def _differences(count: int, seeds: int) -> list[Figure]:
    symbols, sizes, taken = [], [], []
    for seed in range(seeds):
        random = Random(seed)
        names = [random.randbytes(8) for _ in range(MEMBERS)]
        key = bytes([seed])
        here, there = (
            Sketch(key, names[count // 2 :]),
            Sketch(key, names[: MEMBERS - -(-count // 2)]),
        )
        difference = Difference(here, there.size, there.check)
        spent_s, sent = 0.0, 0
        while not difference.done and sent < SYMBOLS_MAX:
            (symbol,) = there.symbols(sent, 1)
            here.symbols(sent, 1)
            began_s = perf_counter()
            difference.add(sent, symbol)
            spent_s += perf_counter() - began_s
            sent += 1
        batch = SymbolBatch(
            1, bytes(4), bytes(4), there.size, there.check, 0, there.symbols(0, sent)
        )
        symbols.append(sent / count)
        sizes.append(len(batch.encode()) / count)
        taken.append(1000 * spent_s)
    name = f"sets of 10,000, {count} differences"
    how = f"{min(symbols):.3g} to {max(symbols):.3g}, {seeds} seeds; decoding {mean(taken):.3g} ms"
    target = 1.7 if count >= 100 else None
    return [
        Figure(f"{name}: symbols each", mean(symbols), "", target, how),
        Figure(f"{name}: bytes each", mean(sizes), "B", None, "one batch with its head"),
    ]


def _speed(size: int) -> list[Figure]:
    """Measure one repair piece, and restoring with a tenth lost, in times of hashing the blob."""
    random = Random(size)
    blob = random.randbytes(size)
    piece_bytes = PIECE_BYTES if size < 50_000 else 8 * -(-size // (8 * 200))
    pieces = list(cut(blob, piece_bytes))
    hashing_s = _seconds(lambda: blake2b(blob).digest())
    lost = max(1, len(pieces) // 10)
    rival = RaptorQ() if has_raptorq() else None
    figures = []
    for what in ("a repair piece", "a tenth restored"):
        ours = _spent(Cauchy(), pieces, lost, what) / hashing_s
        theirs = None if rival is None else _spent(rival, pieces, lost, what) / hashing_s
        how = f"{len(pieces)} pieces of {piece_bytes} B; hashing took {1e6 * hashing_s:.3g} µs"
        name = f"{size // 1000} kB: {what}, times hashing it"
        figures.append(Figure(name, ours, "×", None, how, rival=("raptorq", theirs)))
    return figures


def _spent(code: Code, pieces: list[bytes], lost: int, what: str) -> float:
    count = len(pieces)
    if what == "a repair piece":
        return _seconds(lambda: code.repair(pieces, count))
    held = dict(enumerate(pieces[lost:], lost))
    held |= {number: code.repair(pieces, number) for number in range(count, count + lost)}
    restored = code.restore(count, held)
    if restored != tuple(pieces):
        raise AssertionError("the pieces did not come back")
    return _seconds(lambda: code.restore(count, held))


def _seconds(action: Callable[[], object]) -> float:
    """Return the median of some runs."""
    spent = []
    for _ in range(9):
        began_s = perf_counter()
        action()
        spent.append(perf_counter() - began_s)
    return median(spent)
