"""Forks over LoRa: what is asked and shown, and what nobody can make a node say."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
from devices.air_net import MINUTE, AirNet
from devices.sync_net import SECOND
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.sync.air import forks, shows
from meshd.sync.air.names import feed_name
from meshd.sync.air.offers import ASKED_MAX
from meshd.sync.air.shows import Show, Shows
from meshd.sync.air.suspects import FORGED, SAID
from meshd.sync.air.thin import contract, stub, whole_stub
from meshd.wire import entry as entries
from meshd.wire.air_entry import decode_thin
from meshd.wire.air_messages import AirProbe, Mark, decode_probe
from meshd.wire.lora_payload import ObjectKind, Sub


@pytest.fixture
def net():
    net = AirNet()
    net.anna, net.ben, net.cleo = net.home(3)
    net.run(5 * MINUTE)
    return net


def entry_of(house, seq=None):
    home = house.home
    seq = home.feeds[home.author].seq if seq is None else seq
    (data,) = house.sync.recent.run(home.id, home.author, seq, seq)
    return entries.decode(data)


def hear(house, giver, sub, message, *, trusted=True):
    house.hear_local(giver.node, sub, message.encode(), trusted=trusted)


def probe_of(house, marks):
    names = house.air._names
    return names.told(house.home, Sub.PROBE, AirProbe(b"", b"", tuple(marks)))


def put_back(net):
    """Anna's card is put back: ben holds one branch, and anna and cleo the other."""
    disk = deepcopy(net.anna.store)
    net.apart(net.ben, net.cleo)
    net.apart(net.anna, net.cleo)
    net.anna.post("one")
    net.run(MINUTE)
    net.anna.store = disk
    net.apart(net.anna, net.ben)
    net.together(net.anna, net.cleo)
    net.crash(net.anna)
    net.anna.post("other")
    net.run(3 * MINUTE)
    return net.anna.home.author


def test_both_branches_are_shown_once_and_their_author_goes_on(net):
    author = put_back(net)
    begin = net.now
    net.together(net.ben, net.cleo)
    net.together(net.anna, net.ben)
    houses = (net.anna, net.ben, net.cleo)
    net.run(30 * MINUTE, until=lambda: all(one.home.feeds[author].frozen for one in houses))
    assert all(one.home.feeds[author].frozen for one in houses)
    net.anna.post("after it")
    net.run(MINUTE)
    assert all("after it" in one.texts() for one in houses)
    assert net.anna.home.author != author
    assert len(net.named("PROBE", since=begin)) <= 3
    assert len(net.named("ENTRY", since=begin)) <= 12
    net.run(10 * MINUTE)
    begin = net.now
    net.run(180 * MINUTE)
    assert not net.named("PROBE", "HEADS", "ENTRY", since=begin)


def test_a_fork_is_found_while_others_write_all_the_time():
    net = AirNet()
    net.anna, net.ben, net.cleo, net.dora = net.home(4)
    net.run(5 * MINUTE)
    net.apart(net.anna, net.dora)
    net.apart(net.ben, net.dora)
    author = put_back(net)
    net.anna.radios.up = False
    net.takes_us = 30 * SECOND
    writers, houses = (net.cleo, net.dora), (net.ben, net.cleo, net.dora)
    write(net, writers, 6)
    for one in writers:
        net.together(net.ben, one)
    begin = net.now
    write(net, writers, 60, until=lambda: all(one.home.feeds[author].frozen for one in houses))
    assert all(one.home.feeds[author].frozen for one in houses)
    assert len(net.named("PROBE", since=begin)) <= 2 * len(houses)


def write(net, writers, count, until=lambda: False):
    """Have houses write in turn, a text in 20 s."""
    for number in range(count):
        if until():
            return
        writers[number % len(writers)].post(f"busy {number}")
        net.run(20 * SECOND)


def test_where_all_is_well_few_look_for_forks_while_others_write(net):
    net.takes_us = 30 * SECOND
    houses = (net.anna, net.ben, net.cleo)
    begin = net.now
    write(net, houses, 180)
    assert len(net.named("PROBE", since=begin)) <= len(houses) * 4, "in an hour"
    net.run(15 * MINUTE)
    begin = net.now
    net.run(60 * MINUTE)
    assert not net.named("PROBE", since=begin)


def test_a_look_gives_way_to_a_members_word_and_leaves_no_feed_alone(net):
    near, home = net.ben.air._links["l0"].near, net.ben.home
    forks, feed = net.ben.air._forks, (net.ben.home.id, net.anna.home.author)
    link = net.ben.air._links["l0"]
    forks.unlike(link, near, home, net.now, among=(feed[1],))
    net.run(SECOND)
    assert list(forks._suspects) == [feed]
    forks.suspect(link, near, feed, net.now, why=SAID)
    assert forks._suspects[feed].why is SAID
    forks._suspects.clear()
    begin = net.now
    forks.unlike(link, near, home, net.now, among=(feed[1],))
    forks._planned("l0", net.now)
    net.run(5 * MINUTE)
    assert len(net.named("PROBE", since=begin)) == 1
    assert not forks._suspects and not forks._suspects.rests(feed, net.now, signed=True)


def test_who_was_off_learns_of_a_fork_as_of_any_entry(net):
    author = put_back(net)
    net.cleo.radios.up = False
    net.together(net.anna, net.ben)
    net.run(10 * MINUTE)
    assert net.ben.home.feeds[author].frozen
    net.together(net.ben, net.cleo)
    net.cleo.radios.up = True
    net.run(60 * MINUTE, until=lambda: net.cleo.home.feeds[author].frozen)
    assert net.cleo.home.feeds[author].frozen


def test_forged_entries_make_a_node_ask_ever_more_seldom(net):
    home, begin = net.ben.home, net.now
    net.anna.post("hello")
    net.run(MINUTE)
    data = entry_of(net.anna).encode()
    thin = contract(net.anna.home, net.anna.home.author, data, whole=True)
    for number in range(1_000):
        fields = {"seq": thin.seq + 1, "prev": number.to_bytes(4, "big")}
        body = bytes([ObjectKind.ENTRY]) + thin._replace(**fields).encode()
        net.ben.hear_object(net.cleo.node, body)
        net.ben.hear_object(net.cleo.node, body[:-1] + bytes([number % 256]))
        net.run(30 * SECOND)
    assert not any(feed.frozen for feed in home.feeds.values())
    assert 0 < len(net.named("PROBE", since=begin)) <= 24, "in eight hours"
    assert sum(frame.size for frame in net.named("PROBE", since=begin)) < 3_000


def test_what_strangers_forge_makes_nobody_deaf_to_what_members_say(net):
    net.anna.post("hello")
    net.run(MINUTE)
    data = entry_of(net.anna).encode()
    thin = contract(net.anna.home, net.anna.home.author, data, whole=True)
    for number in range(7):
        fields = {"seq": thin.seq + 1, "prev": number.to_bytes(4, "big")}
        net.ben.hear_object(net.cleo.node, forged(thin, **fields))
        net.run(60 * MINUTE, until=lambda: not net.ben.air._forks._suspects)
        if number < 6:
            net.run((2 << number) * MINUTE)
    author = put_back(net)
    begin = net.now
    net.together(net.ben, net.cleo)
    houses = (net.ben, net.cleo)
    net.run(30 * MINUTE, until=lambda: all(one.home.feeds[author].frozen for one in houses))
    assert net.now - begin < 10 * MINUTE


def forged(thin, **fields):
    return bytes([ObjectKind.ENTRY]) + thin._replace(**fields).encode()


def test_a_members_word_takes_the_place_of_a_forged_suspicion(net):
    net.anna.post("hello")
    net.run(MINUTE)
    link, feed = net.ben.air._links["l0"], (net.ben.home.id, net.anna.home.author)
    one = net.ben.air._forks
    one.suspect(link, link.near, feed, net.now, high=1, why=FORGED)
    one.suspect(link, link.near, feed, net.now, why=FORGED)
    assert [mark.seq for mark in one._suspects[feed].marks] == [1]
    one.suspect(link, link.near, feed, net.now)
    assert one._suspects[feed].signed and len(one._suspects) == 1
    net.run(20 * MINUTE)
    assert not one._suspects
    for why in (FORGED, SAID):
        one.suspect(link, link.near, feed, net.now + 9 * MINUTE, why=why)
    assert one._suspects, "left alone for minutes"


def test_stubs_with_junk_around_a_true_signature_silence_nobody(net):
    net.anna.post("hello")
    net.run(5 * MINUTE)
    entry, feed = entry_of(net.anna), (net.ben.home.id, net.anna.home.author)
    link = net.ben.air._links["l0"]
    net.ben.air._forks.shows = queue = Shows(lambda link, node: True)
    queue.add("l0", Show(stub(entry), False, net.now + MINUTE, least=2), net.now)
    for junk in (bytes(32), b"x" * 32):
        for giver in (net.anna, net.cleo):
            hear(net.ben, giver, Sub.ENTRY, stub(entry)._replace(sealed=junk))
    assert len(queue) == 1 and not queue._shown
    net.ben.home.feeds[feed[1]].frozen = True
    hear(net.ben, net.cleo, Sub.ENTRY, stub(entry)._replace(sealed=bytes(32)))
    assert len(queue) == 1 and not queue._shown
    queue.heard("l0", stub(entry), b"another", net.now)
    hear(net.ben, net.cleo, Sub.ENTRY, stub(entry))
    assert not len(queue), link.name


def test_repairs_under_way_leave_forks_their_own_reads(net):
    author = put_back(net)
    waiting = net.ben.air._reads
    waiting._waiting.extend([(None, None)] * forks.READS_MAX)
    net.ben.radios.up = net.cleo.radios.up = True
    name, begin = feed_name(net.ben.home, author), net.now
    net.together(net.ben, net.cleo)
    seq = net.ben.home.feeds[author].seq
    hear(net.ben, net.cleo, Sub.PROBE, probe_of(net.cleo, [Mark(name, seq, b"lies")]))
    net.run(30 * SECOND)
    waiting._waiting.clear()
    assert not net.ben.drops(DropReason.AIR_FLOOD)
    assert net.named("ENTRY", since=begin)


def test_a_forged_stub_proves_nothing(net):
    net.anna.post("hello")
    net.run(MINUTE)
    entry = entry_of(net.anna)
    for change in ({"sealed": bytes(32)}, {"time_s": 1}, {"prev": bytes(8)}):
        hear(net.ben, net.cleo, Sub.ENTRY, stub(entry)._replace(**change))
    net.run(MINUTE)
    assert net.ben.drops(DropReason.ENTRY_SIGNATURE) == 3
    hear(net.ben, net.cleo, Sub.ENTRY, stub(entry))
    net.run(MINUTE)
    assert not any(feed.frozen for feed in net.ben.home.feeds.values())


def test_who_probes_without_end_gets_his_part_and_no_more(net):
    for number in range(90):
        net.anna.post(f"text {number}")
        net.run(SECOND)
    net.run(10 * MINUTE)
    begin = net.now
    name = feed_name(net.ben.home, net.anna.home.author)
    for seq in range(1, 91):
        mark = Mark(name, seq, b"lies")
        hear(net.ben, net.cleo, Sub.PROBE, probe_of(net.cleo, [mark]))
    net.run(9 * MINUTE)
    assert net.ben.drops(DropReason.AIR_FLOOD)
    assert len(net.named("ENTRY", since=begin)) <= ASKED_MAX
    assert len(net.ben.air._forks._suspects) <= 1


def test_a_recorded_probe_makes_nobody_send(net):
    net.anna.post("hello")
    net.run(5 * MINUTE)
    begin = net.now
    mark = Mark(feed_name(net.ben.home, net.anna.home.author), 2, b"lies")
    hear(net.ben, net.cleo, Sub.PROBE, probe_of(net.cleo, [mark]), trusted=False)
    net.run(MINUTE)
    assert not net.named("ENTRY", "PROBE", since=begin)
    assert net.ben.drops(DropReason.AIR_UNPROVEN) == 1


def test_an_entry_of_a_frozen_feed_is_not_asked_for(net):
    author = put_back(net)
    net.together(net.anna, net.ben)
    net.run(10 * MINUTE)
    assert net.ben.home.feeds[author].frozen
    wants = net.ben.air._links["l0"].near.wants
    assert wants.add((net.ben.home.id, author), 99, net.now) is None
    assert not len(wants)


def test_stubs_that_wait_are_bounded_and_come_ever_more_seldom():
    queue = Shows(lambda link, node: node == b"all")
    one = SimpleNamespace(signature=b"one")
    for number in range(shows.WAITING_MAX):
        assert queue.add("l0", Show(SimpleNamespace(signature=number), False, 0), 0)
    assert not queue.add("l0", Show(one, False, 0), 0)
    queue = Shows(lambda link, node: node == b"all")
    said, now = 0, 1
    for _ in range(24 * 60):
        assert queue.add("l0", Show(one, False, now), now)
        said += queue.next("l0", now) is not None
        now += MINUTE
    assert said < 24
    queue.heard("l0", one, b"all", now + 24 * 60 * MINUTE)
    queue.add("l0", Show(one, False, now), now + 24 * 60 * MINUTE)
    assert queue.due_us("l0") is None, "all have just heard it"


def test_who_invents_nodes_is_remembered_as_few_givers_and_stops_no_stub():
    queue = Shows(lambda link, node: node == b"all")
    one = SimpleNamespace(signature=b"one")
    for number in range(1_000):
        queue.heard("l0", one, number.to_bytes(2, "big"), 0)
    (known,) = queue._shown.values()
    assert len(known.givers) == shows.GIVERS_MAX
    assert queue.add("l0", Show(one, False, 0), 0) and queue.next("l0", 0) is not None


def test_a_stub_is_the_entry_without_its_body(net):
    net.anna.post("hello")
    net.run(MINUTE)
    entry, home = entry_of(net.anna), net.anna.home
    thin = decode_thin(stub(entry).encode())
    assert thin.is_stub and len(thin.encode()) == 131
    assert whole_stub(home, thin) == entry.erased()
    for bad in (stub(entry).encode()[:-65], stub(entry).encode() + b"x"):
        with pytest.raises(WireError):
            decode_thin(bad)


@given(st.binary(max_size=250))
def test_any_bytes_are_a_probe_or_none(data):
    try:
        assert decode_probe(data).encode() == data
    except WireError:
        pass


def test_numbers_that_are_asked_about_lie_ever_further_back():
    assert forks._steps(1) == [1]
    assert forks._steps(5) == [5, 4, 3, 1]
    assert forks._steps(1_000) == [1_000, 999, 998, 996, 992, 984, 968, 936]
