"""IPv6 between simulated hosts: by WiFi, over LoRa and by WiFi again, as a program would see it."""

import pytest
from daemons.recordings import replay

from meshd.config.regions import law_of
from meshd.core.airtime import Modulation
from meshd.core.ids import address_text
from meshd.recording.tape import Tape
from meshd.simulation.host import Hop
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, RadioSetting
from meshd.simulation.world import SECOND, World
from meshd.wire import ipv6

NOWHERE = Hop("", b"")
PING = bytes(16) + bytes(range(16, 56))
"""What `ping` sends by default: a time, then bytes that count."""


class Strait:
    """east - gate ~ relay ~ other gate - west; only the middle three have radios."""

    def __init__(self, *, relays=0, tapes=None):
        self.world = World(1, tapes=tapes) if tapes else World(1)
        self.air = LoraAir(self.world, self._loss_db)
        self.row = [self.world.add_host() for _ in range(4 + relays)]
        self.east, self.gate, *_, self.far, self.west = self.row
        self.world.link(self.east, self.gate)
        self.world.link(self.far, self.west)
        setting = RadioSetting(Modulation(7, 125_000), 869_525_000, 14.0)
        for host in self.row[1:-1]:
            host.lora = LoraPort(host, self.air, setting, law=law_of("EU868"))
            host.lora.power_on()
        assert self.world.run_until(self.routed, 600 * SECOND)

    def routed(self):
        """Tell whether both ends have a route to each other."""
        ends = (self.east, self.west)
        return all(a.routes.get(b.node.address, NOWHERE).link for a, b in (ends, ends[::-1]))

    def _loss_db(self, sender, hearer):
        places = [self._place(sender.name), self._place(hearer.name)]
        return 120.0 if abs(places[0] - places[1]) == 1 else 999.0

    def _place(self, name):
        return next(place for place, host in enumerate(self.row) if host.name == name)

    def ping(self, data=PING, *, limit_s=10):
        """Return the answer to an ICMPv6 echo from east to west, and how long it took in ms."""
        tun, begin = self.east.tun, self.world.now
        tun.answers.clear()
        tun.ping(self.west.node.address, data)
        assert self.world.run_until(lambda: tun.answers, limit_s * SECOND)
        (answer,) = tun.answers
        return answer, (answer.at_us - begin) / 1000


@pytest.mark.parametrize("relays", [0, 1])
def test_ping_crosses_wifi_and_lora_and_wifi(relays):
    strait = Strait(relays=relays)
    answer, took_ms = strait.ping()
    assert (answer.kind, answer.body) == (ipv6.ECHO_REPLY, PING)
    assert answer.source == strait.west.node.address
    assert took_ms < 1000 * (1 + relays)


def test_pings_of_meshd_itself_cross_too():
    strait = Strait()
    ticket = strait.east.request("ping", address=address_text(strait.west.node.address), count=3)
    strait.world.run(20 * SECOND)
    assert strait.east.replies[ticket].value["received"] == 3


def test_who_sends_what_is_too_long_learns_how_long_it_may_be():
    strait = Strait()
    answer, _ = strait.ping(b"z" * 500)
    assert (answer.kind, answer.source) == (ipv6.TOO_BIG[0], strait.gate.node.address)
    assert strait.gate.node.snapshot(strait.gate.now).drops["packet-too-long"] == {"-": 1}


def test_gateway_replays_from_its_recording(tmp_path):
    path = tmp_path / "gate"

    def tapes(name, life):
        return Tape(str(path), bytes_max=64_000_000) if name == "n1" else None

    strait = Strait(tapes=tapes)
    strait.ping()
    strait.ping(b"z" * 500)
    strait.gate.input(strait.gate.node.tun_received, b"no packet")
    strait.gate.end_recording()
    found = replay(path.read_bytes())
    assert found.ended == "stopped" and found.difference is None
