"""Arguments of local requests: what is taken, and what is refused by name."""

import pytest

from meshd.core.arguments import number_of, seconds_of, text_of
from meshd.core.errors import Exit, RequestError


@pytest.mark.parametrize("value", [None, "", 7, ["a"], "\ud800"])
def test_text_is_there_and_can_be_sent(value):
    with pytest.raises(RequestError, match="space") as caught:
        text_of({"space": value}, "space")
    assert caught.value.code is Exit.USAGE


def test_what_is_not_given_is_its_default():
    assert text_of({}, "role", default="writer") == "writer"
    assert number_of({}, "uses", default=1, least=1, most=9) == 1
    assert seconds_of({}, "timeout_s", default=60, most=600) == 60


@pytest.mark.parametrize("value", [True, 0, 10, 1.5, "3"])
def test_number_is_whole_and_within_its_bounds(value):
    with pytest.raises(RequestError, match="uses must be a whole number from 1 to 9"):
        number_of({"uses": value}, "uses", default=1, least=1, most=9)


@pytest.mark.parametrize("value", [True, 0, -1, 601, float("nan"), float("inf"), "3"])
def test_seconds_are_a_number_within_its_bounds(value):
    with pytest.raises(RequestError, match="timeout_s must be a number of seconds"):
        seconds_of({"timeout_s": value}, "timeout_s", default=60, most=600)
    assert seconds_of({"timeout_s": 0.5}, "timeout_s", default=60, most=600) == 0.5
