"""Any traffic, any answers of the modem, in any order: bounded, within the law, never stuck."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.drops import DropReason, Drops
from meshd.core.law import HOUR_US, Law, SubBand
from meshd.link.access import Access, Manners
from meshd.link.account import Share
from meshd.link.ledger import LATE_US, Ledger, Priority
from meshd.link.queue import QUEUE_MAX, Outgoing
from meshd.wire.lora_frame import FrameKind

MODULATION = Modulation(9, 125_000)
BAND = SubBand("M", 868_000_000, 868_600_000, 14, "erp", 10_000)
SECOND_US = 1_000_000

frames = st.builds(
    Outgoing,
    st.sampled_from([FrameKind.LOCAL, FrameKind.ROUTED]),
    st.binary(max_size=200),
    st.sampled_from([Share.CONTROL, Share.RELAYED, Share.OWN]),
    st.sampled_from(Priority),
    ingress=st.sampled_from([b"", b"a" * 10, b"b" * 10]),
)
moves = st.one_of(
    st.tuples(st.just("send"), st.lists(frames, max_size=20)),
    st.tuples(st.just("heard"), st.integers(0, 3 * SECOND_US)),
    st.tuples(st.just("wait"), st.sampled_from([1, SECOND_US, 60 * SECOND_US, HOUR_US])),
    st.tuples(st.just("modem"), st.sampled_from(["sent", "longer", "taken", "silent"])),
    st.tuples(st.just("store"), st.booleans()),
)


class Radio:
    def __init__(self, manners):
        self.now = 0
        self.ledger = Ledger(Law("XX", (BAND,)), boot=bytes(16), now=0, state=None)
        self.access = Access(
            self.ledger,
            BAND,
            MODULATION,
            manners=manners,
            rng=Random(1),
            drops=Drops(),
            link="lora0",
        )
        self.flying = None

    def go(self):
        if self.flying is None:
            self.flying = self.access.poll_go(self.now, lambda size: airtime_us(MODULATION, size))

    def land(self, how):
        if self.flying is None:
            return
        took_us, self.flying = self.flying.airtime_us, None
        if how == "sent":
            self.access.sent(self.now, took_us)
        elif how == "longer":
            self.access.sent(self.now, took_us + 10)
        else:
            reasons = {"taken": DropReason.MODEM_CHANNEL_TAKEN, "silent": DropReason.MODEM_SILENT}
            self.access.not_sent(self.now, reason=reasons[how], maybe=how == "silent")

    def store(self, good=True):
        made = self.ledger.poll_state(self.now)
        if made is not None:
            (self.ledger.stored if good else self.ledger.store_failed)(made[0])

    def move(self, what, how):
        if what == "send":
            for frame in how:
                self.access.send(frame, self.now)
        elif what == "heard":
            self.access.heard(how, self.now)
        elif what == "wait":
            self.now += how
        elif what == "modem":
            self.land(how)
        else:
            self.store(how)
        self.go()


@settings(max_examples=150)
@given(st.lists(moves, max_size=40), st.booleans())
def test_any_traffic_and_any_modem_leave_bounds_kept_and_the_queue_moving(played, listens):
    radio = Radio(Manners(listens=listens))
    for what, how in played:
        radio.move(what, how)
        assert len(radio.access) <= QUEUE_MAX + 1
        assert radio.ledger.left_us(BAND, radio.now) >= 0
    radio.land("sent")
    radio.now += HOUR_US + LATE_US
    for _ in range(500):
        radio.store()
        radio.go()
        radio.land("sent")
        due_us = radio.access.poll_timeout()
        if due_us is None:
            break
        assert due_us >= 0
        radio.now = max(radio.now, due_us)
    assert len(radio.access) == 0
