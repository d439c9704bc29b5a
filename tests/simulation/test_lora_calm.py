"""Many nodes that hear each other by LoRa come to rest, and what they tell still arrives."""

from itertools import combinations

from radios.mesh import Mesh

KIND = 250
HOSTS = 10
BEGIN_S, REST_S = 900, 900
REST_MAX = 0.01
"""Of the channel, for all that nobody asked for."""


def listeners(host):
    return len(host.node.radios.meshes["lora0"].neighbours.listeners)


def test_a_clique_comes_to_rest():
    mesh = Mesh(HOSTS, seed=3)
    air_us = []
    mesh.air.told = lambda _radio, _purpose, _size, airtime_us: air_us.append(airtime_us)
    mesh.run(BEGIN_S)
    assert all(listeners(host) == HOSTS - 1 for host in mesh.hosts)
    air_us.clear()
    mesh.run(REST_S)
    assert sum(air_us) / 1e6 / REST_S <= REST_MAX


def test_all_of_a_small_field_hear_what_each_tells():
    """Nine in a square hear the next ones in their row and column."""
    mesh = Mesh(9, seed=1)
    at = {host: divmod(number, 3) for number, host in enumerate(mesh.hosts)}
    for one, two in combinations(mesh.hosts, 2):
        if abs(at[one][0] - at[two][0]) + abs(at[one][1] - at[two][1]) > 1:
            mesh.cut.add(frozenset((one.name, two.name)))
    got = {host: set() for host in mesh.hosts}
    for host, heard in got.items():
        host.node.radios.on_object[KIND] = lambda event, _now, heard=heard: heard.add(event.body)
    mesh.run(300)
    for number, host in enumerate(mesh.hosts):
        body = bytes((KIND, number))
        host.input(lambda now, host=host, body=body: host.node.radios.publish(body, 1, now))
        mesh.run(10)
    mesh.run(600)
    said = {bytes((KIND, number)) for number in range(9)}
    assert all(heard | {bytes((KIND, number))} == said for number, heard in enumerate(got.values()))
