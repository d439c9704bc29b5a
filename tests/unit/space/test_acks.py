"""Acknowledgements: the last word of each node, of a bounded number of nodes."""

from meshd.space import acks
from meshd.space.acks import Acks

OWN, OTHER = bytes([1]) * 32, bytes(32)


def test_acknowledgements_are_remembered_of_a_bounded_number_of_nodes(monkeypatch):
    monkeypatch.setattr(acks, "KEPT_NODES_MAX", 4)
    known = Acks(lambda author: author == OWN)
    for node in range(8):
        known.note(bytes([node]) * 10, OWN, node + 1, True)
    assert len(known) == 4
    assert known.kept_by(OWN, 8) == 1
    assert known.kept_by(OWN, 5) == 4


def test_last_word_counts_and_an_older_one_of_the_same_kind_says_nothing():
    known = Acks(lambda author: author == OWN)
    known.note(b"\7" * 10, OWN, 8, True)
    known.note(b"\7" * 10, OWN, 7, True)
    assert known.kept_by(OWN, 8) == 1
    known.note(b"\7" * 10, OWN, 8, False)
    assert known.kept_by(OWN, 8) == 0
    assert known.holders(OWN, 8) == {b"\7" * 10: False}


def test_feeds_of_others_are_not_counted():
    known = Acks(lambda author: author == OWN)
    known.note(b"z" * 10, OTHER, 8, True)
    assert b"z" * 10 not in known


def test_own_entries_that_nobody_said_to_hold_count_from_the_start_on():
    acks = Acks(lambda author: author == b"own")
    acks.began(b"own", 5)
    assert acks.unheld(b"own", 5) == 0
    assert acks.unheld(b"own", 8) == 3
    acks.note(b"n1", b"own", 7, False)
    acks.note(b"n2", b"own", 6, True)
    assert acks.unheld(b"own", 8) == 1
    acks.began(b"own", 8)
    assert acks.unheld(b"own", 8) == 1
    acks.note(b"n2", b"own", 8, False)
    assert acks.unheld(b"own", 8) == 0
