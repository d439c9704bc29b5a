"""One radio's queue and slots: urgency, fairness, bounds, slots, the law in the way."""

from random import Random

import pytest

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.law import Law, SubBand
from meshd.link.access import TRIES_MAX, Access, Manners
from meshd.link.account import Share
from meshd.link.ledger import Ledger, Priority
from meshd.link.queue import (
    INGRESSES_MAX,
    LIFE_US,
    QUEUE_MAX,
    Outgoing,
    TransmitQueue,
)
from meshd.wire.lora_frame import FrameKind

SECOND_US = 1_000_000
MODULATION = Modulation(7, 125_000)
FREE = SubBand("F", 902_000_000, 928_000_000, 30, "eirp")
STRICT = SubBand("M", 868_000_000, 868_600_000, 14, "erp", 10_000)
LISTENS = Manners(listens=True)
A, B, C = b"a" * 10, b"b" * 10, b"c" * 10


def out(text, priority=Priority.TEXT, ingress=b"", share=Share.OWN):
    return Outgoing(FrameKind.LOCAL, text, share, priority, ingress=ingress)


class Radio:
    """An access with a modem that takes every frame at once."""

    def __init__(self, manners=LISTENS, band=FREE, modulation=MODULATION, seed=1):
        self.drops = Drops()
        self.ledger = Ledger(Law("XX", (band,)), boot=bytes(16), now=0, state=None)
        self.modulation = modulation
        self.access = Access(
            self.ledger,
            band,
            modulation,
            manners=manners,
            rng=Random(seed),
            drops=self.drops,
            link="lora0",
        )

    def go(self, now):
        return self.access.poll_go(now, lambda size: airtime_us(self.modulation, size))

    def send_all(self, now):
        """Send whatever may go, without time passing; return the texts in order."""
        texts = []
        while (go := self.go(now)) is not None:
            texts.append(go.outgoing.plaintext)
            self.access.sent(now)
        return texts

    def save(self, now):
        number, _ = self.ledger.poll_state(now)
        self.ledger.stored(number)


# --- order and bounds -----------------------------------------------------------------------------


def test_the_most_urgent_goes_first():
    radio = Radio()
    for priority in sorted(Priority, reverse=True):
        radio.access.send(out(priority.name.encode(), priority), 0)
    assert radio.send_all(0) == [b"DISTRESS", b"TEXT", b"MEMBERSHIP", b"DOCUMENT", b"BULK"]


def test_neighbours_share_the_air_in_equal_parts_whoever_came_first():
    radio = Radio()
    for number in range(4):
        radio.access.send(out(b"a%d" % number, ingress=A), 0)
    for number in range(2):
        radio.access.send(out(b"b%d" % number, ingress=B), 0)
    assert radio.send_all(0) == [b"a0", b"b0", b"a1", b"b1", b"a2", b"a3"]


def test_newcomer_catches_up_with_nobodys_past():
    radio = Radio()
    for number in range(10):
        radio.access.send(out(b"a%d" % number, ingress=A), 0)
    radio.send_all(0)
    for number in range(3):
        radio.access.send(out(b"a%d" % number, ingress=A), 0)
        radio.access.send(out(b"b%d" % number, ingress=B), 0)
    first = [text[:1] for text in radio.send_all(0)]
    assert first in ([b"b", b"a"] * 3, [b"b", b"b", b"a", b"b", b"a", b"a"], [b"a", b"b"] * 3)


def test_full_queue_takes_from_whoever_has_most_of_the_least_urgent():
    radio = Radio()
    radio.access.send(out(b"mine", Priority.BULK), 0)
    for number in range(QUEUE_MAX):
        radio.access.send(out(b"%d" % number, Priority.BULK, A), 0)
    assert len(radio.access) == QUEUE_MAX
    assert radio.drops.total(DropReason.LORA_QUEUE_FULL) == 1
    assert radio.access.send(out(b"help", Priority.DISTRESS), 0)
    assert not radio.access.send(out(b"more", Priority.BULK, A), 0)
    texts = radio.send_all(0)
    assert texts[0] == b"help" and b"mine" in texts and b"more" not in texts


def test_those_who_were_served_are_remembered_within_bounds():
    queue = TransmitQueue(Drops(), "lora0")
    for number in range(INGRESSES_MAX + 5):
        queue.served(number.to_bytes(10, "big"), 1)
        queue.put(out(b"x", ingress=number.to_bytes(10, "little")), 0)
    assert len(queue._served_us) <= INGRESSES_MAX


def test_what_waited_too_long_is_dropped_by_name():
    radio = Radio()
    radio.access.send(out(b"late"), 0)
    assert radio.go(LIFE_US[Priority.TEXT]) is None
    assert radio.drops.total(DropReason.LORA_QUEUE_LATE) == 1


# --- slots ----------------------------------------------------------------------------------------


def test_own_frame_waits_longer_on_a_busy_channel_and_not_at_all_where_the_modem_listens():
    def mean_wait(busy_us, manners):
        total = 0
        for seed in range(200):
            radio = Radio(manners, seed=seed)
            for _ in range(60):
                radio.access.heard(busy_us // 60, 0)
            radio.access._quiet_us = 0
            radio.access.send(out(b"x"), 0)
            total += radio.access.poll_timeout()
        return total / 200

    assert mean_wait(0, LISTENS) == 0
    assert 0 < mean_wait(0, Manners()) < mean_wait(60 * SECOND_US, Manners()) / 10


def test_frame_that_was_heard_makes_others_wait_for_a_slot_of_their_own():
    waits = set()
    for seed in range(20):
        radio = Radio(Manners(), seed=seed)
        radio.access.send(out(b"x"), 0)
        radio.access.heard(300_000, 10 * SECOND_US)
        waits.add(radio.access.poll_timeout())
    assert min(waits) >= 10 * SECOND_US and len(waits) > 4


def test_one_frame_at_a_time():
    radio = Radio()
    radio.access.send(out(b"1"), 0)
    radio.access.send(out(b"2"), 0)
    assert radio.go(0) is not None
    assert radio.go(0) is None and radio.access.poll_timeout() is None
    radio.access.sent(0)
    assert radio.go(0).outgoing.plaintext == b"2"
    radio.access.sent(0)
    with pytest.raises(UsageError):
        radio.access.sent(0)


def test_frame_that_found_the_channel_taken_is_tried_again_a_few_times():
    radio, now, tries = Radio(), 0, 0
    radio.access.send(out(b"x"), 0)
    while (now := radio.access.poll_timeout()) is not None:
        assert radio.go(now) is not None
        radio.access.not_sent(now, reason=DropReason.MODEM_CHANNEL_TAKEN)
        tries += 1
    assert tries == TRIES_MAX
    assert radio.drops.total(DropReason.MODEM_CHANNEL_TAKEN) == 1
    assert radio.ledger.status(now or 0)[0].spent_hour_us == 0


def test_frame_of_a_silent_modem_counts_and_is_not_sent_twice():
    radio = Radio()
    radio.access.send(out(b"x"), 0)
    go = radio.go(0)
    radio.access.not_sent(0, reason=DropReason.MODEM_SILENT, maybe=True)
    assert radio.access.poll_timeout() is None
    assert radio.ledger.status(0)[0].spent_hour_us == go.airtime_us


# --- the law --------------------------------------------------------------------------------------


def test_nothing_goes_before_the_disk_holds_the_claim():
    radio = Radio(band=STRICT)
    radio.access.send(out(b"x"), 0)
    assert radio.go(0) is None
    assert radio.access.poll_timeout() == SECOND_US
    radio.save(0)
    assert radio.go(SECOND_US) is not None


def test_spent_hour_holds_bulk_back_and_lets_distress_go():
    radio = Radio(band=STRICT, modulation=Modulation(12, 125_000))
    now = 0
    for number in range(40):
        radio.access.send(out(b"%d" % number, Priority.BULK), now)
    for _ in range(100):
        if radio.ledger.poll_state(now) is not None:
            radio.ledger.stored(radio.ledger._saving)
        radio.send_all(now)
        now += SECOND_US
    assert 0 < len(radio.access) < 40
    assert radio.access.poll_timeout() > 3000 * SECOND_US
    radio.access.send(out(b"help", Priority.DISTRESS), now)
    if radio.go(now) is None:
        radio.save(now)
    assert b"help" in radio.send_all(now) or radio.access._flight.waiting.outgoing.plaintext == (
        b"help"
    )


def test_frame_that_the_law_never_allows_is_dropped_and_blocks_nobody():
    radio = Radio(band=FREE._replace(dwell_us=60_000))
    radio.access.send(out(bytes(200), Priority.DISTRESS), 0)
    radio.access.send(out(b"x"), 0)
    assert radio.send_all(0) == [b"x"]
    assert radio.drops.total(DropReason.AIRTIME_TOO_LONG) == 1


def test_share_that_is_used_up_blocks_only_itself():
    radio = Radio(band=STRICT)
    table = out(bytes(225), share=Share.CONTROL)
    for now in range(0, 60 * SECOND_US, SECOND_US):
        radio.access.send(table._replace(plaintext=now.to_bytes(200, "big")), now)
        if radio.ledger.poll_state(now) is not None:
            radio.ledger.stored(radio.ledger._saving)
        radio.send_all(now)
    assert len(radio.access) > 30
    radio.access.send(out(b"x", Priority.BULK), now)
    assert radio.send_all(now) == [b"x"]


# --- a board that sends by itself -----------------------------------------------------------------


def spent_us(radio, now):
    return radio.ledger.status(now)[0].spent_hour_us


def test_what_a_board_sent_by_itself_is_counted_once():
    radio = Radio()
    radio.access.send(out(b"ours"), 0)
    radio.send_all(SECOND_US)
    ours_us = spent_us(radio, SECOND_US)
    radio.access.board_aired(ours_us, 600 * SECOND_US, 2 * SECOND_US)
    assert spent_us(radio, 2 * SECOND_US) == ours_us
    for _ in range(3):
        radio.access.board_aired(ours_us + SECOND_US, 600 * SECOND_US, 3 * SECOND_US)
        assert spent_us(radio, 3 * SECOND_US) == ours_us + SECOND_US


def test_a_frame_under_way_is_ours():
    radio = Radio()
    radio.access.send(out(b"ours"), 0)
    go = radio.go(SECOND_US)
    radio.access.board_aired(go.airtime_us, 600 * SECOND_US, 2 * SECOND_US)
    radio.access.sent(3 * SECOND_US)
    assert spent_us(radio, 3 * SECOND_US) == go.airtime_us


def test_a_board_that_restarted_begins_to_count_anew():
    radio = Radio()
    radio.access.board_aired(30 * SECOND_US, 900 * SECOND_US, 1_000 * SECOND_US)
    radio.access.board_aired(5 * SECOND_US, 60 * SECOND_US, 1_200 * SECOND_US)
    assert spent_us(radio, 1_200 * SECOND_US) == 35 * SECOND_US


def test_a_board_that_used_up_the_hour_leaves_none():
    radio = Radio(band=STRICT)
    radio.access.board_aired(36 * SECOND_US, 900 * SECOND_US, 1_000 * SECOND_US)
    radio.access.send(out(b"ours", Priority.DISTRESS), 1_000 * SECOND_US)
    assert radio.go(1_001 * SECOND_US) is None
    assert radio.ledger.left_us(STRICT, 1_001 * SECOND_US) == 0


def test_what_the_disk_holds_of_the_hour_is_not_counted_again():
    radio = Radio(band=STRICT)
    radio.access.board_aired(9 * SECOND_US, 900 * SECOND_US, 1_000 * SECOND_US)
    state = radio.ledger.final_state(1_010 * SECOND_US)
    law = Law("XX", (STRICT,))
    again = Ledger(law, boot=bytes(16), now=1_020 * SECOND_US, state=state)
    access = Access(
        again, STRICT, MODULATION, manners=LISTENS, rng=Random(1), drops=Drops(), link="lora0"
    )
    access.board_aired(9 * SECOND_US, 920 * SECOND_US, 1_030 * SECOND_US)
    assert again.status(1_030 * SECOND_US)[0].spent_hour_us == 9 * SECOND_US
