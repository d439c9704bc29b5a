"""Simulated hosts that share a space, with LoRa radios and, where a test links them, WiFi.

They meet by WiFi once, since a space is joined over a session; then only the radios are left.
"""

from random import Random

from radios.mesh import Mesh

from meshd.simulation.world import SECOND

MINUTE = 60


class Camp(Mesh):
    """`count` hosts with radios, of whom the first made the space "camp".

    Hosts whose numbers are in `without` do not join it. With `line`, each hears only those next
    to it.
    """

    def __init__(self, count, *, without=(), line=False, seed=1, **options):
        super().__init__(count, seed=seed, **options)
        self.without = without
        self._words = Random(f"words {seed}")
        if line:
            self.apart(*((a, b) for a in range(count) for b in range(a + 2, count)))
        self._join()

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

    def letters(self, size):
        """Return a text that no code makes shorter: another each time, the same in each run."""
        return self._words.randbytes(size // 2).hex()

    def texts(self, number):
        entries = self.hosts[number].ask("log", space="camp", limit=500)["entries"]
        return sorted(str(entry["text"]) for entry in entries if "text" in entry)

    def until_text(self, number, text, limit_s):
        """Run until a host has a text, as far as its people can tell: they look every 5 s."""
        for _ in range(limit_s // 5):
            self.run(5)
            if text in self.texts(number):
                return
        raise AssertionError("not there")

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
