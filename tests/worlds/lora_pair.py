"""Two hosts 100 m apart with a LoRa radio each and nothing else, and what their radios did."""

from meshd.simulation.build import build_world
from meshd.simulation.lora.medium import radios
from meshd.simulation.observer import Observer
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Terrain

AIR = MediumPlan(
    "air",
    "lora",
    tx_dbm=14.0,
    frequency_mhz=869.525,
    bandwidth_khz=250.0,
    spreading_factor=7,
    region="EU868",
)
FLAT = Terrain(2_000, 1_000, shadowing_db=0.0, asymmetry_db=0.0)


class Frames(Observer):
    """Counts the frames that nodes gave to their radios, and those on the air, by host."""

    def __init__(self):
        self.given, self.sent = {}, {}

    def radio_sent(self, host, frame):
        self.given[host.name] = self.given.get(host.name, 0) + 1

    def frame_sent(self, name, purpose, size, airtime_us):
        self.sent[name] = self.sent.get(name, 0) + 1

    @property
    def total(self):
        return sum(self.sent.values())


def hosts(count, *faults, seed=1, air=AIR):
    """Return a world of hosts in a row, n1, n2, …"""
    places = range(1, count + 1)
    nodes = tuple(NodeGroup(f"n{x}", media=("air",), x_m=100.0 * x, y_m=500.0) for x in places)
    return build_world(Plan("p", terrain=FLAT, media=(air,), nodes=nodes, faults=faults), seed)


def two(*faults, **options):
    """Return a world of two, and its frames."""
    world = hosts(2, *faults, **options)
    world.watch(frames := Frames())
    return world, frames


def hears(world):
    """Return whom the radio of each host has heard lately."""
    return {one["host"]: [row["host"] for row in one["hears"]] for one in radios(world)}
