"""Routes across WiFi and LoRa, between real nodes in virtual time."""

from itertools import pairwise

import pytest
from radios.camp import Camp
from radios.mesh import SF7

from meshd.config.regions import law_of
from meshd.core.ids import address_text, host_prefix
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, RadioSetting
from meshd.simulation.world import SECOND, World


def islands(*, seed=1):
    """Three nodes and a gateway in a line of WiFi; one or two nodes further by LoRa."""
    world = World(seed)
    hosts = [world.add_host() for _ in range(4)]
    for one, other in pairwise(hosts):
        world.link(one, other)
    far = world.add_host(media=())
    air = LoraAir(world, lambda sender, hearer: 120.0)
    for host in (hosts[-1], far):
        setting = RadioSetting(SF7, 869_525_000, 14.0)
        host.lora = LoraPort(host, air, setting, law=law_of("EU868"))
        host.lora.power_on()
    return world, hosts, far


def test_a_node_behind_a_lora_hop_has_a_route_three_hops_away():
    world, hosts, far = islands()
    wifi, gateway = hosts[0], hosts[-1]
    address = far.node.address
    took = world.run_until(
        lambda: address in wifi.routes and wifi.node.address in far.routes, 120 * SECOND
    )
    assert took and world.now < 60 * SECOND
    assert gateway.routes[address] == ("lora0", address)
    assert far.routes[wifi.node.address] == ("lora0", gateway.node.address)
    assert wifi.routes[address].link == "w0"
    rows = gateway.node.snapshot(world.now).routes
    (row,) = [row for row in rows if row.link == "lora0" and row.selected]
    assert (row.link, row.metric) == ("lora0", 3_072)
    assert wifi.node.routing.route_to(address)[2] >= 3_072 + 3 * 256
    assert thin(wifi, address) == thin(gateway, address) == (1, 12)
    assert thin(wifi, gateway.node.address) == (0, 0)
    assert thin(far, wifi.node.address) == (1, 12)
    assert gateway.node.radios.beside("lora0") == (), "no other gateway would be heard"


def test_no_stream_is_opened_to_who_is_behind_a_lora_hop():
    world, hosts, far = islands()
    wifi, node = hosts[0], far.node.id
    assert world.run_until(lambda: far.node.address in wifi.routes, 120 * SECOND)
    (row,) = [row for row in wifi.node.snapshot(world.now).routes if row.thin and row.selected]
    assert row.link == "w0" and row.prefix == f"{address_text(far.node.address)}/128"
    assert wifi.node.messages.carriage.medium(node) == "ip and lora"
    opened = []
    wifi._connect = opened.append
    wifi.input(wifi.node.sessions.want, node)
    world.run(60 * SECOND)
    assert not opened and wifi.node.sessions.targets.get(("route", node)).failures == 0


def test_when_the_radio_is_gone_the_route_is_retracted():
    world, hosts, far = islands()
    address = far.node.address
    assert world.run_until(lambda: address in hosts[0].routes, 120 * SECOND)
    hosts[-1].input(hosts[-1].node.radio_down, "lora0")
    assert world.run_until(lambda: address not in hosts[0].routes, 10 * SECOND)
    shown = hosts[-1].node.snapshot(hosts[-1].now).neighbours
    assert not [row for row in shown if row.link == "lora0"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_leave_wifi_behind_have_ways_by_lora_within_two_minutes(seed):
    """What they told by WiFi lets no way by LoRa be feasible until a later seqno is asked for."""
    camp = Camp(3, line=True, seed=seed)  # a minute after WiFi went
    one, middle, two = (host.node.address for host in camp.hosts)
    ways = {(0, middle): middle, (0, two): middle, (2, middle): middle, (2, one): middle}
    ways |= {(1, one): one, (1, two): two}

    def known():
        routes = [camp.hosts[number].routes for number in range(3)]
        return all(routes[at].get(to) == ("lora0", via) for (at, to), via in ways.items())

    assert camp.world.run_until(known, 60 * SECOND)
    camp.run(600)
    assert known()


@pytest.mark.parametrize("disk", ["kept", "rolled-back", "empty"])
def test_who_was_restarted_is_told_the_routes_again(disk):
    camp = Camp(2)
    one, two = camp.hosts
    camp.run(600)
    one.crash()
    camp.run(1)
    one.start(disk=disk)
    assert camp.world.run_until(lambda: two.node.address in one.routes, 60 * SECOND)
    assert camp.world.run_until(lambda: one.node.address in two.routes, 60 * SECOND)


def thin(host, address):
    """Return LoRa hops and rate class (2 to the 12th bit/s) of the route in use."""
    route = host.node.routing._table.entries[host_prefix(address)].selected
    return divmod(route.thin, 256)
