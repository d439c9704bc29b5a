"""Spaces over LoRa, in virtual time: what goes on air, what arrives, what is repaired."""

from copy import deepcopy

import pytest
from devices.air_net import MINUTE, AirNet
from devices.sync_net import SECOND

from meshd.core.drops import DropReason
from meshd.core.ids import node_text
from meshd.wire.lora_payload import ObjectKind, Sub


def test_post_arrives_over_two_hops_and_is_stored():
    net = AirNet()
    anna, _, cleo = houses = net.home(3)
    net.apart(anna, cleo)
    net.run(5 * MINUTE)
    anna.post("hello over the air")
    net.run(MINUTE)
    assert net.same(houses)
    assert cleo.texts() == ["hello over the air"]
    (own, relayed) = net.named("ENTRY")
    assert (own.by, relayed.by) == ("h0", "h1")


def test_who_was_off_for_an_hour_catches_up_without_a_question():
    net = AirNet()
    anna, ben = houses = net.home(2)
    net.run(5 * MINUTE)
    ben.radios.up = False
    for number in range(5):
        anna.post(f"text {number}")
        net.run(12 * MINUTE)
    ben.radios.up = True
    begin = net.now
    net.run(20 * MINUTE, until=lambda: net.same(houses))
    assert net.same(houses)
    assert not net.named("HEADS", "NEEDS", since=begin)
    assert len(net.named("ENTRY", since=begin)) == 5


def test_who_restarts_is_repaired_by_heads_when_nobody_knows_its_state():
    net = AirNet()
    houses = net.home(2)
    net.forgets(*houses)
    assert net.same(houses)


def test_members_cut_off_and_joined_again_have_everything():
    net = AirNet()
    anna, ben, cleo, dora = houses = net.home(4)
    net.run(5 * MINUTE)
    for one in (anna, ben):
        for other in (cleo, dora):
            net.apart(one, other)
    for number in range(4):
        for house in houses:
            house.post(f"{house.name} says {number}")
        net.run(5 * MINUTE)
    net.together(ben, cleo)
    net.run(60 * MINUTE, until=lambda: net.same(houses))
    assert net.same(houses)


def test_one_of_many_holders_answers():
    net = AirNet()
    houses = net.home(6)
    last = houses[-1]
    net.run(5 * MINUTE)
    last.radios.up = False
    for number in range(4):
        houses[0].post(f"text {number}")
        net.run(2 * MINUTE)
    net.run(10 * MINUTE)
    last.radios.up = True
    begin = net.now
    net.run(30 * MINUTE)
    assert net.same(houses)
    assert len(net.named("ENTRY", since=begin)) <= 5  # two may begin in one moment


def test_quiet_neighbours_say_little():
    net = AirNet()
    net.home(8)
    net.run(20 * MINUTE)
    begin = net.now
    net.run(120 * MINUTE)
    assert {frame.name for frame in net.frames if frame.at >= begin} == {"DIGESTS"}
    assert len(net.named("DIGESTS", since=begin)) < 40


def test_post_goes_from_air_to_sessions_and_back():
    net = AirNet()
    gate, anna = net.home(2)
    far = net.joined("far", gate, radio=False)
    farther = net.joined("farther", gate, radio=False)
    net.cut(farther, gate)
    net.connect(farther, far)
    net.run(5 * MINUTE)
    anna.post("from the hut")
    net.run(MINUTE)
    assert farther.texts() == ["from the hut"]
    farther.post("from the town")
    net.run(MINUTE)
    assert anna.texts() == ["from the hut", "from the town"]


def test_what_came_by_a_radio_is_not_sent_on_it_again():
    net = AirNet()
    anna, one, other = net.home(3)
    net.apart(one, other)
    net.connect(one, other)
    net.run(5 * MINUTE)
    anna.post("once")
    net.run(5 * MINUTE)
    assert [frame.by for frame in net.named("ENTRY")] == ["h0"]


def test_two_gateways_of_an_island_send_one_copy():
    net = AirNet()
    one, other, anna = net.home(3)
    net.connect(one, other)
    inner = net.joined("inner", one, radio=False)
    net.connect(inner, other)
    net.run(5 * MINUTE)
    inner.post("from inside")
    net.run(5 * MINUTE)
    assert anna.texts() == ["from inside"]
    assert len([frame for frame in net.named("ENTRY") if not frame.relayed]) == 1


def test_backlog_of_a_session_stays_off_the_air_until_it_is_missed():
    net = AirNet()
    gate, anna = net.home(2)
    far = net.joined("far", gate, radio=False)
    net.run(10 * MINUTE)
    net.cut(far, gate)
    for number in range(100):
        far.post(f"line {number}")
        net.run(SECOND)
    begin = net.now
    net.connect(far, gate)
    net.run(MINUTE)
    assert len(gate.texts()) == 100
    assert not net.named("ENTRY", since=begin)
    net.run(90 * MINUTE, until=lambda: net.same([gate, anna]))
    assert net.same([gate, anna])
    assert len(net.named("ENTRY", since=begin)) == 100


def test_member_admitted_far_away_and_its_post_come_by_air():
    net = AirNet()
    anna, ben = houses = net.home(2)
    net.run(5 * MINUTE)
    dora = net.joined("dora", anna, radio=False)
    dora.post("I am new")
    net.run(5 * MINUTE)
    assert ben.texts() == ["I am new"]
    assert net.same([*houses, dora])


def test_entry_of_an_author_not_known_yet_waits_for_its_admission():
    net = AirNet()
    anna, ben = net.home(2)
    net.run(5 * MINUTE)
    net.loss = 1.0
    dora = net.joined("dora", anna, radio=False)
    net.run(MINUTE)
    net.loss = 0.0
    dora.post("I am new")
    net.run(30 * MINUTE)
    assert ben.texts() == ["I am new"]


def test_entry_before_its_time_waits_and_the_gap_is_asked_for():
    net = AirNet()
    anna, ben = net.home(2)
    net.run(5 * MINUTE)
    net.loss = 1.0
    anna.post("first")
    net.run(SECOND)
    net.loss = 0.0
    begin = net.now
    anna.post("second")
    net.run(SECOND)
    assert ben.texts() == []
    net.run(2 * MINUTE)
    assert ben.texts() == ["first", "second"]
    assert len(net.named("NEEDS", since=begin)) == 1
    assert len(net.named("ENTRY", since=begin)) == 2


def test_long_text_goes_in_parts_and_a_file_of_text_waits_to_be_asked():
    net = AirNet()
    anna, ben = net.home(2)
    net.run(5 * MINUTE)
    anna.post("x" * 400)
    net.run(MINUTE)
    assert ben.texts() == ["x" * 400]
    anna.post("y" * 900)
    net.run(MINUTE)
    assert len(ben.texts()) == 1
    net.run(40 * MINUTE)
    assert len(ben.texts()) == 2


def test_all_arrives_though_a_third_of_the_frames_is_lost():
    net = AirNet(seed=3)
    houses = net.home(4)
    net.run(5 * MINUTE)
    net.loss = 0.33
    for number in range(6):
        houses[number % 4].post(f"text {number}")
        net.run(3 * MINUTE)
    net.run(180 * MINUTE, until=lambda: net.same(houses))
    assert net.same(houses)


def test_relay_carries_what_it_cannot_read_and_serves_it():
    net = AirNet()
    anna = net.founder("anna")
    relay = net.joined("relay", anna, role="relay")
    ben = net.joined("ben", anna)
    for one, other in ((anna, relay), (anna, ben)):
        net.cut(one, other)
    net.apart(anna, ben)
    net.run(5 * MINUTE)
    ben.radios.up = False
    anna.post("over the relay")
    net.run(20 * MINUTE)
    ben.radios.up = True
    net.run(10 * MINUTE)
    assert ben.texts() == ["over the relay"]


def test_message_is_delivered_when_its_signed_receipt_came_back():
    net = AirNet()
    anna, _, cleo = net.home(3)
    net.apart(anna, cleo)
    net.run(5 * MINUTE)
    anna.tell("post", space="home", to=node_text(cleo.node), text="are you there?")
    net.run(MINUTE)
    assert any(notice.kind == "delivered" for notice in anna.notices)
    home = anna.home
    assert cleo.node not in home.acks.holders(home.author, home.feeds[home.author].seq)


def test_node_without_the_space_learns_nothing_and_asks_nothing():
    net = AirNet()
    anna, _ = net.home(2)
    stranger = net.founder("stranger")
    net.run(30 * MINUTE)
    anna.post("hello")
    net.run(30 * MINUTE)
    assert not net.named("HEADS", "NEEDS")
    assert len(stranger.spaces.all()) == 1


def test_fork_makes_no_endless_talk():
    net = AirNet()
    anna, ben, cleo = net.home(3)
    net.run(5 * MINUTE)
    net.apart(anna, ben)
    net.apart(ben, cleo)
    before = deepcopy(anna.store)
    anna.post("one")
    net.run(MINUTE)
    anna.store = before
    net.crash(anna)
    net.apart(anna, cleo)
    net.together(anna, ben)
    anna.post("other")
    net.run(MINUTE)
    anna.radios.up = False
    net.together(ben, cleo)
    net.run(30 * MINUTE)
    assert (ben.texts(), cleo.texts()) == (["other"], ["one"])
    begin = net.now
    net.run(180 * MINUTE)
    assert len(net.named("HEADS")) <= 8
    assert net.on_air(begin) < 60 * 28


def test_words_of_two_nodes_about_one_space_have_nothing_in_common():
    net = AirNet()
    anna, ben = net.home(2)
    net.run(5 * MINUTE)
    said = []
    for house in (anna, ben):
        names = house.air._names
        state = house.air._states[house.home.id].now
        said.append({names.salt, names.tag(house.home), names.state(house.home, state)})
    assert anna.air._states[anna.home.id].now == ben.air._states[ben.home.id].now
    assert not said[0] & said[1]


@pytest.mark.parametrize("longest", [70, 255])
def test_radio_of_short_frames_carries_all_in_parts(longest, monkeypatch):
    monkeypatch.setattr("devices.air_net.LONGEST", longest)
    net = AirNet()
    anna = net.founder("h0")
    houses = [anna, *(net.joined(f"h{place}", anna) for place in range(1, 12))]
    for house in houses:
        house.post(f"{house.name} is here")
    net.run(SECOND)
    for house in houses[1:]:
        net.cut(anna, house)
    net.run(30 * MINUTE)
    ben = houses[1]
    for house in houses[2:]:
        house.radios.up = False
    net.apart(anna, ben)
    anna.post("one")
    ben.post("two")
    net.run(10 * MINUTE)
    for house in (anna, ben):
        net.crash(house)
    net.together(anna, ben)
    net.run(60 * MINUTE, until=lambda: net.same([anna, ben]))
    assert net.same([anna, ben])
    assert net.named("HEADS")


def strangers_between(net):
    """Return two members who hear each other only through a node without their space."""
    anna, ben = net.home(2)
    middle = net.founder("middle")
    net.apart(anna, ben)
    net.run(60 * MINUTE)
    return anna, ben, middle


def test_who_was_off_catches_up_through_nodes_without_the_space():
    net = AirNet()
    anna, ben, _ = strangers_between(net)
    ben.radios.up = False
    for number in range(3):
        anna.post(f"text {number}")
        net.run(20 * MINUTE)
    ben.radios.up = True
    net.crash(ben)
    net.run(60 * MINUTE, until=lambda: net.same([anna, ben]))
    assert net.same([anna, ben])


def test_gap_is_asked_for_through_nodes_without_the_space():
    net = AirNet()
    anna, ben, _ = strangers_between(net)
    net.loss = 1.0
    anna.post("one")
    net.run(30 * MINUTE)
    net.loss = 0.0
    anna.post("two")
    net.run(20 * MINUTE, until=lambda: net.same([anna, ben]))
    assert net.same([anna, ben])


def test_words_through_the_mesh_are_seldom():
    net = AirNet()
    strangers_between(net)
    begin = net.now
    net.run(24 * 60 * MINUTE)
    assert len(net.named("WORD", since=begin)) <= 40


def test_word_that_is_cut_off_or_our_own_changes_nothing():
    net = AirNet()
    anna, _, _ = strangers_between(net)
    anna.hear_object(b"m" * 10, bytes([ObjectKind.WORD, Sub.DIGESTS]) + b"short")
    assert anna.drops(DropReason.AIR_MALFORMED) == 1
    anna.hear_object(b"m" * 10, bytes([ObjectKind.WORD, Sub.DIGESTS]) + anna.node + b"saltTAGGSTAT")
    anna.hear_object(b"m" * 10, bytes([ObjectKind.WORD, 30]) + b"m" * 10 + b"of a later version")
    assert anna.drops(DropReason.AIR_MALFORMED) == 1


def test_neighbours_who_have_it_by_wifi_are_not_told_by_radio():
    net = AirNet()
    anna, ben = houses = net.home(2)
    net.connect(anna, ben)
    net.run(5 * MINUTE)
    anna.post("by WiFi")
    net.run(30 * MINUTE)
    assert net.same(houses)
    assert not net.named("ENTRY")


def status(house):
    (told,) = house.air.told(house.sync.statuses(house.net.now), house.net.now)
    return told


def test_status_tells_what_nobody_else_is_known_to_hold():
    net = AirNet()
    anna, ben = net.home(2)
    net.run(10 * MINUTE)
    before = status(anna).unheld
    ben.radios.up = False
    anna.post("one")
    anna.post("two")
    net.run(MINUTE)
    assert status(anna).unheld == before + 2
    ben.radios.up = True
    net.run(20 * MINUTE)
    assert (status(anna).unheld, status(anna).unlike, status(ben).unlike) == (0, 0, 0)


def test_status_tells_that_a_neighbour_holds_something_else():
    net = AirNet()
    anna, ben = houses = net.home(2)
    net.run(10 * MINUTE)
    net.forgets(*houses)
    net.apart(anna, ben)
    anna.post("of anna")
    ben.post("of ben")
    net.run(10 * MINUTE)
    net.together(anna, ben)
    net.run(20 * MINUTE, until=lambda: any(status(house).unlike for house in houses))
    assert any(status(house).unlike for house in houses)
    net.run(40 * MINUTE)
    assert net.same(houses) and not any(status(house).unlike for house in houses)


def test_an_answer_that_the_law_holds_back_is_neither_counted_as_sent_nor_lost():
    net = AirNet()
    anna, ben = houses = net.home(2)
    net.run(5 * MINUTE)
    ben.radios.up = False
    for number in range(3):
        anna.post(f"text {number}")
    net.run(10 * MINUTE)
    begin, ben.radios.up = net.now, True
    anna.radios.law_us = begin + 30 * MINUTE
    net.run(29 * MINUTE)
    assert not net.named("ENTRY", since=begin)
    net.run(20 * MINUTE, until=lambda: net.same(houses))
    assert net.same(houses)
    assert len(net.named("ENTRY", since=begin)) == 3
