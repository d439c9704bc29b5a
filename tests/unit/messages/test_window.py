"""Which texts of a sender are known."""

import pytest

from meshd.core.errors import WireError
from meshd.messages.window import WINDOW_MAX, Verdict, Window


def tag(number):
    return number.to_bytes(8, "big")


def test_a_text_is_new_once_in_any_order():
    window = Window()
    for number in (5, 1, 3, 2):
        assert window.judge(number, tag(number)) is Verdict.NEW
        window.take(number, tag(number))
        assert window.judge(number, tag(number)) is Verdict.AGAIN


def test_another_text_with_a_number_that_was_used_is_a_twins():
    window = Window()
    window.take(5, tag(5))
    assert window.judge(5, tag(6)) is Verdict.TWIN
    window.take(5, tag(6))
    assert window.judge(5, tag(5)) is window.judge(5, tag(6)) is Verdict.AGAIN


def test_what_falls_out_of_the_window_is_old_for_good():
    window = Window()
    for number in range(1, WINDOW_MAX + 11):
        window.take(number, tag(number))
    assert len(window) == WINDOW_MAX
    assert window.judge(10, tag(10)) is Verdict.OLD
    assert window.judge(11, tag(11)) is Verdict.AGAIN


def test_a_window_comes_back_from_the_disk():
    window = Window()
    for number in range(1, WINDOW_MAX + 11):
        window.take(number, tag(number))
    again = Window.decode(window.encode())
    assert again.encode() == window.encode()
    assert again.judge(10, tag(10)) is Verdict.OLD and len(again) == WINDOW_MAX


@pytest.mark.parametrize("data", [b"", b"abc", bytes(5), bytes(4 + 12 * (WINDOW_MAX + 1))])
def test_damaged_windows_are_refused(data):
    with pytest.raises(WireError):
        Window.decode(data)
