"""Simulated hosts with LoRa radios on one air, in virtual time."""

from copy import deepcopy

from meshd.config.regions import law_of
from meshd.core.airtime import Modulation
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, RadioSetting
from meshd.simulation.world import SECOND, World

SF7 = Modulation(7, 125_000)


class Mesh:
    """`count` hosts that hear each other, unless `cut` names a pair of them; `more` have no radio.

    `sent` has (name, bytes, seconds) of each frame.
    """

    def __init__(
        self,
        count,
        *,
        seed=1,
        modulation=SF7,
        region="EU868",
        running=True,
        tapes=None,
        frequency_hz=869_525_000,
        more=0,
    ):
        self.world = World(seed, tapes=tapes) if tapes else World(seed)
        self.cut = set()
        self.sent = []
        self.air = LoraAir(self.world, self.loss_db, told=self._told)
        self.hosts = [self.world.add_host() for _ in range(count + more)]
        self.setting = RadioSetting(modulation, frequency_hz, 14.0)
        self.law = law_of(region)
        for host in self.hosts[:count]:
            host.lora = LoraPort(host, self.air, self.setting, law=self.law)
            if running:
                host.lora.power_on()

    def add(self, name, *, identity=None, store=None):
        """Add a host and its radio; with another's identity and store it is a copied card."""
        host = self.world.add_host(name)
        if identity is not None:
            host.crash()
            host.identity, host.store = identity, deepcopy(store)
            host.start()
        host.lora = LoraPort(host, self.air, self.setting, law=self.law)
        host.lora.power_on()
        self.hosts.append(host)
        return host

    def loss_db(self, sender, hearer):
        return 999.0 if frozenset((sender.name, hearer.name)) in self.cut else 120.0

    def _told(self, radio, purpose, size, airtime_us):
        self.sent.append((radio.name, size, self.world.now / SECOND))

    def run(self, seconds):
        self.world.run(int(seconds * SECOND))

    def known(self, host):
        return sorted(row.node for row in host.node.snapshot(host.now).neighbours)

    def complete(self):
        return all(len(self.known(host)) == len(self.hosts) - 1 for host in self.hosts)

    def until_complete(self, limit_s=60):
        """Return after how many seconds everybody knew everybody."""
        begin = self.world.now
        assert self.world.run_until(self.complete, limit_s * SECOND)
        return (self.world.now - begin) / SECOND


def radio(host):
    """Return the status of its radio."""
    (status,) = host.node.snapshot(host.now).radios
    return status
