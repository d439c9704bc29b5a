"""A process that publishes a made-up node, for tests that kill it.

Argument: JSON {"broker": {…}, "pace": {…}}. Each line on stdin is JSON that changes the snapshot.
Prints what is wrong with the broker, or "fine".
"""

import asyncio
import json
import signal
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from daemons.fake_host import snapshot

from meshd.config.values import MqttConfig
from meshd.core.snapshot import NeighbourStatus, RadioStatus
from meshd.status.mqtt import Pace, publish


async def main() -> None:
    options = json.loads(sys.argv[1])
    changes: dict = {}
    seq = 0

    def take():
        nonlocal seq
        seq += 1
        return snapshot(**changes, seq=seq)

    def told(problem):
        print(problem.code if problem else "fine", flush=True)

    def change():
        said = json.loads(sys.stdin.readline() or "{}")
        for name, kind in (("radios", RadioStatus), ("neighbours", NeighbourStatus)):
            if name in said:
                said[name] = tuple(kind(**row) for row in said[name])
        changes.update(said)

    loop = asyncio.get_running_loop()
    loop.add_reader(0, change)
    task = loop.create_task(
        publish(
            MqttConfig(**options["broker"]),
            take,
            on_problem=told,
            pace=Pace(**options.get("pace", {})),
            rng=Random(1),
        )
    )
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("stopped", flush=True)


asyncio.run(main())
