"""A small world in which everything happens, and the hash of all that did: equal runs, equal hash.

`python tests/worlds/trace.py SEED CRYPTO` prints it, for a process with another hash seed.
"""

import sys
from hashlib import blake2b

from meshd.simulation.build import build_world
from meshd.simulation.crypto import primitives
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import (
    BEHAVIOURS,
    FAULTS,
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Terrain,
)
from meshd.simulation.world import SECOND, World

QUIET = [each for each in BEHAVIOURS if each not in ("flood", "identities")]
PLAN = Plan(
    "everything",
    terrain=Terrain(width_m=150.0, height_m=150.0),
    media=(
        MediumPlan("wifi", "ip-radio"),
        MediumPlan("cable", "wire", between=(("n1", "n6"),), loss=0.05),
        MediumPlan(
            "lora",
            "lora",
            tx_dbm=14.0,
            frequency_mhz=869.525,
            bandwidth_khz=250.0,
            spreading_factor=7,
            region="EU868",
        ),
    ),
    nodes=(NodeGroup("n", count=6, media=("wifi", "lora"), clock_ppm=30.0),),
    faults=(
        *(
            Fault(
                kind, at_s=8 + number, for_s=9, nodes=f"n{number % 5 + 1}", delay_s=0.1, share=0.02
            )
            for number, kind in enumerate(FAULTS)
            if kind != "hostile"
        ),
        *(
            Fault("hostile", at_s=10 + number, for_s=3, nodes="n6", behaviour=behaviour)
            for number, behaviour in enumerate(QUIET)
        ),
    ),
)


class Trace(Observer):
    """Hashes all that an observer can see, with its time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hash = blake2b(digest_size=16)

    def add(self, *seen: object) -> None:
        self.hash.update(repr((self.world.now, *seen)).encode())

    def route_changed(self, host, address):
        self.add("route", host.name, address, host.routes.get(address))

    def datagram_sent(self, port, datagram, airtime_us):
        self.add("datagram", port.address, datagram, airtime_us)

    def stream_sent(self, host, data):
        self.add("stream", host.name, data)

    def radio_sent(self, host, frame):
        self.add("radio", host.name, frame)

    def frame_sent(self, name, purpose, size, airtime_us):
        self.add("frame", name, purpose, size, airtime_us)

    def segment_sent(self, port, size, airtime_us):
        self.add("segment", port.address, size, airtime_us)

    def notice(self, host, notice):
        self.add("notice", host.name, notice)

    def reply(self, host, reply):
        self.add("reply", host.name, reply)

    def committed(self, host, rows):
        self.add("committed", host.name, rows)

    def started(self, host):
        self.add("started", host.name)

    def crashed(self, host):
        self.add("crashed", host.name)

    def fault(self, kind, text, *, begins):
        self.add("fault", kind, text, begins)


def trace(seed: int, crypto: str) -> str:
    """Play the plan, with a space that all join and write in; return the hash."""
    with primitives(crypto):
        world = build_world(PLAN, seed)
        seen = Trace(world)
        world.watch(seen)
        world.run(3 * SECOND)
        first, *others = world.hosts
        first.ask("space.create", name="camp")
        url = first.ask("invite", space="camp", role="writer", uses=20)["url"]
        for host in others:
            host.request("join", url=url)
        for turn in range(25):
            world.run(SECOND)
            writer = world.hosts[turn % len(world.hosts)]
            if writer.running:
                writer.request("post", space="camp", text=f"note {turn}")
        return f"{seen.hash.hexdigest()} {world.processed}"


if __name__ == "__main__":
    sys.stdout.write(trace(int(sys.argv[1]), sys.argv[2]))
