"""Rival stations on an air whose links a test names: "a-b b-c" is a line of three."""

from meshd.core.airtime import LONG_FAST
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.rivals.engine import Delivered, Settled
from meshd.simulation.rivals.station import Station
from meshd.simulation.schedule import SECOND, Schedule


class Stage:
    """Stations by letter. `make(number, random)` gives the engine of each."""

    def __init__(self, links, make, *, seed=1):
        self.schedule = Schedule(seed)
        self.pairs = {frozenset(pair.split("-")) for pair in links.split()}
        names = sorted(set().union(*self.pairs))
        self.air = LoraAir(self.schedule, self.loss_db, told=self.tell)
        self.number = {name: number for number, name in enumerate(names)}
        self.station = {}
        self.frames = []
        self.delivered = []
        self.settled = []
        for name in names:
            radio = Radio(name, RadioSetting(LONG_FAST))
            self.air.attach(radio)
            number = self.number[name]
            engine = make(number, self.schedule.random(f"engine {name}"))
            self.station[name] = Station(self.schedule, radio, engine)
            self.station[name].happened = lambda event, name=name: self.happened(name, event)

    def loss_db(self, sender, hearer):
        return 130.0 if frozenset((sender.name, hearer.name)) in self.pairs else 999.0

    def tell(self, radio, purpose, size, airtime_us):
        self.frames.append((radio.name, purpose, size))

    def happened(self, name, event):
        if isinstance(event, Delivered):
            self.delivered.append((name, event.message, event.payload))
        elif isinstance(event, Settled):
            self.settled.append((name, event.message, event.acknowledged))

    def cut(self, name):
        """Silence all links of a station."""
        self.pairs = {pair for pair in self.pairs if name not in pair}
        for station in self.station.values():
            self.air.moved(station.radio)

    def run(self, seconds=60):
        self.schedule.run(seconds * SECOND)

    def purposes(self, *wanted):
        return [(name, purpose) for name, purpose, _ in self.frames if purpose in wanted]
