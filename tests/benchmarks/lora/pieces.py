"""10 kB to all neighbours: bytes on the air until everybody has the file, and what it saves.

All hear each other by LongFast, and the file's entry is known. Every frame of the file counts, with
seal, offer, marks and wants. Medians over ten seeds; in `how` their spread.
"""

from random import Random
from statistics import median

from devices.ether import crowd
from devices.file_devices import sync
from lora._cast_pieces import CastPieces
from radios.camp import Camp
from report import Figure

from meshd.wire.lora_payload import Sub

SIZE = 10_000
SEEDS = range(1, 11)
RETICULUM_B = 11_400
COUNTS = (1, 5, 20)
LOSSES = (0.0, 0.1)
LIMIT_S = 3600


def measure() -> list[Figure]:
    """Measure 1, 5 and 20 neighbours, with and without loss; then the daemon's own nodes."""
    figures = [row for loss in LOSSES for count in COUNTS for row in _neighbours(count, loss)]
    return figures + [_nodes(count) for count in (1, 5)]


def _neighbours(count: int, loss: float) -> list[Figure]:
    bytes_sent, frames, took_s, lacking = [], [], [], 0
    for seed in SEEDS:
        ether = crowd(count, loss=loss, seed=seed)
        data = Random(seed).randbytes(SIZE)
        begin = ether.now
        ether.devices[0].put(data)
        sync(*ether.devices)
        waiting = set(range(1, count + 1))
        while waiting and ether.now - begin < LIMIT_S * 1_000_000:
            ether.wait(5)
            whole = [ether.devices[number].files.lora._looks._whole for number in sorted(waiting)]
            waiting -= {n for n, held in zip(sorted(waiting), whole, strict=True) if held}
        took_s.append((ether.now - begin) / 1e6)
        ether.wait(600)
        lacking += len(waiting)
        bytes_sent.append(ether.bytes)
        frames.append(ether.by_sub[Sub.PIECE][0])
    name = f"10 kB to {count}" + (f", {loss:.0%} lost" if loss else "")
    least = f"{min(bytes_sent)} to {max(bytes_sent)}; {median(frames):.3g} pieces, 44 suffice"
    missed = f"; {lacking} of {count * len(SEEDS)} lack it" if lacking else ""
    how = f"{least}; {median(took_s):.3g} s{missed}"
    rival = ("Reticulum, one each", RETICULUM_B * count)
    sent = Figure(name, median(bytes_sent), "B", 12_000, how, rival=rival)
    return [sent, _as_objects(name, count, loss)]


def _as_objects(name: str, count: int, loss: float) -> Figure:
    """Return what the same pieces cost as objects that are told on and repaired by lists."""
    totals, whole = [], 0
    for seed in SEEDS:
        random = Random(seed)
        bodies = [bytes([2, *range(5)]) + random.randbytes(229) for _ in range(44)]
        field = CastPieces(count, loss, seed)
        field.play(bodies, LIMIT_S)
        totals.append(field.bytes)
        whole += sum(len(got) == len(bodies) for got in field.got[1:])
    how = f"{min(totals)} to {max(totals)}; {whole} of {count * len(SEEDS)} have all"
    return Figure(f"{name}, pieces as objects", median(totals), "B", None, how)


def _nodes(count: int) -> Figure:
    """Return what the daemon's own nodes send in the two minutes after a file was put."""
    camp = Camp(count + 1)
    camp.run(300)
    begin = len(camp.sent)
    camp.put(0, Random(count).randbytes(SIZE))
    camp.run(120)
    have = sum(camp.file(number).get("state") == "here" for number in range(1, count + 1))
    total = sum(size for _, size, _ in camp.sent[begin:])
    how = f"simulated air, SF7; the entry, beacons and routes are in it; {have} of {count} have it"
    return Figure(f"10 kB to {count}, whole nodes", total, "B", None, how)
