"""Who is in earshot, and whom those hear."""

from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.forwarding.neighbours import ALIKE_MAX, LISTED_MAX, SILENT_US, Neighbours

ME, A, B = b"me", b"aa", b"bb"


def test_a_listener_is_who_says_that_it_hears_this_node():
    neighbours = Neighbours(ME)
    for short in (A, B):
        neighbours.heard(short, 1.0, 0)
    neighbours.told(A, (ME, B))
    neighbours.told(B, (A,))
    assert neighbours.listeners == (A,)
    assert neighbours.audience(B) == [A]
    assert neighbours.audience(ME) == [A]


def test_who_is_gone_is_forgotten_but_not_another_with_its_short_address_that_has_told():
    neighbours = Neighbours(ME)
    one, other = A + b"one", A + b"other"
    neighbours.heard(A, 1.0, 0)
    neighbours.told(A, (ME,), one)
    neighbours.told(A, (ME,), other)
    neighbours.gone(one)
    assert not neighbours.hears(one) and neighbours.hears(other)
    assert neighbours.told_to_others() == neighbours.listeners == (A,)
    version = neighbours.version
    neighbours.gone(other)
    neighbours.gone(other)
    assert neighbours.told_to_others() == neighbours.listeners == ()
    assert neighbours.version == version + 1


def test_lists_of_strangers_are_ignored():
    neighbours = Neighbours(ME)
    neighbours.told(A, (ME,))
    assert neighbours.listeners == ()


def test_a_node_with_the_short_address_of_another_does_not_unsay_what_that_one_said():
    neighbours = Neighbours(ME)
    true, ground = A + b"true", A + b"ground"
    neighbours.heard(A, 1.0, 0)
    neighbours.told(A, (ME, B), true)
    neighbours.restarted(ground)
    neighbours.told(A, (), ground)
    assert neighbours.listeners == (A,), "what is for the true one is sent"
    assert neighbours.audience(B) == [], "and not left to a relay that only one of them hears"
    neighbours.restarted(true)
    assert neighbours.listeners == ()


def test_nodes_of_one_short_address_are_bounded():
    neighbours = Neighbours(ME)
    neighbours.heard(A, 1.0, 0)
    for number in range(3 * ALIKE_MAX):
        neighbours.told(A, (ME,), A + bytes([number]))
    assert len(neighbours.known[A].hears) == ALIKE_MAX


def test_neighbours_are_bounded_and_expire():
    neighbours = Neighbours(ME)
    shorts = [number.to_bytes(2) for number in range(1, NEIGHBOURS_MAX + 2)]
    for number, short in enumerate(shorts):
        neighbours.heard(short, 0.0, number)
    assert list(neighbours.known) == shorts[1:]
    del shorts[0]
    neighbours.heard(shorts[0], 0.0, SILENT_US + NEIGHBOURS_MAX)
    neighbours.told(shorts[0], (ME,))
    neighbours.told(shorts[1], (ME,))
    neighbours.expire(SILENT_US + NEIGHBOURS_MAX + 1)
    assert list(neighbours.known) == [shorts[0]]
    assert neighbours.listeners == (shorts[0],)


def test_proven_ones_keep_three_quarters_from_those_who_are_not():
    neighbours = Neighbours(ME)
    shorts = [number.to_bytes(2) for number in range(1, 3 * NEIGHBOURS_MAX)]
    for number, short in enumerate(shorts[:NEIGHBOURS_MAX]):
        neighbours.heard(short, 0.0, number, proven=True)
    for number, short in enumerate(shorts[NEIGHBOURS_MAX:]):
        neighbours.heard(short, 0.0, NEIGHBOURS_MAX + number)
        assert short in neighbours.known, "who comes later is a neighbour too"
    assert len(neighbours.known) == NEIGHBOURS_MAX
    first = NEIGHBOURS_MAX // 4
    assert list(neighbours.known)[: NEIGHBOURS_MAX - first] == shorts[first:NEIGHBOURS_MAX]


def test_the_strongest_are_named():
    neighbours = Neighbours(ME)
    for number in range(NEIGHBOURS_MAX):
        neighbours.heard(number.to_bytes(2), float(number), 0)
    listed = neighbours.told_to_others()
    assert listed == tuple(
        number.to_bytes(2) for number in range(NEIGHBOURS_MAX - LISTED_MAX, NEIGHBOURS_MAX)
    )
    assert len(neighbours.told_to_others(3)) == 3


def test_version_rises_when_whom_this_node_hears_changes():
    neighbours = Neighbours(ME)
    neighbours.heard(A, 0.0, 0)
    version = neighbours.version
    neighbours.heard(A, 9.0, 5)
    assert neighbours.version == version
    neighbours.heard(B, 0.0, 5)
    assert neighbours.version > version
