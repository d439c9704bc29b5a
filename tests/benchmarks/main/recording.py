"""What a recording costs: the same simulated mesh with every node recorded and with none."""

import tempfile
import time
from pathlib import Path

from report import Figure

from meshd.recording.tape import Tape
from meshd.simulation.world import SECOND, World, no_tapes

ROWS = 5
RUNS = 3
VIRTUAL_S = 120


def run(tapes=no_tapes) -> float:
    """Return the CPU seconds of a mesh that finds itself and shares notes."""
    begun = time.process_time()
    world = World(11, tapes=tapes)
    hosts = world.add_grid(ROWS, ROWS)
    world.run(10 * SECOND)
    space = hosts[0].ask("space.create", name="valley", **{"as": "anna"})["space"]
    url = hosts[0].ask("invite", space=space, uses=3)["url"]
    for host in (hosts[1], hosts[-1], hosts[-2]):
        host.ask("join", url=url)
    for number in range(100):
        hosts[number % 2].ask("post", space=space, text=f"note {number}")
    world.run(VIRTUAL_S * SECOND)
    for host in world.hosts:
        host.end_recording()
    return time.process_time() - begun


def recorded(folder: Path) -> tuple[float, int, int]:
    """Return CPU seconds, inputs and bytes of the same, recorded."""
    taken = run(lambda name, _: Tape(str(folder / name), bytes_max=64_000_000))
    files = [path.read_bytes() for path in folder.iterdir()]
    return taken, sum(file.count(b'"do":') for file in files), sum(map(len, files))


def measure() -> list[Figure]:
    """Run both in turns and keep the best of each."""
    plain, taped = [], []
    for _ in range(RUNS):
        plain.append(run())
        with tempfile.TemporaryDirectory() as folder:
            taped.append(recorded(Path(folder)))
    seconds, inputs, size = min(taped)
    how = f"CPU of {ROWS * ROWS} nodes for {VIRTUAL_S} virtual s, {inputs} inputs, best of {RUNS}"
    none = 1e6 * min(plain) / inputs
    return [
        Figure("an input, recorded", 1e6 * seconds / inputs, "us", None, how, rival=("off", none)),
        Figure("a recorded input in the file", size / inputs, "B", None, "headers included"),
    ]
