"""The LoRa air under any traffic: what no radio could do, none does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.airtime import Modulation, airtime_us
from meshd.simulation.media.lora import PREAMBLE_NEEDED, LoraAir, Radio, RadioSetting
from meshd.simulation.schedule import Schedule

SF9 = Modulation(9, 125_000, 1, 8)
SPARE_US = (SF9.preamble - PREAMBLE_NEEDED) * SF9.symbol_us
COUNT = 4


@settings(max_examples=150, deadline=None)
@given(
    losses=st.lists(st.floats(100, 155), min_size=COUNT**2, max_size=COUNT**2),
    sends=st.lists(
        st.tuples(st.integers(0, COUNT - 1), st.integers(0, 2_000_000), st.integers(2, 80)),
        max_size=25,
    ),
)
def test_radio_hears_one_frame_at_a_time_and_none_while_it_sends(losses, sends):
    schedule = Schedule(1)
    radios = [Radio(str(number), RadioSetting(SF9)) for number in range(COUNT)]
    air = LoraAir(schedule, lambda one, other: losses[int(one.name) * COUNT + int(other.name)])
    sent, heard = [[] for _ in radios], [[] for _ in radios]
    for number, radio in enumerate(radios):
        air.attach(radio)

        def received(frame, rssi_dbm, snr_db, number=number):
            assert snr_db >= SF9.snr_limit_db
            heard[number].append((schedule.now - airtime_us(SF9, len(frame)), schedule.now))

        radio.received = received

    def send(number, order, size):
        if not radios[number].sending:
            frame = bytes((order,)) * size
            now = schedule.now
            sent[number].append((now, now + radios[number].transmit(frame, "data")))

    for order, (number, at_us, size) in enumerate(sends):
        schedule.at(at_us, send, number, order, size)
    schedule.run(60_000_000)
    flights = sum(map(len, sent))
    for number, radio in enumerate(radios):
        assert sum(radio.fates.values()) <= flights - len(sent[number])
        assert radio.fates["received"] == len(heard[number])
        assert not radio.busy() and not radio._present
        for start, end in heard[number]:
            assert all(start + SPARE_US >= e or end <= s for s, e in sent[number])
            others = [one for one in heard[number] if one != (start, end)]
            assert all(start + SPARE_US >= e or s + SPARE_US >= end for s, e in others)
