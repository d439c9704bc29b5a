"""Airtime in one sliding hour: shares, urgency, what is corrected, what a restart keeps."""

import pytest

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.core.law import HOUR_US, NO_LAW, Law, SubBand
from meshd.link.account import BUCKET_US, Share
from meshd.link.ledger import (
    CEILING_PERCENT,
    LATE_US,
    RESERVATIONS_MAX,
    Emission,
    Ledger,
    Priority,
    Reservation,
    Wait,
)
from meshd.wire.ledger_state import ACCOUNTS_MAX, Account, Bucket, LedgerState

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
BAND = SubBand("M", 868_000_000, 868_600_000, 14, "erp", 10_000)
FREE = SubBand("F", 902_000_000, 928_000_000, 30, "eirp", dwell_us=400_000)
LAW = Law("XX", (BAND, FREE))
BOOT = b"b" * 16
OWN, RELAYED, CONTROL = Share.OWN, Share.RELAYED, Share.CONTROL
TEXT, DISTRESS, BULK = Priority.TEXT, Priority.DISTRESS, Priority.BULK


def made(state=None, boot=BOOT, now=0, law=LAW):
    return Ledger(law, boot=boot, now=now, state=state)


def frame(seconds, share=OWN, priority=DISTRESS, band=BAND):
    return Emission(band, 125_000, int(seconds * SECOND_US), share, priority)


def save(ledger, now=0):
    number, state = ledger.poll_state(now)
    ledger.stored(number)
    return state


def send(ledger, emission, now=0):
    """Reserve, store what must be stored first, and send; or return what there is to wait for."""
    answer = ledger.reserve(emission, now)
    if isinstance(answer, Wait) and answer.reason is DropReason.AIRTIME_UNSAVED:
        save(ledger, now)
        answer = ledger.reserve(emission, now)
    if isinstance(answer, Reservation):
        ledger.settle(answer.number, now, airtime_us=None)
    return answer


def test_law_without_a_region_reserves_nothing():
    with pytest.raises(UsageError, match="no region is chosen"):
        made(law=NO_LAW).reserve(frame(1), 0)


def test_sub_band_of_another_rule_is_refused():
    with pytest.raises(UsageError, match="not allowed here"):
        made().reserve(frame(1, band=BAND._replace(duty_ppm=1_000_000)), 0)


def test_hour_is_refused_rather_than_exceeded_and_says_when_to_ask_again():
    ledger = made()
    for second in range(36):
        assert isinstance(send(ledger, frame(1), second * SECOND_US), Reservation)
    refused = ledger.reserve(frame(1), 40 * SECOND_US)
    assert refused == Wait(DropReason.AIRTIME_SPENT, HOUR_US + BUCKET_US)
    assert isinstance(ledger.reserve(frame(1), refused.at_us - 1), Wait)
    assert isinstance(send(ledger, frame(1), refused.at_us), Reservation)


def test_when_a_frame_may_go_is_told_without_setting_anything_aside():
    ledger = made()
    assert ledger.free_us(frame(30), 5) == ledger.free_us(frame(30), 5) == 5
    send(ledger, frame(30), 5)
    assert ledger.free_us(frame(10), 6) == send(ledger, frame(10), 6).at_us > HOUR_US
    assert ledger.free_us(frame(40), 6) >= HOUR_US


def test_airtime_counts_from_its_reservation_on():
    ledger = made()
    ledger.reserve(frame(30), 0)
    save(ledger)
    ledger.reserve(frame(30), 0)
    assert ledger.left_us(BAND, 0) == 6 * SECOND_US
    assert ledger.reserve(frame(7), 0).reason is DropReason.AIRTIME_SPENT


def test_reservation_is_corrected_when_the_frame_was_shorter_or_did_not_go():
    ledger = made()
    ledger.reserve(frame(10), 0)
    save(ledger)
    first = ledger.reserve(frame(10), 0)
    ledger.settle(first.number, 0, airtime_us=SECOND_US)
    assert ledger.left_us(BAND, 0) == 35 * SECOND_US
    second = ledger.reserve(frame(9), 0)
    ledger.settle(second.number, 0, airtime_us=0)
    assert ledger.left_us(BAND, 0) == 35 * SECOND_US
    with pytest.raises(UsageError, match="not open"):
        ledger.settle(second.number, 0, airtime_us=0)


def test_frame_of_a_modem_that_fell_silent_counts_and_late():
    ledger = made()
    ledger.reserve(frame(10), 0)
    save(ledger)
    ledger.settle(ledger.reserve(frame(10), 0).number, 0, airtime_us=0, maybe=True)
    assert ledger.left_us(BAND, HOUR_US + LATE_US - 1) == 26 * SECOND_US
    assert ledger.left_us(BAND, HOUR_US + LATE_US + BUCKET_US) == 36 * SECOND_US


def test_longer_airtime_than_reserved_is_counted_in_full():
    ledger = made()
    ledger.reserve(frame(1), 0)
    save(ledger)
    ledger.settle(ledger.reserve(frame(1), 0).number, 0, airtime_us=5 * SECOND_US)
    assert ledger.left_us(BAND, 0) == 31 * SECOND_US


@pytest.mark.parametrize(
    ("share", "priority", "most_s"),
    [
        (CONTROL, BULK, 3.6),
        (RELAYED, DISTRESS, 0.6 * 36),
        (RELAYED, TEXT, 0.6 * 36 * 0.95),
        (RELAYED, BULK, 0.6 * 36 * 0.6),
        (OWN, DISTRESS, 36),
        # What is not distress leaves control its tenth besides.
        (OWN, TEXT, 36 * 0.95 - 3.6),
        (OWN, Priority.MEMBERSHIP, 36 * 0.9 - 3.6),
        (OWN, Priority.DOCUMENT, 36 * 0.8 - 3.6),
        (OWN, BULK, 36 * 0.6 - 3.6),
    ],
)
def test_shares_of_the_hour(share, priority, most_s):
    ledger, sent = made(), 0
    while isinstance(answer := send(ledger, frame(0.1, share, priority)), Reservation):
        sent += 1
    assert answer.reason in (DropReason.AIRTIME_SHARE, DropReason.AIRTIME_SPENT)
    assert most_s - 0.11 < sent / 10 <= most_s + 1e-9


def test_bulk_leaves_the_hour_to_what_is_more_urgent():
    assert CEILING_PERCENT == tuple(sorted(CEILING_PERCENT, reverse=True))
    ledger = made()
    for priority in sorted(Priority, reverse=True):
        assert isinstance(send(ledger, frame(1, OWN, priority)), Reservation)
        while isinstance(send(ledger, frame(1, OWN, priority)), Reservation):
            pass
    assert ledger.left_us(BAND, 0) < SECOND_US


def test_control_finds_its_tenth_when_own_data_took_all_it_may():
    ledger = made()
    while isinstance(send(ledger, frame(0.5, OWN, TEXT)), Reservation):
        pass
    assert isinstance(send(ledger, frame(3.6, CONTROL)), Reservation)


@pytest.mark.parametrize(
    "emission",
    [
        frame(37),
        frame(4, CONTROL),
        frame(22, RELAYED),
        frame(22, OWN, BULK),
        frame(0.5, band=FREE),
    ],
)
def test_frame_that_can_never_go_is_told_at_once(emission):
    assert made().reserve(emission, 0) == Wait(DropReason.AIRTIME_TOO_LONG, None)


def test_nothing_goes_before_the_disk_holds_a_claim_and_one_claim_serves_many_frames():
    ledger = made()
    assert ledger.poll_state(0) is None
    assert ledger.reserve(frame(0.01), 0) == Wait(DropReason.AIRTIME_UNSAVED, None)
    number, _ = ledger.poll_state(0)
    assert ledger.poll_state(0) is None
    assert isinstance(ledger.reserve(frame(0.01), 0), Wait)
    ledger.stored(number)
    sent = 0
    while ledger.poll_state(0) is None:
        assert isinstance(send(ledger, frame(0.01)), Reservation)
        sent += 1
    assert sent > 5


def test_first_frame_need_not_wait_for_the_disk_when_that_was_prepared():
    ledger = made()
    ledger.prepare(BAND)
    save(ledger)
    assert isinstance(ledger.reserve(frame(0.1), 0), Reservation)
    with pytest.raises(UsageError):
        made(law=NO_LAW).prepare(BAND)


def test_failed_write_gives_no_claim_and_is_tried_again():
    ledger = made()
    ledger.reserve(frame(1), 0)
    number, _ = ledger.poll_state(0)
    ledger.store_failed(number)
    assert isinstance(ledger.reserve(frame(1), 0), Wait)
    with pytest.raises(UsageError):
        ledger.stored(number)
    assert ledger.poll_state(0) is not None


def test_unlimited_band_needs_no_disk_and_keeps_the_dwell_time():
    ledger = made()
    assert isinstance(ledger.reserve(frame(0.4, band=FREE), 0), Reservation)
    assert ledger.poll_state(0) is None


def state_after(seconds, now):
    """Return the state of an orderly stop after so much airtime."""
    ledger = made()
    for _ in range(seconds):
        send(ledger, frame(1), now)
    return ledger.final_state(now)


def test_same_boot_keeps_the_times():
    state = state_after(20, 100 * SECOND_US)
    later = made(state, now=HOUR_US + 60 * SECOND_US)
    assert later.left_us(BAND, HOUR_US + 60 * SECOND_US) == 16 * SECOND_US
    assert later.left_us(BAND, HOUR_US + 120 * SECOND_US) == 36 * SECOND_US


@pytest.mark.parametrize(
    ("boot", "now"), [(b"c" * 16, 2 * HOUR_US), (BOOT, 99 * SECOND_US)], ids=["reboot", "past"]
)
def test_time_that_is_not_proven_is_as_long_ago_as_when_it_was_written(boot, now):
    later = made(state_after(20, 100 * SECOND_US), boot, now)
    assert later.left_us(BAND, now + HOUR_US - 1) == 16 * SECOND_US
    assert later.left_us(BAND, now + HOUR_US + BUCKET_US) == 36 * SECOND_US


def test_age_is_kept_over_reboots_that_have_their_clock_begin_anew():
    ledger = made()
    send(ledger, frame(20), 0)
    state = ledger.final_state(40 * MINUTE_US)
    for _ in range(3):
        assert LedgerState.decode(state).accounts[0].buckets[0].number <= 0
        ledger = made(state, BOOT[1:] + bytes([state[16] ^ 1]), 0)
        assert ledger.left_us(BAND, 0) == 16 * SECOND_US
        state = ledger.final_state(0)
    assert ledger.left_us(BAND, 20 * MINUTE_US - 1) == 16 * SECOND_US
    assert ledger.left_us(BAND, 20 * MINUTE_US + BUCKET_US) == 36 * SECOND_US


def test_claim_of_a_boot_before_counts_as_just_sent_and_late():
    ledger = made()
    ledger.reserve(frame(1.8), 0)
    later = made(save(ledger, 30 * MINUTE_US), b"c" * 16, 0)
    assert later.left_us(BAND, HOUR_US + LATE_US - 1) == (36 - 1.8) * SECOND_US


def test_state_is_written_while_nothing_is_sent_too_and_ever_more_seldom():
    ledger = made()
    send(ledger, frame(0.01), 0)
    written = []
    for minute in range(1, 50):
        if (wanted := ledger.poll_state(minute * MINUTE_US)) is not None:
            ledger.store_failed(wanted[0])
            ledger.stored(ledger.poll_state(minute * MINUTE_US)[0])
            written.append(minute)
    assert written == [1, 2, 3, 4, 6, 9, 15, 25, 35, 45]


def test_nothing_is_written_while_there_is_nothing_to_grow_old():
    assert made().poll_state(HOUR_US) is None
    ledger = made(state_after(20, 0), b"c" * 16, 0)
    assert ledger.poll_state(30 * MINUTE_US) is not None
    assert made(state_after(20, 0)).poll_state(2 * HOUR_US) is None


def spent_by_control(boots):
    """Return a ledger at the start of another boot: ones before it had control's tenth and more."""
    state = None
    for boot in range(boots):
        ledger = made(state, bytes([boot]) * 16)
        while isinstance(send(ledger, frame(0.2, CONTROL)), Reservation):
            pass
        state = ledger.final_state(0)
    return made(state, b"z" * 16)


def test_control_of_former_boots_does_not_close_the_last_beacon():
    assert isinstance(send(spent_by_control(1), frame(3.6, CONTROL)), Reservation)
    ledger = spent_by_control(1)
    for _ in range(2):
        assert isinstance(send(ledger, frame(0.2, CONTROL)), Reservation)
    refused = send(ledger, frame(0.2, CONTROL))
    assert refused.reason is DropReason.AIRTIME_SHARE


def test_what_control_has_in_each_boot_is_within_the_law_and_leaves_text_its_place():
    assert spent_by_control(20).left_us(BAND, 0) > 0.6 * 36 * SECOND_US
    ledger = spent_by_control(120)
    assert ledger.left_us(BAND, 0) < SECOND_US
    assert send(ledger, frame(1, CONTROL)).reason is DropReason.AIRTIME_SPENT


def test_restart_within_a_boot_gives_control_nothing_more():
    ledger = made()
    while isinstance(send(ledger, frame(0.2, CONTROL)), Reservation):
        pass
    assert isinstance(send(made(ledger.final_state(0)), frame(0.2, CONTROL)), Wait)


@pytest.mark.parametrize("minutes", [5, 55])
def test_power_that_fails_all_day_silences_nobody(minutes):
    """Each boot has a burst of beacons at its start, one each five minutes and four texts."""
    state, starts = None, []
    for boot in range(24 * 60 // minutes):
        ledger = made(state, boot.to_bytes(16), 20 * SECOND_US)
        ledger.prepare(BAND)
        gone = [0, 0]
        for half in range(2 * minutes):
            now = 20 * SECOND_US + half * MINUTE_US // 2
            if (wanted := ledger.poll_state(now)) is not None:
                ledger.stored(wanted[0])
                state = wanted[1]
            if half < 6 or half % 10 == 0:
                gone[0] += isinstance(send(ledger, frame(0.225, CONTROL), now), Reservation)
            if half % 30 == 1:
                gone[1] += isinstance(send(ledger, frame(0.2, OWN, TEXT), now), Reservation)
        starts.append(gone)
    assert min(beacons for beacons, _ in starts) >= (1 if minutes < 10 else 6)
    assert all(texts == -(-minutes // 15) for _, texts in starts)


@pytest.mark.parametrize(("seconds", "beacons", "texts"), [(60, 0.4, 0.1), (120, 1.5, 0.3)])
def test_power_that_fails_each_minute_or_two_leaves_most_of_what_the_law_leaves(
    seconds, beacons, texts
):
    """A beacon each twenty seconds and a text a boot; an hour's hundredth is 0.6 s of a minute."""
    state, gone = None, []
    for boot in range(8 * 3600 // seconds):
        ledger = made(state, boot.to_bytes(16), 20 * SECOND_US)
        ledger.prepare(BAND)
        gone.append([0, 0])
        for second in range(20, 20 + seconds, 5):
            now = second * SECOND_US
            if (wanted := ledger.poll_state(now)) is not None:
                ledger.stored(wanted[0])
                state = wanted[1]
            if second % 20 == 0:
                went = send(ledger, frame(0.225, CONTROL), now)
                gone[-1][0] += isinstance(went, Reservation)
            if second == 25:
                went = send(ledger, frame(0.2, OWN, TEXT), now)
                gone[-1][1] += isinstance(went, Reservation)
    last = gone[len(gone) // 2 :]
    assert sum(row[0] for row in last) >= beacons * len(last)
    assert sum(row[1] for row in last) >= texts * len(last)


def test_crash_costs_what_was_claimed_and_no_more():
    ledger = made()
    ledger.reserve(frame(1.8), 0)
    state = save(ledger)
    for _ in range(18):
        ledger.settle(ledger.reserve(frame(0.1), 0).number, 0, airtime_us=None)
    assert made(state).left_us(BAND, 0) == (36 - 1.8) * SECOND_US


def test_starts_that_say_little_leave_most_of_the_hour():
    state = None
    for start in range(50):
        ledger = made(state, bytes([start]) * 16)
        ledger.prepare(BAND)
        state = save(ledger)
    assert made(state).left_us(BAND, 0) > 0.8 * 36 * SECOND_US


def test_claims_grow_to_a_twentieth_of_the_hour():
    ledger, claims = made(), []
    ledger.prepare(BAND)
    for _ in range(200):
        if (wanted := ledger.poll_state(0)) is not None:
            ledger.stored(wanted[0])
            claims += [account.claim_us for account in LedgerState.decode(wanted[1]).accounts]
        send(ledger, frame(0.1))
    assert claims[:2] == [112_500, 225_000] and max(claims) == 1_800_000


def test_frame_that_was_under_way_counts_after_a_crash():
    ledger = made()
    ledger.reserve(frame(1.8), 0)
    save(ledger)
    ledger.reserve(frame(1.8), 0)
    ledger.reserve(frame(1.8), 0)
    state = save(ledger)
    assert made(state).left_us(BAND, 0) == 32_400_000


def test_new_state_never_covers_less_than_may_still_be_used():
    ledger = made()
    ledger.reserve(frame(1.8), 0)
    save(ledger)
    first = ledger.reserve(frame(1), 0)
    ledger.settle(first.number, 0, airtime_us=None)
    ledger.assume_spent(0)
    state = save(ledger)
    now = HOUR_US + LATE_US + BUCKET_US
    used = ledger.reserve(frame(0.8), now)
    assert isinstance(used, Reservation)
    assert made(state, now=now).left_us(BAND, now) <= (36 - 0.8) * SECOND_US


def test_damaged_state_counts_as_a_whole_hour():
    state = bytearray(state_after(1, 0))
    state[3] ^= 1
    with pytest.raises(WireError):
        LedgerState.decode(bytes(state))
    assert made(bytes(state)).left_us(BAND, 0) == 0


def test_state_of_more_bands_than_fit_counts_as_a_whole_hour():
    bucket = Bucket(0, own_us=SECOND_US)
    accounts = tuple(
        Account(500_000_000 + number, 500_000_001 + number, 0, (bucket,))
        for number in range(ACCOUNTS_MAX)
    )
    later = made(LedgerState(BOOT, 0, accounts).encode())
    assert later.left_us(BAND, 0) == 0
    assert len(LedgerState.decode(later.final_state(0)).accounts) <= ACCOUNTS_MAX


def test_state_that_nobody_asked_to_store_is_a_mistake_of_ours():
    ledger = made()
    with pytest.raises(UsageError, match="not being stored"):
        ledger.stored(0)
    ledger.store_failed(7)


def test_card_that_was_rolled_back_has_spent_all_once_somebody_says_so():
    ledger = made(state_after(1, 0))
    ledger.assume_spent(0)
    assert ledger.left_us(BAND, 0) == 0
    assert ledger.left_us(BAND, HOUR_US + LATE_US + BUCKET_US) == 36 * SECOND_US


def test_airtime_of_another_region_counts_where_the_bands_meet():
    state = state_after(20, 0)
    other = SubBand("x", 868_500_000, 869_000_000, 14, "erp", 10_000)
    apart = SubBand("y", 869_000_000, 870_000_000, 14, "erp", 10_000)
    there = made(state, law=Law("YY", (other, apart)))
    assert there.left_us(other, 0) == 16 * SECOND_US
    assert there.left_us(apart, 0) == 36 * SECOND_US
    assert made(there.final_state(0)).left_us(BAND, 0) == 16 * SECOND_US


def test_status_tells_fifteen_seconds_an_hour_and_what_is_left():
    ledger = made()
    send(ledger, frame(2), 0)
    send(ledger, frame(1), 20 * SECOND_US)
    here, free = ledger.status(21 * SECOND_US)
    assert here == (
        *("M", 36 * SECOND_US, 1 * SECOND_US),
        *(3 * SECOND_US, 33 * SECOND_US, (0, 0, 3 * SECOND_US, 0)),
    )
    assert free.spent_hour_us == 0 and free.limit_us == HOUR_US
    assert ledger.status(40 * SECOND_US)[0].spent_15_s_us == 0


def test_clock_that_steps_back_frees_nothing():
    ledger = made(now=10 * HOUR_US)
    for _ in range(36):
        send(ledger, frame(1), 10 * HOUR_US)
    assert isinstance(ledger.reserve(frame(1), 0), Wait)
    assert ledger.left_us(BAND, 11 * HOUR_US + BUCKET_US) == 36 * SECOND_US


def test_state_of_a_busy_hour_is_small():
    ledger, state = made(), b""
    for second in range(0, 4000, 5):
        if ledger.poll_state(second * SECOND_US) is not None:
            ledger.stored(ledger._saving)
        send(ledger, frame(0.04), second * SECOND_US)
        state = ledger.final_state(second * SECOND_US)
    assert len(LedgerState.decode(state).accounts[0].buckets) <= 122 < 256
    assert len(state) < 2_600


def test_reservations_that_nobody_settles_are_a_mistake_of_ours():
    ledger = made()
    for _ in range(RESERVATIONS_MAX):
        ledger.reserve(frame(0.001, band=FREE), 0)
    with pytest.raises(UsageError, match="nobody settled"):
        ledger.reserve(frame(0.001, band=FREE), 0)


@pytest.mark.parametrize("wrong", [frame(0), frame(1, Share.UNKNOWN)])
def test_airtime_must_be_somebodys_and_some(wrong):
    with pytest.raises(UsageError):
        made().reserve(wrong, 0)


def test_boot_must_be_told_apart():
    with pytest.raises(UsageError, match="16 bytes"):
        made(boot=b"short")


def test_own_data_of_a_priority_know_what_is_left_to_them():
    ledger = made()
    ledger.reserve(frame(1), 0)
    save(ledger)
    left_us, hour_us = ledger.own_us(BAND, BULK, 0)
    assert left_us == hour_us == (60 - 10) * 36 * SECOND_US // 100
    number = ledger.reserve(frame(1, priority=BULK), 0).number
    ledger.settle(number, 0, airtime_us=SECOND_US)
    assert ledger.own_us(BAND, BULK, 0) == (left_us - SECOND_US, hour_us)
    ledger.assume_spent(0)
    assert ledger.own_us(BAND, BULK, 0) == (0, hour_us)


def test_when_bulk_may_send_so_much_again_is_when_as_much_is_an_hour_old():
    ledger = made()
    left_us, _ = ledger.own_us(BAND, BULK, 0)
    assert ledger.own_at_us(BAND, 0, 5) == 5
    assert ledger.own_at_us(BAND, 1, 5) == 5 + BUCKET_US, "it is not known what frees it"
    for start_us in (0, 10 * MINUTE_US):
        ledger.charge(BAND, SECOND_US, start_us)
    assert ledger.own_at_us(BAND, SECOND_US, 11 * MINUTE_US) == HOUR_US + BUCKET_US
    later_us = ledger.own_at_us(BAND, SECOND_US + 1, 11 * MINUTE_US)
    assert later_us == HOUR_US + 10 * MINUTE_US + BUCKET_US
    assert ledger.own_us(BAND, BULK, later_us)[0] == left_us
