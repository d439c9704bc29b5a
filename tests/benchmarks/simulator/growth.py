"""What a mesh costs as it grows, for `docs/scaling.md`: bytes, convergence, memory and CPU a node.

Run as a script it prints the table and draws `docs/scaling.svg`:
`python tests/benchmarks/simulator/growth.py 10 30 100 300 1000 --out docs/scaling.svg`.
Bytes, convergence and tables follow from the seed alone; CPU and memory are this machine's.
"""

import argparse
import gc
import os
import pickle
import sys
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from report import Figure  # noqa: E402
from simulator._mesh import Mesh, Meter  # noqa: E402

from meshd.routing.table import WIDE  # noqa: E402
from meshd.simulation.schedule import SECOND  # noqa: E402

SEED = 1
SETTLE_S = 60
QUIET_S = {1000: 48}
CUT_LIMIT_S = 120
_NOTE = {"textcoords": "offset points", "fontsize": 8}


class Cost(NamedTuple):
    """What one size of mesh costs; bytes are those of frames, with all headers."""

    nodes: int
    degree: float
    cold_s: float | None
    cold_bytes: float
    quiet_bytes_s: float
    lost_s: list[float]
    memory_kib: float
    routes: float
    cold_cpu_s: float
    quiet_cpu_s: float


def cost(count: int, lost: int) -> Cost:
    """Start a mesh, let it settle, measure it in peace, then lose its busiest nodes."""
    meter = Meter()
    mesh = Mesh(count, SEED)
    world, before_mib = mesh.world, meter.now_mib
    cold_s = mesh.converge(SETTLE_S)
    world.run(SETTLE_S * SECOND - world.now)
    cold_cpu_s, cold_bytes = meter.cpu_s, mesh.sent_bytes
    quiet_s = QUIET_S.get(count, 120)
    world.run(quiet_s * SECOND)
    quiet_bytes = mesh.sent_bytes - cold_bytes
    quiet_cpu_s = meter.cpu_s - cold_cpu_s
    routes = sum(len(host.node.routing.routes(host.now)) for host in mesh.hosts[:10])
    memory_kib = (meter.now_mib - before_mib) * 1024 / count
    lost_s = [_apart(partial(_lose, mesh, rank)) for rank in range(lost)]
    return Cost(
        nodes=count,
        degree=mesh.degree,
        cold_s=cold_s,
        cold_bytes=cold_bytes / count,
        quiet_bytes_s=quiet_bytes / count / quiet_s,
        lost_s=lost_s,
        memory_kib=memory_kib,
        routes=routes / len(mesh.hosts[:10]),
        cold_cpu_s=cold_cpu_s,
        quiet_cpu_s=quiet_cpu_s * 60 / quiet_s,
    )


def _lose(mesh: Mesh, rank: int) -> float:
    """Let one node of a mesh go; return when all others reach each other, or `inf`."""
    passed_s = mesh.lose_busiest(CUT_LIMIT_S, rank)
    return inf if passed_s is None else passed_s


def _apart(work: Callable[[], Any]) -> Any:
    """Do work in a copy of this process, which the present one learns nothing of but the result."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            with open(writer, "wb") as out:
                pickle.dump(work(), out)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as result:
        found = pickle.load(result)
    os.waitpid(child, 0)
    return found


def measure() -> list[Figure]:
    """Measure small meshes, for the bench."""
    small, large = cost(30, 0), cost(100, 0)
    how = f"random meshes of 30 and 100, seed {SEED}, in peace"
    each = (large.quiet_bytes_s - small.quiet_bytes_s) / 70
    return [
        Figure("control bytes of one of 100 nodes", large.quiet_bytes_s, "B/s", None, how),
        Figure("each further node costs each node", each, "B/s", 1.6, how),
    ]


def table(costs: list[Cost]) -> str:
    """Lay the costs out as Markdown."""
    heads = (
        "nodes",
        "in reach",
        "all routes after a cold start",
        "sent for that, a node",
        "control in peace, a node",
        "all routes after one of the busiest went",
        "routes kept",
        "memory, a node",
        "CPU of a minute in peace, a node",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for item in costs:
        lines.append(
            f"| {item.nodes:,} | {item.degree:.1f} | {_seconds(item.cold_s)}"
            f" | {item.cold_bytes / 1000:.1f} kB | {item.quiet_bytes_s:.0f} B/s"
            f" | {_spread(item.lost_s)} | {item.routes:,.0f} | {item.memory_kib:,.0f} KiB"
            f" | {item.quiet_cpu_s / item.nodes * 1000:.0f} ms |"
        )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "not within the limit" if value is None else f"{value:.1f} s"


def _spread(values: list[float]) -> str:
    if not values:
        return "not tried"
    if max(values) == inf:
        return f"{values.count(inf)} of {len(values)} not within the limit"
    if len(values) == 1:
        return f"{values[0]:.1f} s"
    return f"{median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def draw(costs: list[Cost], path: Path) -> None:
    """Draw bytes, convergence, memory and CPU over the number of nodes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "meshd"
    from matplotlib import pyplot

    panels = [
        ("control in peace: bytes a second, each node", [item.quiet_bytes_s for item in costs]),
        ("all routes after a cold start: seconds", [item.cold_s or 0 for item in costs]),
        ("memory: KiB, each node", [item.memory_kib for item in costs]),
        (
            "CPU of a minute in peace: ms, each node",
            [item.quiet_cpu_s / item.nodes * 1e3 for item in costs],
        ),
    ]
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6.8), layout="constrained")
    nodes = [item.nodes for item in costs]
    figure.suptitle("What a node costs as the mesh grows (each size run once)", fontsize=12)
    for axis, (title, values) in zip(axes.flat, panels, strict=True):
        axis.plot(nodes, values, "o-", color="#1b6ca8", linewidth=1)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("nodes in the mesh")
        axis.set_xlim(-0.03 * max(nodes), max(nodes) * 1.12)
        axis.set_ylim(0, max(*values, 1) * 1.25)
        axis.grid(alpha=0.3)
        if nodes[0] <= WIDE < nodes[-1]:
            axis.axvline(WIDE, color="#888888", linewidth=1, linestyle=":")
            axis.annotate("wide tables →", (WIDE, 0), (-4, 6), ha="right", **_NOTE)
        for count, value in zip(nodes, values, strict=True):
            axis.annotate(f"{value:.3g}", (count, value), (0, 8), ha="center", **_NOTE)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Measure each size that is asked for."""
    parser = argparse.ArgumentParser(description="What a mesh costs as it grows.")
    parser.add_argument("nodes", nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="where to draw")
    parser.add_argument("--lost", type=int, default=3, help="how many nodes to lose, each alone")
    options = parser.parse_args()
    gc.disable()
    costs = []
    for count in options.nodes:
        costs.append(_apart(partial(cost, count, options.lost)))
        print(costs[-1], file=sys.stderr, flush=True)
    print(table(costs))
    if options.out:
        draw(costs, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
