"""Routed sessions: only for spaces that nobody near carries, a few, and not for longer."""

import pytest
from devices.sync_net import SECOND, SyncNet

from meshd.store.memory import MemoryStore
from meshd.sync.routed import LIKELY_MAX, LONELY_US, ROUTED_MAX, SEEK_US, SEEN_MAX, TURN_US


def test_lonely_space_is_synced_over_a_route():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    net.cut(anna, bert)
    net.routed = True
    bert.post("from far")
    net.run(LONELY_US + 2 * SECOND)
    assert anna.heads() == bert.heads()
    assert anna.node in bert.sessions.wanted


def test_routed_session_is_given_back_when_a_neighbour_carries_the_space():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    carl = net.joined("carl", anna)
    net.cut(anna, carl)
    net.run(LONELY_US + SECOND)
    assert len(carl.sessions.wanted) == len(carl.sessions.unwanted) + 1
    net.connect(carl, bert)
    net.run(SECOND)
    net.run(SECOND)
    assert sorted(carl.sessions.wanted) == sorted(carl.sessions.unwanted)
    assert len(carl.sync._routed) == 0


def test_members_are_tried_in_turn_with_growing_pauses():
    net = SyncNet()
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl")]
    for house in houses:
        net.cut(anna, house)
    net.run(60 * SECOND)
    assert set(anna.sessions.wanted) == {house.node for house in houses}
    net.run(3600 * SECOND)
    assert len(anna.sessions.wanted) < 40
    assert len(anna.sessions.wanted) - len(anna.sessions.unwanted) == 1


def test_routed_sessions_are_bounded():
    net = SyncNet()
    anna, bert = net.house("anna"), net.house("bert")
    net.connect(anna, bert)
    for number in range(ROUTED_MAX + 4):
        assert anna.tell("space.create", name=f"space {number}").value
        url = anna.tell("invite", space=f"space {number}", role="writer").value["url"]
        assert bert.tell("join", url=url, within=9 * SECOND).value
    net.run(2 * SECOND)
    net.cut(anna, bert)
    net.run(30 * SECOND)
    assert len(bert.sync._routed) == ROUTED_MAX


def test_somebody_who_waits_for_more_gets_a_routed_session_at_once():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    net.joined("relay", anna, role="relay")
    net.cut(anna, bert)
    anna.sync._routed.seek(anna.home.id, (), net.now)
    assert anna.sessions.wanted
    anna.sync._routed.seek(anna.home.id, (), net.now)
    net.run(SECOND)
    assert len(anna.sessions.wanted) == 1
    net.run(90 * SECOND)
    assert len(anna.sessions.wanted) == len(anna.sessions.unwanted)
    assert bert.heads() == anna.heads()


@pytest.mark.parametrize("seed", range(4))
def test_everybody_is_tried_although_the_connected_change_all_the_time(seed):
    """Each one tried connects, has not what is sought, and is given back for the next."""
    net = SyncNet(seed)
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl", "dora", "emil")]
    for house in houses[1:]:
        net.cut(anna, house)
    net.routed = True
    for _ in range(90):
        anna.sync._routed.seek(anna.home.id, (), net.now)
        for house in houses[1:]:
            if house.node != anna.sessions.wanted[-1]:
                net.cut(anna, house)
        net.run(SECOND)
    everybody = {house.node for house in houses[1:]}
    assert set(anna.sessions.wanted[-3:]) == set(anna.sessions.wanted[3:6]) == everybody


def test_member_whose_card_is_gone_keeps_nobody_from_the_next():
    net = SyncNet()
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl", "dora")]
    for house in houses:
        net.cut(anna, house)
    for house in houses[:2]:
        house.store = MemoryStore()
        house.boot()
    net.routed = True
    anna.post("who still has it?")
    net.run(120 * SECOND)
    assert "who still has it?" in houses[2].texts()


def test_who_is_likely_to_have_it_is_wanted_at_once_and_all_the_while():
    net = SyncNet()
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl", "dora", "emil")]
    for house in houses[1:]:
        net.cut(anna, house)
    emil = max(house.node for house in houses[1:])
    anna.sync._routed.seek(anna.home.id, (emil, houses[0].node, anna.node, b""), net.now)
    assert anna.sessions.wanted == [emil]
    net.run(20 * SECOND)
    others = {house.node for house in houses[1:]} - {emil}
    assert set(anna.sessions.wanted[1:]) == others
    assert emil not in anna.sessions.unwanted
    net.run(2 * SEEK_US)
    assert sorted(anna.sessions.wanted) == sorted(anna.sessions.unwanted)


def test_others_are_left_alone_while_who_is_likely_to_have_it_is_connected():
    net = SyncNet()
    anna = net.founder()
    bert, carl, dora = [net.joined(name, anna) for name in ("bert", "carl", "dora")]
    net.cut(anna, carl)
    net.cut(anna, dora)
    net.routed = True
    anna.sync._routed.seek(anna.home.id, (dora.node,), net.now)
    net.run(30 * SECOND)
    assert anna.sessions.wanted == [dora.node]
    anna.sync._routed.seek(anna.home.id, (dora.node, bert.node), net.now)
    assert anna.sessions.wanted == [dora.node, carl.node]


def test_who_gives_what_is_sought_is_kept_until_it_gives_no_more():
    """A file of 10 MB over a slow way takes longer than somebody is sought."""
    net = SyncNet()
    anna = net.founder()
    _, carl, dora = [net.joined(name, anna) for name in ("bert", "carl", "dora")]
    net.cut(anna, carl)
    net.cut(anna, dora)
    net.routed = True
    anna.sync._routed.seek(anna.home.id, (dora.node,), net.now)
    for number in range(20):
        net.run(SEEK_US // 4)
        anna.files.gave(anna.home.id, dora.node, net.now)
        anna.post(f"note {number}")
        assert dora.node not in anna.sessions.unwanted
    net.run(SEEK_US // 2)
    anna.files.gave(anna.home.id, carl.node, net.now)  # by whatever way: nobody was sent for it
    net.run(SEEK_US)
    anna.post("the end")
    net.run(SECOND)
    assert sorted(anna.sessions.wanted) == sorted(anna.sessions.unwanted)


@pytest.mark.parametrize("likely", [False, True])
def test_what_nobody_has_opens_ever_fewer_sessions(likely):
    """Files that went with a card are asked for again and again, by several gets at a time."""
    net = SyncNet()
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl", "dora", "emil", "fred", "gina")]
    for house in houses[1:]:
        net.cut(anna, house)
    net.routed = True
    for number in range(200):
        place = number % len(houses)
        nodes = [house.node for house in houses[place:]] if likely else []
        anna.sync._routed.seek(anna.home.id, nodes, net.now)
        for house in houses[1:]:
            if house.node in anna.sessions.unwanted:
                net.cut(anna, house)
        net.run(3 * SECOND)
    assert {house.node for house in houses[1:]} <= set(anna.sessions.wanted)
    assert len(anna.sessions.wanted) < 55


def test_those_wanted_because_they_are_likely_are_bounded():
    net = SyncNet()
    anna = net.founder()
    net.joined("bert", anna)
    for number in range(3):
        nodes = [bytes([number, place] * 5) for place in range(LIKELY_MAX)]
        anna.sync._routed.seek(anna.home.id, nodes, net.now)
        assert len(anna.sessions.wanted) - len(anna.sessions.unwanted) == LIKELY_MAX


def test_who_was_found_is_left_for_the_next_after_a_while():
    net = SyncNet()
    anna = net.founder()
    bert, carl = net.joined("bert", anna), net.joined("carl", anna)
    for one, other in ((anna, bert), (anna, carl), (bert, carl)):
        net.cut(one, other)
    net.routed = True
    net.run(LONELY_US + SECOND)
    tried = [len(set(house.sessions.wanted)) for house in (anna, bert, carl)]
    for _ in range(TURN_US // SECOND + 30):
        net.run(SECOND)
    assert [len(set(house.sessions.wanted)) for house in (anna, bert, carl)] != tried


def test_nodes_remembered_because_they_shared_a_space_are_bounded():
    net = SyncNet()
    anna = net.founder()
    routed = anna.sync._routed
    for number in range(3 * SEEN_MAX):
        routed.shared(bytes(32), bytes([number]))
    assert list(routed._seen[bytes(32)]) == [
        bytes([number]) for number in range(2 * SEEN_MAX, 3 * SEEN_MAX)
    ]


def test_who_is_behind_lora_is_tried_only_when_nobody_else_is_left():
    net = SyncNet()
    anna = net.founder()
    houses = [net.joined(name, anna) for name in ("bert", "carl", "dora")]
    for house in houses:
        net.cut(anna, house)
    bert, *others = (house.node for house in houses)
    anna.sessions.thin = {bert}
    net.run(120 * SECOND)
    assert set(anna.sessions.wanted) == set(others)
    anna.sessions.thin = {bert, *others}
    net.run(3600 * SECOND)
    assert bert in anna.sessions.wanted
    anna.sync._routed.seek(anna.home.id, (bert,), net.now)
    assert not any(errand.likely for errand in anna.sync._routed._errands.values())
