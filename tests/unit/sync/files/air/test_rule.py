"""Which files go by LoRa, how they are cut, and the sentences that tell of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.airtime import LONG_FAST, Modulation, airtime_us
from meshd.core.law import HOUR_US, Budget
from meshd.sync.files.air.erasure import PIECES_MAX
from meshd.sync.files.air.rule import (
    COUNT_MAX,
    EXTRA_BYTES,
    Way,
    count_max,
    cut_of,
    frames_of,
    judge,
    limit_bytes,
)
from meshd.wire.lora_pieces import RUNS_MAX

ROOMS = st.integers(0, 255)
TENTH, HUNDREDTH = HOUR_US // 10 * 60 // 100, HOUR_US // 100 * 60 // 100


def budget(hour_us=TENTH, left_us=None, modulation=LONG_FAST, name="lora0"):
    left_us = hour_us if left_us is None else left_us
    return Budget(name, 237, airtime_us(modulation, 255), left_us, hour_us)


@given(st.integers(0, 60_000), ROOMS)
def test_pieces_marks_and_offer_fit_their_items(size, room):
    cut = cut_of(size, room)
    if cut is None:
        assert not size or size > count_max(room) * (room - 6)
        return
    runs = -(-cut.pieces // cut.run)
    assert cut.need <= cut.pieces <= PIECES_MAX and cut.need <= COUNT_MAX
    assert (cut.need - 1) * cut.piece < size <= cut.need * cut.piece
    assert 6 + cut.piece <= room and 5 + 8 * cut.run <= room
    assert 78 + 8 * runs <= room and runs <= RUNS_MAX


@given(ROOMS, st.integers(0, 10**9), st.integers(1, 10**7))
def test_what_is_within_the_limit_can_be_cut_and_sent(room, left_us, frame_us):
    one = Budget("lora0", room, frame_us, left_us, left_us)
    limit = limit_bytes(one, left_us)
    if limit:
        cut = cut_of(limit + EXTRA_BYTES, room)
        assert cut is not None
        assert frames_of(cut.need) * frame_us <= left_us


def test_no_radio_no_verdict():
    assert judge(100, []) is None


def test_small_files_go():
    assert judge(10_000, [budget()]).way is Way.LORA
    assert judge(10_000, [budget()]).text == "goes by LoRa on lora0"


def test_large_files_wait_for_wifi_and_say_how_long_the_air_would_take():
    verdict = judge(2_500_000, [budget(modulation=Modulation(7, 125_000))])
    assert verdict.way is Way.WIFI
    assert verdict.text == (
        "waits for WiFi: 2.5 MB would take 23 h on lora0; files up to 46 kB go by LoRa"
    )


@pytest.mark.parametrize(
    ("size", "one", "text"),
    [
        (40_000, budget(), "40 kB would take 2 h on lora0; files up to 19 kB go by LoRa"),
        (3 * 10**9, budget(), "3.0 GB would take 6271 days on lora0; files up to 19 kB go by LoRa"),
        (700, budget(10**6), "700 B would take 15 h on lora0; no file is small enough"),
    ],
)
def test_sentences_have_round_numbers(size, one, text):
    verdict = judge(size, [one])
    assert verdict.way is Way.WIFI
    assert verdict.text == f"waits for WiFi: {text}"


def test_a_full_hour_is_waited_for():
    verdict = judge(10_000, [budget(left_us=12_000_000)])
    assert verdict.way is Way.AIRTIME
    assert verdict.text == (
        "waits for airtime: it takes 114 s on lora0, 12 s are left of this hour"
    )


def test_the_radio_that_takes_most_is_named():
    slow, quick = budget(HUNDREDTH), budget(name="lora1")
    assert judge(15_000, [slow, quick]).text == "goes by LoRa on lora1"
    assert "lora1" in judge(10**6, [slow, quick]).text


def test_the_limit_shrinks_with_what_is_left():
    limits = [limit_bytes(budget(), left_us) for left_us in range(0, TENTH, TENTH // 20)]
    assert limits == sorted(limits) and limits[0] == 0 < limits[-1]
