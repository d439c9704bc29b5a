"""Lookout: neighbours that carry a space may be an island; far members are looked at, rarely."""

import pytest
from devices.sync_net import SECOND, SyncNet

from meshd.store.memory import MemoryStore
from meshd.sync.lookout import (
    EXTENSIONS_MAX,
    FIRST_US,
    HEARD_US,
    LOOK_US,
    LOOKS_MAX,
    NODES_MAX,
    PAUSE_MAX_US,
    VAIN_MAX,
)
from meshd.sync.recent import Recent


def islands(seed=0, **options):
    """Two pairs of neighbours, each pair far from the other."""
    net = SyncNet(seed)
    anna = net.founder()
    bert, carl = net.joined("bert", anna), net.joined("carl", anna)
    dora = net.joined("dora", anna, **options)
    for house in (carl, dora):
        net.cut(anna, house)
    net.connect(carl, dora)
    settle(net)
    return net, anna, bert, carl, dora


def settle(net):
    """Forget whom houses wanted while they joined, and open routed sessions from now on."""
    net.run(SECOND)
    for house in net.houses.values():
        house.sessions.wanted.clear()
        house.sessions.unwanted.clear()
        house.ended = []
    net.routed = True


def run(net, duration_us):
    """Let time pass; a routed session that nobody wants any more is closed, as it really is."""
    end = net.now + duration_us
    while net.now < end:
        net.run(SECOND)
        for house in net.houses.values():
            done = [node for node in house.sessions.unwanted if node in house.sessions.wanted]
            for node in done:
                house.sessions.unwanted.remove(node)
                house.sessions.wanted.remove(node)
                house.ended.append(node)
                for other in net.houses.values():
                    if other.node == node:
                        net.cut(house, other)


def looks(house):
    return [*house.ended, *house.sessions.wanted]


@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_neighbours_hear_of_each_other(seed):
    net, *houses = islands(seed)
    for house in houses:
        house.post(f"{house.name} is here")
    run(net, FIRST_US + LOOK_US)
    assert {len(house.texts()) for house in houses} == {4}


def test_relay_that_forgot_with_whom_it_shared_is_found():
    net = SyncNet()
    anna = net.founder()
    net.joined("bert", anna)
    relay = net.joined("relay", anna, role="relay")
    net.cut(anna, relay)
    net.crash(relay)
    settle(net)
    anna.post("news")
    run(net, FIRST_US + PAUSE_MAX_US)
    assert relay.heads() == anna.heads()


def test_look_ends_soon():
    net, anna, bert, carl, dora = islands()
    run(net, FIRST_US + 2 * LOOK_US)
    assert any(looks(house) for house in (anna, bert, carl, dora))
    assert not any(house.sessions.wanted for house in (anna, bert, carl, dora))


def test_look_lasts_while_something_is_missing_but_not_for_ever():
    net, anna, bert, carl, dora = islands()
    carl.post("not to be had")
    net.run(SECOND)
    for house in (carl, dora):
        house.read_us = 3600 * SECOND
        house.sync._serving.recent = Recent()
    run(net, FIRST_US + 2 * LOOK_US)
    wanting = [house for house in (anna, bert) if house.sessions.wanted]
    assert wanting
    run(net, (EXTENSIONS_MAX + 2) * LOOK_US)
    assert all(house.ended for house in wanting)


def test_nobody_looks_where_all_are_neighbours():
    net = SyncNet()
    anna = net.founder()
    bert, carl = net.joined("bert", anna), net.joined("carl", anna)
    net.connect(bert, carl)
    settle(net)
    run(net, 3600 * SECOND)
    assert not any(looks(house) for house in (anna, bert, carl))


def test_nobody_looks_at_who_is_heard_of_by_neighbours():
    net = SyncNet()
    houses = net.chain("writer", "writer")
    settle(net)
    for number in range(20):
        for house in (houses[0], houses[-1]):
            house.post(f"note {number}")
        run(net, HEARD_US // 6)
    assert not any(looks(house) for house in houses)


def test_quiet_members_look_ever_more_rarely():
    net = SyncNet()
    houses = net.chain(*["writer"] * 5)
    settle(net)
    run(net, PAUSE_MAX_US)
    assert 0 < sum(len(looks(house)) for house in houses) <= 2 * len(houses)
    before = sum(len(looks(house)) for house in houses)
    run(net, VAIN_MAX * PAUSE_MAX_US)
    before = sum(len(looks(house)) for house in houses)
    run(net, 3600 * SECOND)
    assert sum(len(looks(house)) for house in houses) == before
    houses[0].post("news")
    run(net, 2 * PAUSE_MAX_US)
    assert sum(len(looks(house)) for house in houses) > before


def test_look_that_brought_something_is_soon_followed_by_another():
    net, *houses = islands()
    run(net, 3600 * SECOND)
    for _ in range(3):
        for house in houses:
            house.post("news")
        run(net, FIRST_US)
    run(net, PAUSE_MAX_US)
    assert {len(house.texts()) for house in houses} == {12}


def test_member_whose_card_is_gone_keeps_nobody_from_the_next():
    net, anna, bert, carl, dora = islands()
    net.cut(carl, dora)
    dora.store = MemoryStore()
    dora.boot()
    carl.post("carl is here")
    run(net, 2 * PAUSE_MAX_US)
    assert "carl is here" in anna.texts()
    assert "carl is here" in bert.texts()


def test_looks_are_bounded():
    net = SyncNet()
    anna, bert, carl = net.house("anna"), net.house("bert"), net.house("carl")
    for house in (bert, carl):
        net.connect(anna, house)
    for number in range(LOOKS_MAX + 3):
        assert anna.tell("space.create", name=f"space {number}").value
        for house in (bert, carl):
            url = anna.tell("invite", space=f"space {number}", role="writer").value["url"]
            assert house.tell("join", url=url, within=9 * SECOND).value
    net.run(2 * SECOND)
    net.cut(anna, carl)
    net.run(FIRST_US + SECOND)
    assert len(anna.sync._lookout) <= LOOKS_MAX


def test_nodes_remembered_are_bounded():
    net, anna, bert, *_ = islands()
    watch = anna.sync._lookout._watches[anna.home.id]
    (share,) = anna.sync._hub.shares(anna.home.id)
    share.peer.via = "route"
    for number in range(2 * NODES_MAX):
        share.peer.node = number.to_bytes(8, "big")
        anna.sync._lookout.shared(share, net.now)
    assert len(watch.met) == NODES_MAX
    assert bert.node not in watch.met
