"""A mistyped word leads to the one that was meant, an odd one to none."""

import pytest

from meshd.core.alike import nearest, slips


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("tset", "test", 1), ("tset", "set", 1), ("ab", "", 2), ("ca", "abc", 3), ("a", "a", 0)],
)
def test_letters_that_changed_places_are_one_slip(one, other, count):
    assert slips(one, other) == slips(other, one) == count


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tset", "test"),
        ("scna", "scan"),
        ("dut", "duty"),
        ("lits", "list"),
        ("hamelt", "hamlet"),
        ("ham", "hamlet"),
        ("--state", "--state-dir"),
        ("--", None),
        ("x", None),
        ("wholly other", None),
    ],
)
def test_nearest_word(word, meant):
    known = ("scan", "list", "duty", "set", "test", "hamlet", "--state-dir", "--json")
    assert nearest(word, known) == meant


def test_nothing_is_near_nothing():
    assert nearest("word", ()) is None and nearest("", ("word",)) is None
