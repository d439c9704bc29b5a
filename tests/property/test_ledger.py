"""No sliding hour above the law, at any microsecond: random traffic, restarts, clocks that lie."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.core.law import HOUR_US, Law, SubBand
from meshd.link.account import Share
from meshd.link.ledger import LATE_US, Emission, Ledger, Priority, Reservation
from meshd.wire.ledger_state import Account, Bucket, LedgerState

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
THIN = SubBand("thin", 863_000_000, 865_000_000, 14, "erp", 1_000)
BROAD = SubBand("broad", 865_000_000, 868_000_000, 14, "erp", 10_000)
HERE = Law("HERE", (THIN, BROAD))
THERE = Law("THERE", (SubBand("between", 864_000_000, 866_000_000, 14, "erp", 1_000),))


class Send(NamedTuple):
    """Reserve; wait for the modem; then it took a part of the airtime, none, or fell silent."""

    band: int
    airtime_us: int
    share: Share
    priority: Priority
    delay_us: int
    outcome: str


class Pass(NamedTuple):
    """Time goes on; the clock goes at most as fast, stands, or steps back."""

    real_us: int
    told_percent: int


class Stop(NamedTuple):
    """The process ends and another begins, perhaps in another boot, after a gap."""

    orderly: bool
    reboot: bool
    gap_us: int
    start_us: int
    law: Law


class Burst(NamedTuple):
    """Send one after the other, storing what must be stored, as long as anything is granted."""

    send: Send


sends = st.builds(
    Send,
    st.integers(0, 1),
    st.sampled_from([150_000, 600_000, 1_200_000, 1_799_999, 1_800_000, 2_500_000]),
    st.sampled_from([Share.CONTROL, Share.RELAYED, Share.OWN, Share.OWN, Share.OWN]),
    st.sampled_from([Priority.DISTRESS, Priority.DISTRESS, Priority.TEXT, Priority.BULK]),
    st.sampled_from([0, 3 * SECOND_US, 20 * SECOND_US]),
    st.sampled_from(["sent", "sent", "less", "none", "silent", "open"]),
)
most = Send(0, 600_000, Share.OWN, Priority.DISTRESS, 0, "sent")
bursts = st.builds(
    lambda airtime_us, outcome: Burst(most._replace(airtime_us=airtime_us, outcome=outcome)),
    st.sampled_from([300_000, 900_000, 1_200_000]),
    st.sampled_from(["sent", "sent", "sent", "silent", "less"]),
)
passes = st.builds(
    Pass,
    st.sampled_from(
        [
            *(SECOND_US, 29 * SECOND_US, 20 * MINUTE_US, 40 * MINUTE_US),
            *(HOUR_US - 20 * SECOND_US, HOUR_US - 1, HOUR_US, HOUR_US + 31 * SECOND_US),
        ]
    ),
    st.sampled_from([100, 100, 100, 0, 50, -100]),
)
stops = st.builds(
    Stop,
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 40 * SECOND_US, 59 * MINUTE_US]),
    st.sampled_from([0, HOUR_US, 3 * HOUR_US]),
    st.sampled_from([HERE, HERE, HERE, THERE]),
)
traffic = st.one_of(bursts, bursts, st.lists(st.one_of(sends, st.sampled_from(["save", "lose"]))))
lives = st.lists(
    st.tuples(
        bursts,
        st.sampled_from([0, 61 * SECOND_US, 20 * MINUTE_US, 40 * MINUTE_US, 55 * MINUTE_US]),
        st.sampled_from([100, 100, 100, 50, -100]),
        st.sampled_from(["save", "save", "lose", "none"]),
        st.builds(
            Stop,
            st.booleans(),
            st.just(True),
            st.sampled_from([0, 7 * SECOND_US, 40 * SECOND_US]),
            st.sampled_from([0, 1, 44 * SECOND_US, 3 * HOUR_US]),
            st.sampled_from([HERE, HERE, HERE, THERE]),
        ),
    ),
    min_size=3,
    max_size=9,
)
"""Boots of less than an hour, over more than one: what was sent grows old from one to the next."""
rounds = st.lists(st.tuples(traffic, st.one_of(passes, stops)), min_size=2, max_size=8)


class Field:
    """A node with a true clock beside its own, and everything that went on the air by the truth."""

    def __init__(self, law=HERE):
        self.real = self.now = 0
        self.boot = 0
        self.disk = None
        self.sent = []
        self.ledger = None
        self.begin(law)

    def begin(self, law):
        boot = self.boot.to_bytes(16, "big")
        self.ledger = Ledger(law, boot=boot, now=self.now, state=self.disk)
        self.law = law

    def go(self, real_us, told_percent=100):
        self.real += real_us
        self.now += real_us * told_percent // 100

    def save(self, lose=False):
        made = self.ledger.poll_state(self.now)
        if made is None:
            return
        if lose:
            self.ledger.store_failed(made[0])
            return
        self.disk = made[1]
        self.ledger.stored(made[0])

    def send(self, move):
        band = self.law.sub_bands[move.band % len(self.law.sub_bands)]
        emission = Emission(band, 125_000, move.airtime_us, move.share, move.priority)
        answer = self.ledger.reserve(emission, self.now)
        if not isinstance(answer, Reservation):
            return
        self.go(move.delay_us)
        if move.outcome in ("none", "less", "sent"):
            took_us = {"none": 0, "less": move.airtime_us // 2, "sent": move.airtime_us}
            self.put(band, took_us[move.outcome])
            self.go(took_us[move.outcome])
            known_us = took_us[move.outcome] if move.outcome != "sent" else None
            self.ledger.settle(answer.number, self.now, airtime_us=known_us)
            return
        # What nobody knows of may be on the air much later, or not at all; here it is.
        self.sent.append((band, self.real + LATE_US // 2, move.airtime_us))
        if move.outcome == "silent":
            self.ledger.settle(answer.number, self.now, airtime_us=None, maybe=True)

    def burst(self, move):
        for _ in range(40):
            before = len(self.sent)
            self.send(move.send)
            if len(self.sent) == before:
                self.save()
                self.send(move.send)
            if len(self.sent) == before:
                return

    def put(self, band, took_us):
        if took_us:
            self.sent.append((band, self.real, took_us))

    def stop(self, move):
        if move.orderly:
            self.disk = self.ledger.final_state(self.now) if not self.ledger._held else self.disk
        self.real += move.gap_us
        self.now += move.gap_us
        if move.reboot:
            self.boot += 1
            self.now = move.start_us
        self.begin(move.law)

    def play(self, move):
        if isinstance(move, Send):
            self.send(move)
        elif isinstance(move, Burst):
            self.burst(move)
        elif isinstance(move, Pass):
            self.go(*move)
        elif isinstance(move, Stop):
            self.stop(move)
        else:
            self.save(lose=move == "lose")

    def worst_us(self, low_hz, high_hz):
        """Return the most airtime between two frequencies that any window of an hour has."""
        flights = [
            (start, start + length)
            for band, start, length in self.sent
            if band.low_hz < high_hz and low_hz < band.high_hz
        ]
        begins = [start for start, _ in flights] + [end - HOUR_US for _, end in flights]
        return max(
            (
                sum(max(min(end, at + HOUR_US) - max(start, at), 0) for start, end in flights)
                for at in begins
            ),
            default=0,
        )


@settings(max_examples=250)
@given(rounds)
def test_no_sliding_hour_is_above_the_law_whatever_happens(played):
    field = Field()
    for moves, between in played:
        for move in moves if isinstance(moves, list) else [moves]:
            field.play(move)
        field.play(between)
    for band in HERE.sub_bands:
        assert field.worst_us(band.low_hz, band.high_hz) <= band.airtime_us_max


@settings(max_examples=100)
@given(lives)
def test_no_sliding_hour_is_above_the_law_over_boots_of_less_than_an_hour(played):
    field = Field()
    for burst, real_us, told_percent, disk, stop in played:
        field.play(burst)
        field.go(real_us, told_percent)
        if disk != "none":
            field.play(disk)
        field.play(burst)
        field.play(stop)
    for band in HERE.sub_bands:
        assert field.worst_us(band.low_hz, band.high_hz) <= band.airtime_us_max


@given(st.lists(st.integers(20_000, 2_500_000), max_size=20))
def test_what_the_law_allows_is_not_refused(airtimes):
    """A ledger that refuses everything would keep the law too."""
    field = Field()
    for airtime_us in airtimes:
        asked = len(field.sent)
        move = Send(1, airtime_us, Share.OWN, Priority.DISTRESS, 0, "sent")
        field.play(move)
        if len(field.sent) == asked:
            field.save()
            field.play(move)
    granted = []
    for airtime_us in airtimes:
        if sum(granted) + airtime_us <= BROAD.airtime_us_max:
            granted.append(airtime_us)
    assert [length for _, _, length in field.sent] == granted


@given(st.binary(max_size=200))
def test_any_bytes_on_disk_are_a_state_or_the_whole_hour_spent(data):
    ledger = Ledger(HERE, boot=bytes(16), now=0, state=data)
    try:
        LedgerState.decode(data)
    except WireError:
        assert [ledger.left_us(band, 0) for band in HERE.sub_bands] == [0, 0]


numbers = st.integers(-(1 << 31), (1 << 31) - 1)
buckets = st.builds(Bucket, numbers, *[st.integers(0, 0xFFFFFFFF)] * 4)
accounts = st.builds(
    Account,
    *[st.integers(0, 0xFFFFFFFF)] * 3,
    st.lists(buckets, max_size=4).map(tuple),
)
states = st.builds(
    LedgerState,
    st.binary(min_size=16, max_size=16),
    st.integers(0, (1 << 64) - 1),
    st.lists(accounts, max_size=5).map(tuple),
)


@given(states, st.integers(min_value=0))
def test_state_comes_back_and_no_flipped_bit_is_believed(state, place):
    data = state.encode()
    assert LedgerState.decode(data) == state
    flipped = bytearray(data)
    flipped[place // 8 % len(data)] ^= 1 << place % 8
    try:
        LedgerState.decode(bytes(flipped))
    except WireError:
        return
    raise AssertionError("a flipped bit was believed")
