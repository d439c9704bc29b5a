"""Recordings for the tests: a small simulated mesh of which one node or each writes its own."""

import io
import json

from meshd.recording.tape import Tape
from meshd.simulation.replay import Replay
from meshd.simulation.world import SECOND, World


def record_world(folder, *, seed=3, mb_max=64):
    """Run three nodes that share a space while one of them loses power; return their files."""
    files = {}

    def tape(name, life):
        path = files[name, life] = folder / f"{name}-{life}.jsonl"
        return Tape(str(path), bytes_max=mb_max * 1_000_000)

    world = World(seed, tapes=tape)
    one, two, three = world.add_line(3)
    world.run(5 * SECOND)
    space = one.ask("space.create", name="valley", **{"as": "anna"})["space"]
    url = one.ask("invite", space=space)["url"]
    three.ask("join", url=url, **{"as": "ben"})
    one.ask("post", space=space, text="hello \u00e9")
    two.crash()
    world.run(8 * SECOND)
    two.start()
    three.ask("post", space=space, text="again")
    world.run(15 * SECOND)
    one.node.snapshot(one.now)
    world.run(5 * SECOND)
    for host in world.hosts:
        host.end_recording()
    return world, files


def replay(data, *, until_us=None):
    """Replay bytes to their end."""
    found = Replay(io.BytesIO(data))
    found.run(until_us=until_us)
    return found


def lines(data):
    """Return a recording as JSON values."""
    return [json.loads(line) for line in data.splitlines()]


def unlines(values):
    """Return JSON values as a recording."""
    return b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)
