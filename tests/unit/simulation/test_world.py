"""A world carries frames over several media, tells its observers, and repeats itself."""

import pytest

from meshd.core.errors import UsageError
from meshd.core.events import LinkKind, Transmit
from meshd.core.limits import MESHD_PORT
from meshd.simulation.faults.network import Clog, Split, Trouble
from meshd.simulation.media.edges import Edge, Edges
from meshd.simulation.observer import Observer
from meshd.simulation.world import SECOND, World


class Diary(Observer):
    """Keeps a word for each thing that happened."""

    def __init__(self):
        self.kinds = {}

    def add(self, kind):
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def route_changed(self, host, address):
        self.add("route")

    def datagram_sent(self, port, datagram, airtime_us):
        self.add("datagram")

    def stream_sent(self, host, data):
        self.add("stream")

    def segment_sent(self, port, size, airtime_us):
        self.add("segment")

    def asked(self, host, verb, args, ticket):
        self.add("asked")

    def notice(self, host, notice):
        self.add("notice")

    def reply(self, host, reply):
        self.add("reply")

    def committed(self, host, rows):
        self.add("committed")

    def started(self, host):
        self.add("started")

    def crashed(self, host):
        self.add("crashed")

    def minute(self):
        self.add("minute")


class Sent(Observer):
    """Keeps who sent datagrams."""

    def __init__(self):
        self.by = []

    def datagram_sent(self, port, datagram, airtime_us):
        self.by.append(port.host)


def ridge() -> tuple[World, list]:
    """Two valleys, each on a medium of its own, and a host on both media between them."""
    world = World(1)
    for name in ("east", "west"):
        world.add_medium(Edges(name, world))
    left, right = world.add_host("left", media=["west"]), world.add_host("right", media=["east"])
    top = world.add_host("top", media=["west", "east"])
    for name, host in (("west", left), ("east", right)):
        world.media[name].hear(host, top)
        world.media[name].hear(top, host)
    return world, [left, top, right]


def test_host_on_two_media_routes_between_them():
    world, (left, top, right) = ridge()
    assert [link.name for link in top.node.links.values()] == ["west", "east"]
    assert world.run_until(world.connected, 20 * SECOND)
    assert world.path(left, right.node.address) == [left, top, right]
    assert left.routes[right.node.address].link == "west"
    assert top.routes[right.node.address].link == "east"
    assert world.path(right, top.node.address) == [right, top]


def test_routed_datagram_goes_hop_by_hop_and_each_hop_can_lose_it():
    world, (left, top, right) = ridge()
    assert world.run_until(world.connected, 20 * SECOND)
    sent = Sent()
    world.watch(sent)
    datagram = Transmit("", MESHD_PORT, right.node.address, b"\xff" + bytes(9))
    world.transmit(left, datagram)
    assert sent.by == [left]
    world.run(10_000)
    assert top in sent.by
    world.media["east"].hear(top, right, Edge(loss=1.0))
    drops = right.node._ctx.drops.as_dict()
    world.transmit(left, datagram)
    world.run(10_000)
    assert right.node._ctx.drops.as_dict() == drops


def test_stream_over_a_lossy_link_is_slower_and_whole():
    def elapsed(loss: float) -> int:
        world = World(4)
        one, other = world.add_line(2)
        world.link(one, other, Edge(loss=loss))
        assert world.run_until(world.connected, 60 * SECOND)
        one.ask("space.create", name="camp")
        url = one.ask("invite", space="camp", role="writer")["url"]
        other.ask("join", url=url)
        handle = one.store.files.lend(bytes(range(256)) * 2_000)
        one.ask("put", space="camp", name="map", size=512_000, handle=handle)
        world.run(SECOND)
        begun, target = world.now, other.store.files.lend()
        other.ask("get", space="camp", name="map", handle=target, limit_us=300 * SECOND)
        assert other.store.files.lent[target] == bytes(range(256)) * 2_000
        return world.now - begun

    assert elapsed(0.0) < elapsed(0.3)


def test_observers_see_what_happens():
    world = World(2)
    diary = Diary()
    world.watch(diary)
    one, other = world.add_line(2)
    world.run(10 * SECOND)
    one.ask("space.create", name="camp")
    url = one.ask("invite", space="camp", role="writer")["url"]
    other.ask("join", url=url)
    world.run(60 * SECOND)
    other.crash()
    other.start()
    counted = diary.kinds
    assert counted["started"] == 3 and counted["crashed"] == 1 and counted["minute"] == 1
    assert counted["asked"] == counted["reply"] == 3
    assert set(counted) >= {"route", "datagram", "stream", "segment", "committed"}


def test_network_faults_stand_between_medium_and_hearer():
    world = World(3)
    one, other = world.add_line(2)
    assert world.run_until(world.connected, 10 * SECOND)
    split = Split(frozenset([0]))
    world.faults.begin(split)
    assert world.path(one, other.node.address) is None
    world.run(120 * SECOND)
    assert one.routes == {}
    world.faults.end(split)
    slow = Clog(frozenset([0]), frozenset([1]), 200_000)
    world.faults.begin(slow)
    assert world.run_until(world.connected, 20 * SECOND)
    world.faults.begin(Trouble(frozenset([0]), duplicate=0.5, corrupt=0.2, lose=0.2))
    world.run(30 * SECOND)
    assert other.node._ctx.drops.as_dict()


def test_names_are_used_once():
    world = World(1)
    world.add_host("a")
    with pytest.raises(UsageError):
        world.add_host("a")
    with pytest.raises(UsageError):
        world.add_medium(Edges("w0", world))


def test_edges_have_kind_and_spread_and_stop_when_a_port_goes():
    world = World(1)
    wire = Edges("cable", world, kind=LinkKind.WIRED)
    world.add_medium(wire)
    one, other = (world.add_host(media=["cable"]) for _ in range(2))
    wire.hear(one, other, Edge(1_000, 0))
    ports = one.ports["cable"], other.ports["cable"]
    assert ports[0].kind is LinkKind.WIRED
    assert [found.arrives_us for found in wire.broadcast(ports[0], 100)[1]] == [world.now + 1_000]
    assert wire.way(*ports) is not None and wire.way(*reversed(ports)) is None
    other.crash()
    assert list(wire.broadcast(ports[0], 100)[1]) == [] and list(wire.ways()) == []
    assert wire.unicast(*ports, 100) == (0, None)
    wire.silence(one, other)
    assert wire.edges == {}


def test_frame_heard_at_the_same_time_reaches_all_who_are_on():
    world = World(1)
    one, *others = [world.add_host() for _ in range(4)]
    for other in others:
        world.link(one, other, Edge(spread_us=0))
    before = world.processed
    world.run(10 * SECOND)
    assert world.connected()
    assert world.processed - before > 100
    others[0].crash()
    world.run(60 * SECOND)
    assert world.connected([one, *others[1:]])
