"""Prefixes that lost their route are held within bounds, whoever makes routes come and go."""

from speakers.talk import GREETING, LINK, OTHER, PEER, Talk, numbered, update

from meshd.core.ids import Prefix
from meshd.neighbour.table import Neighbour
from meshd.routing import chooser
from meshd.routing.held import Held
from meshd.wire.babel import Retraction

WIDER = Prefix(bytes.fromhex("fd42") + bytes(14), 16)


def come_and_go(talk: Talk, count: int, high: int = 0xFD42, source: bytes = PEER) -> None:
    for number in range(count):
        talk.say(update(numbered(number, high), next_hop=source), source=source)
        talk.say(Retraction(numbered(number, high), 1, 2400), source=source)


def entries(talk: Talk) -> int:
    """Count prefixes that a route is known to or that are held."""
    table = talk.station.babel._table
    return sum(1 for entry in table.entries.values() if entry.held_until is not None)


def test_routes_that_come_and_go_are_held_up_to_a_bound():
    talk = Talk()
    talk.station.babel._chooser._held.held_max = 20
    talk.say(*GREETING)
    come_and_go(talk, 100)
    assert entries(talk) == 20
    talk.wait(chooser.HOLD_US / 1e6 + 61)
    assert entries(talk) == 0


def test_who_has_most_held_gives_up_the_oldest_of_its_own():
    talk = Talk()
    talk.station.babel._chooser._held.held_max = 20
    talk.say(*GREETING)
    talk.say(*GREETING, source=OTHER)
    talk.say(update(WIDER, next_hop=OTHER), source=OTHER)
    come_and_go(talk, 5, source=OTHER)
    come_and_go(talk, 100, 0xFD43)
    table = talk.station.babel._table.entries
    assert all(table[numbered(number)].held_until is not None for number in range(5))
    assert numbered(84, 0xFD43) not in table or table[numbered(84, 0xFD43)].held_until is None
    assert table[numbered(99, 0xFD43)].held_until is not None


def test_packets_go_the_wider_way_again_when_a_prefix_is_let_go():
    talk = Talk()
    talk.station.babel._chooser._held.held_max = 1
    talk.say(*GREETING)
    talk.say(update(WIDER))
    come_and_go(talk, 1)
    assert talk.station.babel.route_to(numbered(0).address) is None
    talk.say(update(numbered(1)))
    talk.say(Retraction(numbered(1), 1, 2400))
    assert talk.station.babel.route_to(numbered(0).address) is not None
    assert talk.station.babel.route_to(numbered(1).address) is None


def test_prefix_with_a_route_again_is_held_no_more():
    held = Held(held_max=2)
    one, other = (Neighbour(LINK, address, 0) for address in (PEER, OTHER))
    assert [held.add(numbered(number), one) for number in range(2)] == [None, None]
    held.discard(numbered(0))
    held.discard(numbered(7))
    assert held.add(numbered(2), other) is None
    assert held.add(numbered(3), other) == numbered(2)
    assert list(held) == [numbered(1), numbered(3)]
