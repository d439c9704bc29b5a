"""How long something is, in words."""

import pytest

from meshd.core.spans import span


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0204, "0.0204 s"),
        (59.4, "59.4 s"),
        (60, "1 min"),
        (395, "6 min 35 s"),
        (3600, "1 h"),
        (11_400.4, "3 h 10 min"),
        (86_400 * 2 + 5, "2 d"),
    ],
)
def test_times_are_told_in_two_units(time_s, text):
    assert span(time_s) == text
