"""KISS: what goes over the line comes back, and nothing that is on it does harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.drops import DropReason
from meshd.radio import kiss
from meshd.simulation.modems.kiss import Unpacker, packed

LONG = 600


def read(*pieces, body_max=64, gap_us=0):
    reader = kiss.Reader(body_max)
    found = []
    for number, piece in enumerate(pieces):
        found += reader.read(piece, number * gap_us)
    return found


def test_frame_is_escaped():
    assert kiss.frame(0, b"\xc0\xdb") == b"\xc0\x00\xdb\xdc\xdb\xdd\xc0"


def test_one_end_closes_a_frame_and_opens_the_next():
    assert read(b"\xc0\x00a\xc0\x00b\xc0") == [b"\x00a", b"\x00b"]


def test_text_before_the_first_frame_is_skipped():
    assert read(b"boot: ok\r\n\xc0\x00a\xc0") == [DropReason.MODEM_GARBAGE, b"\x00a"]


@pytest.mark.parametrize("bad", [b"\xdb\x01", b"\xdb", b"a\xdb\xdb\xdc"])
def test_escape_that_means_nothing(bad):
    assert read(b"\xc0" + bad + b"\xc0\x00a\xc0") == [DropReason.MODEM_GARBAGE, b"\x00a"]


def test_frame_without_end_is_bounded():
    assert read(b"\xc0" + bytes(LONG), bytes(LONG), b"\xc0\x00a\xc0") == [
        DropReason.MODEM_TOO_LONG,
        DropReason.MODEM_GARBAGE,
        b"\x00a",
    ]
    assert read(b"\xc0" + bytes(65) + b"\xc0") == [DropReason.MODEM_TOO_LONG]


def test_half_a_frame_is_left_when_the_line_was_quiet():
    found = read(b"\xc0\x00half", b"\xc0\x00whole\xc0", gap_us=kiss.STALE_US + 1)
    assert found == [DropReason.MODEM_GARBAGE, b"\x00whole"]


def test_pause_of_a_loaded_host_cuts_nothing():
    assert read(b"\xc0\x00ha", b"lf\xc0", gap_us=kiss.STALE_US // 2) == [b"\x00half"]


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=6), st.integers(1, 9))
def test_frames_survive_any_cut(bodies, size):
    line = b"".join(kiss.frame(body[0], body[1:]) for body in bodies)
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    assert read(*pieces) == bodies


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_bytes_are_read(pieces):
    assert all(isinstance(found, bytes | DropReason) for found in read(*pieces))


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=6))
def test_both_sides_speak_the_same(bodies):
    taken = []
    unpacker = Unpacker(64, taken.append)
    for body in bodies:
        unpacker.feed(kiss.frame(body[0], body[1:]))
    assert taken == bodies
    assert read(*(packed(body) for body in bodies)) == bodies
