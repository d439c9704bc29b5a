"""The daemon's own nodes in the field of the broadcast benchmark, beside the bare engine."""

from lora._broadcast_field import WARM_S, Told
from radios.node_station import NodeStation

from meshd.core.airtime import LONG_FAST
from meshd.forwarding.rules import rules_for
from meshd.simulation.rivals.station import Station


class NodesTold(Told):
    """Real nodes: keys, beacons, echoes, routes and the ledger are theirs, and all count.

    They start at once with the clock; the traffic begins ten minutes later, as for all others, or
    when they have been there for longer.
    """

    def __init__(self, count: int, seed: int, warm_s: int = WARM_S) -> None:
        super().__init__(count, seed, None, warm_s)
        self.rules = rules_for(LONG_FAST, shared=False)
        for number, station in enumerate(self.stations):
            engine = NodeStation(number, LONG_FAST, self.schedule.random(f"node {number}"))
            self.stations[number] = Station(self.schedule, station.radio, engine)
