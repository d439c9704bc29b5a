"""Simulated hosts that share a space, with LoRa radios and, where a test links them, WiFi.

They meet by WiFi once, since a space is joined over a session; then only the radios are left.
"""

from radios.mesh import SF7, Mesh

from meshd.config.regions import law_of
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, RadioSetting
from meshd.simulation.world import SECOND, World

MINUTE = 60


class Camp(Mesh):
    """`count` hosts with radios, of whom the first made the space "camp"; `more` have none.

    Hosts whose numbers are in `without` do not join it. With `line`, each hears only those next
    to it. `sent` has (name, bytes, seconds) of each frame.
    """

    def __init__(
        self,
        count,
        *,
        more=0,
        without=(),
        line=False,
        seed=1,
        modulation=SF7,
        region="EU868",
        frequency_hz=869_525_000,
    ):
        self.without = without
        self.world = World(seed)
        self.cut = set()
        self.sent = []
        self.air = LoraAir(self.world, self.loss_db, told=self._told)
        self.hosts = [self.world.add_host() for _ in range(count + more)]
        if line:
            self.apart(*((a, b) for a in range(count) for b in range(a + 2, count)))
        for host in self.hosts[:count]:
            setting = RadioSetting(modulation, frequency_hz, 14.0)
            host.lora = LoraPort(host, self.air, setting, law=law_of(region))
            host.lora.power_on()
        self._join()

    def _told(self, radio, purpose, size, airtime_us):
        self.sent.append((radio.name, size, self.world.now / SECOND))

    def _join(self):
        first, *others = self.members
        for host in others:
            self.world.link(first, host)
        self.run(10)
        first.ask("space.create", name="camp")
        url = first.ask("invite", space="camp", role="writer", uses=len(others))["url"]
        for host in others:
            host.ask("join", url=url)
        self.run(5)
        for host in others:
            self.world.cut(first, host)
        self.run(60)

    @property
    def members(self):
        return [host for number, host in enumerate(self.hosts) if number not in self.without]

    def apart(self, *pairs):
        """Take these pairs of hosts out of each other's earshot."""
        self.cut |= {
            frozenset((self.hosts[one].name, self.hosts[other].name)) for one, other in pairs
        }
        self._moved()

    def together(self, *pairs):
        self.cut -= {
            frozenset((self.hosts[one].name, self.hosts[other].name)) for one, other in pairs
        }
        self._moved()

    def _moved(self):
        for host in self.hosts:
            if host.lora is not None:
                self.air.moved(host.lora.radio)

    def post(self, number, text, **more):
        self.hosts[number].ask("post", space="camp", text=text, **more)

    def texts(self, number):
        entries = self.hosts[number].ask("log", space="camp", limit=500)["entries"]
        return sorted(str(entry["text"]) for entry in entries if "text" in entry)

    def same(self):
        heads = [
            {author: feed.hash32 for author, feed in space.feeds.items()}
            for host in self.members
            for space in host.node.spaces.all()
        ]
        return all(head == heads[0] for head in heads)

    def until_same(self, limit_s):
        """Return after how many seconds all hold the same."""
        begin = self.world.now
        assert self.world.run_until(self.same, limit_s * SECOND), "not the same"
        return (self.world.now - begin) / SECOND

    def put(self, number, data, name="map"):
        """Put a file; return what the command is told once it is written."""
        host = self.hosts[number]
        handle = host.store.files.lend(data)
        return host.ask("put", space="camp", name=name, size=len(data), handle=handle)

    def file(self, number, name="map"):
        """Return what a host says of a file; {} when it does not know it."""
        lines = self.hosts[number].ask("files", space="camp")["files"]
        return next((line for line in lines if line.get("name") == name), {})
