"""A radio of somebody who is no node: it keeps what it hears, and sends whatever it likes."""

from meshd.simulation.media.lora import Radio
from meshd.simulation.world import SECOND

PAUSE_US = 20_000


class Intruder:
    """On the air of a `Mesh`, set like its radios."""

    def __init__(self, mesh, name="intruder"):
        self.mesh = mesh
        self.frames = []
        self.radio = Radio(name, mesh.hosts[0].lora.radio.setting)
        self.radio.received = lambda frame, *_: self.frames.append(frame)
        mesh.air.attach(self.radio)

    def send(self, *frames):
        """Send frames one after the other, and let time pass until they are out."""
        world = self.mesh.world
        for frame in frames:
            self.radio.transmit(frame, "intruder")
            assert world.run_until(lambda: not self.radio.sending, 10 * SECOND)
            world.run(PAUSE_US)

    def jam(self, seconds):
        """Send without a pause, whatever others do."""
        world = self.mesh.world
        until = world.now + int(seconds * SECOND)

        def again():
            if world.now < until:
                self.radio.transmit(bytes(200), "jam")

        self.radio.sent = again
        again()
        world.run(until - world.now + SECOND)
        self.radio.sent = lambda: None


def drops(host, *, link="lora0"):
    """Return how often a node dropped what for which reason on its radio."""
    known = host.node.snapshot(host.now).drops
    return {reason: links[link] for reason, links in known.items() if link in links}


def spent_ms(host):
    """Return how long it has sent in the hour."""
    return host.node.snapshot(host.now).radios[0].airtime_hour_ms


def notices(host, kind):
    return [notice for notice in host.notices if notice.kind == kind]
