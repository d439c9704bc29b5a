"""Babel speakers on one medium under virtual time: they meet, converge, lose links and heal."""

import pytest
from speakers.air import Air, Station, grid, node_address

from meshd.core.events import LinkKind
from meshd.core.ids import host_prefix


def pair(**options) -> Air:
    air = Air(**options)
    for number in (0, 1):
        air.add(Station(number))
    air.join(0, 1)
    for station in air.stations:
        air.up(station)
    return air


def line(count: int, **options) -> Air:
    air = Air(**options)
    for number in range(count):
        air.add(Station(number))
    for number in range(count - 1):
        air.join(number, number + 1)
    for station in air.stations:
        air.up(station)
    return air


def test_two_speakers_have_routes_within_one_exchange():
    air = pair()
    assert air.run(1, air.complete) <= 0.002


def test_wired_link_costs_96_and_wireless_256():
    for kind, cost in ((LinkKind.WIRED, 96), (LinkKind.MESH, 256), (LinkKind.SHARED, 256)):
        air = pair(kind=kind)
        air.run(1)
        assert air.stations[0].babel.route_to(node_address(1))[2] == cost


def test_grid_of_25_converges_within_a_tenth_of_a_second():
    air = grid(5)
    for station in air.stations:
        air.up(station)
    assert air.run(5, air.complete) < 0.1
    air.run(2)
    assert all(len(air.path(0, target)) == 1 + target % 5 + target // 5 for target in range(25))


def test_steady_mesh_of_25_stays_under_50_bytes_a_second():
    air = grid(5)
    for station in air.stations:
        air.up(station)
    air.run(60)
    for station in air.stations:
        station.sent_bytes = 0
    air.run(240)
    assert sum(station.sent_bytes for station in air.stations) / 25 / 240 <= 50


def test_link_down_is_told_at_once():
    air = line(3)
    air.run(2)
    assert len(air.stations[1].routes) == 2
    air.stations[1].babel.link_down("w0", air.now)
    air.drain(air.stations[1])
    assert air.stations[1].routes == {}
    assert len(air.stations[1].said("neighbour-down")) == 2


def test_stop_retracts_everything_on_all_links():
    air = line(3)
    air.run(2)
    air.stations[1].babel.stop(air.now)
    air.drain(air.stations[1])
    air.run(0.1)
    assert air.stations[0].routes == {} and air.stations[2].routes == {}


def test_silent_cut_is_left_for_the_detour_after_two_hellos():
    air = Air()
    for number in range(4):
        air.add(Station(number))
    for one, other in ((0, 1), (1, 3), (0, 2), (2, 3)):
        air.join(one, other)
    for station in air.stations:
        air.up(station)
    air.run(100)
    middle = air.path(0, 3)[1]
    air.cut(0, middle)
    assert air.run(60, air.complete) <= 15


def test_lossy_multicast_converges_through_unicast_and_repeats():
    air = grid(4, seed=7)
    air.loss_multicast = 0.4
    for station in air.stations:
        air.up(station)
    assert air.run(60, air.complete) < 10


def test_neighbours_are_announced_once_up_and_named():
    air = pair()
    air.run(1)
    (notice,) = air.stations[0].said("neighbour-up")
    assert notice.fields["node"] == air.stations[0].babel.neighbours(air.now)[0].node is not None
    assert (
        air.stations[0].babel.poll_neighbour()[1]
        == air.stations[0].babel.neighbour_addresses("w0")[0]
    )
    assert air.stations[0].babel.poll_neighbour() is None


@pytest.mark.parametrize("state", [1, 30_000, 60_000])
def test_restarted_node_is_reachable_at_once(state):
    air = line(4)
    air.run(30)
    old = air.stations[0]
    for key in list(old.ctx.timers.expired(1 << 60)):
        del key
    fresh = Station(0, seqno=(old.babel.seqno + 1000) & 0xFFFF)
    air.stations[0] = fresh
    air.up(fresh)
    air.run(0.2)
    assert air.complete()


@pytest.mark.parametrize("count", [2, 5])
def test_node_with_a_seqno_of_the_past_adopts_what_others_remember(count):
    air = line(count)
    air.stations[0].babel._own.seqno = 5000
    air.run(30)
    air.stations[0] = Station(0, seqno=3)
    air.up(air.stations[0])
    air.run(1)
    assert air.complete()
    assert air.stations[0].babel.seqno in (5001, 5002)
    assert len(air.stations[0].said("seqno-adopted")) == 1
    assert air.path(count - 1, 0) is not None
    prefix = host_prefix(node_address(0))
    statuses = air.stations[1].babel.routes(air.now)
    assert any(status.prefix == str(prefix) and status.feasible for status in statuses)


def test_dead_node_is_not_counted_to_infinity():
    """A ring hears that its one exit is gone: metrics never climb, routes are just retracted."""
    air = Air()
    for number in range(6):
        air.add(Station(number))
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (4, 5), (5, 2)):
        air.join(one, other)
    for station in air.stations:
        air.up(station)
    air.run(60)
    prefix = str(host_prefix(node_address(0)))
    most = max(status.metric for status in air.stations[3].babel.routes(air.now))
    air.stations[0].babel.stop(air.now)
    air.drain(air.stations[0])
    air.edges = {edge for edge in air.edges if 0 not in edge}
    for _ in range(40):
        air.run(0.05)
        for station in air.stations[1:]:
            for status in station.babel.routes(air.now):
                selected = status.prefix == prefix and status.selected
                assert not selected or status.metric <= most
    assert all(host_prefix(node_address(0)) not in station.routes for station in air.stations[1:])
    air.log.clear()
    air.run(60)
    assert sum(len(data) for _, _, _, data in air.log) / 5 / 60 < 60, "and nobody goes on about it"
