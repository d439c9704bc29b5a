"""Short addresses that stand for two nodes, and seqnos of seven bits: never the wrong one."""

from radios.talk import S, Talker, node

from meshd.core.ids import OPEN_MESH_ID, host_prefix, mesh_address
from meshd.neighbour.cost import INFINITY
from meshd.routing.lora.names import NAMES_MAX, SPOKEN_MAX, STEP_MAX, Names, Spoken, check_of
from meshd.wire.lora_routes import UNREACHABLE, Ask, NamedEntry, RouteEntry, Routes

OWN, B, C = 1, 2, 3
SHORT = b"\x77\x77"
ONE, TWO = SHORT + b"11111111", SHORT + b"22222222"


def next_hops(talker, target):
    """Return by which neighbours there are routes to a NodeId."""
    entry = talker.babel._table.entries.get(host_prefix(mesh_address(OPEN_MESH_ID, target)))
    return {route.neighbour.address[6:] for route in entry.routes} if entry else set()


def route_to(talker, target):
    entry = talker.babel._table.entries[host_prefix(mesh_address(OPEN_MESH_ID, target))]
    (route,) = entry.routes
    return route


def seqno_of(talker, target):
    return route_to(talker, target).seqno


def hearing(*neighbours):
    talker = Talker(OWN)
    for number in neighbours:
        talker.lora.heard(node(number), 9.0, 0)
        heard = NamedEntry(node(OWN), 0, 12, heard=True)
        talker.lora.learn(node(number), Routes(0, named=(heard,)), 0)
    return talker


def short_of(teller, target, seqno=5):
    """Return an item with a short entry for a NodeId."""
    check = check_of(node(teller), [(target, seqno)])
    return Routes(0, entries=(RouteEntry(SHORT, seqno & 127, 12, False),), checks=(check,))


def test_what_one_neighbour_means_is_not_taken_for_what_another_means():
    talker = hearing(B, C)
    talker.lora.learn(node(C), Routes(0, named=(NamedEntry(TWO, 5, 12, False),)), S)
    talker.lora.learn(node(B), short_of(B, ONE), 2 * S)
    assert next_hops(talker, TWO) == {node(C)} and not next_hops(talker, ONE)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert Ask(node(B)[:2], SHORT) in said.asks
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(ONE, 5, 12, False),)), 60 * S)
    talker.lora.learn(node(B), short_of(B, ONE, 6), 61 * S)
    assert (next_hops(talker, ONE), next_hops(talker, TWO)) == ({node(B)}, {node(C)})


def test_two_nodes_with_one_short_address_are_told_by_name_each_time():
    talker = hearing(B, C)
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(ONE, 5, 12, False),)), S)
    talker.lora.learn(node(C), Routes(0, named=(NamedEntry(TWO, 5, 12, False),)), S)
    named = set()
    for _ in range(6):
        now = talker.lora.due_us()
        talker.at(now)
        said = talker.lora.build(now, 200)
        named |= {entry.node for entry in said.named}
        later = now > 300 * S
        assert SHORT not in {entry.short for entry in said.entries} or not later
    assert {ONE, TWO} <= named
    assert {talker.lora.leaves(ONE), talker.lora.leaves(SHORT)} == {None}
    assert talker.lora.ways(ONE)[0][0] == node(B)[:2]
    assert talker.lora.ways(TWO)[0][0] == node(C)[:2]


def test_once_a_short_address_meant_another_node_it_is_not_used_again():
    spoken = Spoken(node(OWN))
    assert spoken.plain(ONE, 5)
    spoken.note(ONE, 5)
    assert spoken.plain(ONE, 6) and not spoken.plain(TWO, 6)
    spoken.note(TWO, 6)
    assert not spoken.plain(ONE, 7) and not spoken.plain(TWO, 7)
    assert not spoken.plain(node(OWN)[:2] + b"stranger", 1)


def test_a_seqno_that_went_back_or_far_is_told_in_full():
    spoken = Spoken(node(OWN))
    spoken.note(ONE, 500)
    assert not spoken.plain(ONE, 499)
    spoken.note(ONE, 499)
    assert not spoken.plain(ONE, 499) and spoken.plain(ONE, 500)
    assert not spoken.plain(ONE, 500 + STEP_MAX)
    spoken.note(ONE, 500 + STEP_MAX)
    assert spoken.plain(ONE, 500 + STEP_MAX)


def test_seven_bits_are_never_read_as_a_seqno_that_is_too_late():
    for missed in range(400):
        names = Names()
        assert names.note(ONE, 65_500)
        told = 65_500 + missed & 0xFFFF
        _, read = names.meant(SHORT, told & 127)
        assert (told - read) % 0x10000 < 0x8000
        assert missed >= 128 or read == told


def test_words_that_were_overtaken_are_not_read_as_later_seqnos():
    talker = hearing(B)
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(ONE, 195, 8, False),)), S)
    late = short_of(B, ONE, 195)
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(ONE, 212, 11, False),)), 2 * S)
    talker.lora.learn(node(B), late, 3 * S)
    assert seqno_of(talker, ONE) == 212
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(node(C), 1, 9, False),)), 4 * S)
    assert seqno_of(talker, ONE) <= 212


def test_who_is_meant_by_one_short_address_is_not_taken_for_whom_the_same_item_names():
    """Islands 14251: a name that bad memory made up took the seqno and the way of a true one."""
    talker = hearing(B)
    named = (NamedEntry(TWO, 129, 31, False),)
    check = check_of(node(B), [(ONE, 130)])
    entries = (RouteEntry(SHORT, 130 & 127, 13, False),)
    talker.lora.learn(node(B), Routes(0, entries=entries, checks=(check,), named=named), S)
    assert (seqno_of(talker, TWO), route_to(talker, TWO).advertised) == (129, 31 * 256)


def test_of_a_group_with_a_stranger_only_what_is_lost_is_believed_at_once():
    talker = hearing(B)
    named = (NamedEntry(ONE, 5, 12, False), NamedEntry(node(C), 7, 12, False))
    talker.lora.learn(node(B), Routes(0, named=named), S)
    entries = (
        RouteEntry(SHORT, 6, 12, False),
        RouteEntry(node(C)[:2], 0, UNREACHABLE, False),
        RouteEntry(b"\x66\x66", 1, 12, False),
        RouteEntry(node(OWN)[:2], 0, 12, False),
    )
    stranger = b"\x66\x66stranger"
    said = [(ONE, 6), (node(C), 0), (stranger, 1), (node(OWN), 0)]
    check = check_of(node(B), said)
    assert talker.lora.ways(node(B)[:2])
    talker.lora.learn(node(B), Routes(0, entries=entries, checks=(check,)), 2 * S)
    assert seqno_of(talker, ONE) == 5 and not talker.lora.ways(node(B)[:2])
    assert route_to(talker, node(C)).advertised == INFINITY
    talker.lora.learn(node(B), Routes(0, named=(NamedEntry(stranger, 1, 12, False),)), 3 * S)
    assert seqno_of(talker, ONE) == 6


def test_what_is_remembered_of_names_is_bounded():
    spoken, names = Spoken(node(OWN)), Names()
    for number in range(SPOKEN_MAX + 50):
        spoken.note(node(number + 2), 1)
        names.note(node(number + 2), 1)
    assert (len(spoken), len(names)) == (SPOKEN_MAX, NAMES_MAX)
    assert not spoken.plain(node(60_000), 1) and not names.note(node(60_000), 1)
