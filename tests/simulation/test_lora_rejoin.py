"""Nodes that restart beside one that runs on: all know each other again within half a minute."""

import pytest
from devices.letter_net import told_texts
from devices.seeded_bytes import bytes_of
from radios.camp import Camp

from meshd.core.airtime import Modulation
from meshd.core.ids import node_text
from meshd.simulation.world import SECOND

SF9 = Modulation(9, 125_000)


def restarted(seed, *, lost=0.03, file_bytes=0):
    """Return a camp of three, two of which have just begun anew."""
    camp = Camp(3, modulation=SF9, seed=seed)
    chance = camp.world.random("frames lost in a test")
    for host in camp.hosts:
        heard = host.lora.radio.received
        host.lora.radio.received = lambda *frame, heard=heard: (
            heard(*frame) if chance.random() >= lost else None
        )
    camp.run(900)
    first, *others = camp.hosts
    for one, other in ((first, others[0]), (others[0], first)):
        one.ask("message", node=node_text(other.node.id), text="early")
    camp.run(40)
    if file_bytes:
        camp.put(0, bytes_of(file_bytes))
        camp.run(40)
    for host in others:
        host.crash()
    camp.run(1)
    for host in others:
        host.start()
        camp.run(0.5)
    return camp


def believes(host, other):
    """Tell whether a host takes another's present start for being there now."""
    source = other.node.radios.links["lora0"].sender
    devices = host.node.radios.links["lora0"].sources._devices
    device = devices.get(source.public)
    known = () if device is None else device.sources
    return any(one.salt == source.salt and (one.proven or one.fresh) for one in known)


def until(camp, condition):
    """Return after how many seconds it holds."""
    begin = camp.world.now
    assert camp.world.run_until(condition, 120 * SECOND)
    return (camp.world.now - begin) / SECOND


def shown(host):
    return told_texts(host.notices, host.node.messages)


@pytest.mark.parametrize(("seed", "lost"), [(1, 0.03), (2, 0.03), (129, 0.03), (20, 0.2)])
def test_two_restarted_beside_one_that_runs_on_know_it_again_within_half_a_minute(seed, lost):
    camp = restarted(seed, lost=lost)
    first, second, _ = camp.hosts
    assert until(camp, lambda: believes(first, second) and believes(second, first)) <= 30


@pytest.mark.parametrize("seed", [1, 3])
def test_texts_written_before_they_met_again_come_by_the_way_once_there_is_one(seed):
    camp = restarted(seed)
    first, second, _ = camp.hosts
    camp.run(3)
    for one, other in ((first, second), (second, first)):
        one.request("message", node=node_text(other.node.id), text="back again")
    both = [first, second]
    assert until(camp, lambda: all("back again" in shown(host) for host in both)) <= 40
    camp.run(300)
    assert all(shown(host).count("back again") == 1 for host in both)


@pytest.mark.parametrize("seed", [15, 38])
def test_a_file_under_way_leaves_room_for_who_restarts(seed):
    camp = restarted(seed, file_bytes=20_000)
    first, second, _ = camp.hosts
    assert until(camp, lambda: believes(first, second) and believes(second, first)) <= 40


@pytest.mark.parametrize(("seed", "after_s"), [(3, 0), (4, 0), (5, 1), (6, 1)])
def test_what_is_posted_in_the_first_seconds_after_a_start_goes_at_once(seed, after_s):
    camp = Camp(2, seed=seed)
    camp.run(1200)
    camp.hosts[1].crash()
    camp.run(60)
    camp.hosts[1].start()
    camp.run(after_s)
    camp.post(1, "again")
    assert until(camp, lambda: "again" in camp.texts(0)) <= 60
