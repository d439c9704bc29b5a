"""The LoRa air: who hears what, with losses written down by hand between a few radios."""

import pytest

from meshd.core.airtime import Modulation, airtime_us, noise_dbm
from meshd.core.errors import UsageError
from meshd.simulation.media.lora import COLLIDED, DEAF, LoraAir, Radio, RadioSetting
from meshd.simulation.media.modules import Module, module_of
from meshd.simulation.schedule import Schedule

SF9 = Modulation(9, 125_000, 1, 8)
EDGE_DB = 14.0 - noise_dbm(SF9.bandwidth_hz) - SF9.snr_limit_db
"""The loss at which a radio is only just understood."""
SECOND = 1_000_000


class Bench:
    """Radios by letter; `losses` has dB a pair ("ab"), or a direction where both are given."""

    def __init__(self, losses, *, settings=None, strangers=0.0, seed=1):
        self.schedule = Schedule(seed)
        self.losses = losses
        self.heard = []
        self.sent = []
        self.told = []
        self.air = LoraAir(self.schedule, self.loss_db, strangers=strangers, told=self.tell)
        self.radio = {}
        for name in sorted({letter for pair in losses for letter in pair}):
            setting = (settings or {}).get(name, RadioSetting(SF9))
            radio = self.radio[name] = Radio(name, setting)
            radio.received = lambda frame, rssi, snr, name=name: self.heard.append((name, frame))
            radio.sent = lambda name=name: self.sent.append((self.schedule.now, name))
            self.air.attach(radio)

    def loss_db(self, sender, hearer):
        there = self.losses.get(sender.name + hearer.name)
        return self.losses.get(hearer.name + sender.name, 999.0) if there is None else there

    def tell(self, radio, purpose, size, airtime):
        self.told.append((radio.name, purpose, size, airtime))

    def send_at(self, at_us, name, frame):
        self.schedule.at(at_us, self.radio[name].transmit, frame, "data")

    def run(self):
        self.schedule.run(60 * SECOND)
        return self.heard


def test_frame_arrives_after_its_airtime_and_its_purpose_is_told():
    bench = Bench({"ab": 100.0})
    bench.radio["a"].transmit(bytes(20), "data")
    bench.schedule.run(airtime_us(SF9, 20) - 1)
    assert bench.heard == []
    bench.schedule.run(1)
    assert bench.heard == [("b", bytes(20))]
    assert bench.sent == [(airtime_us(SF9, 20), "a")]
    assert bench.told == [("a", "data", 20, airtime_us(SF9, 20))]


def test_strength_is_told_to_the_receiver():
    bench = Bench({"ab": 100.0})
    got = []
    bench.radio["b"].received = lambda frame, rssi, snr: got.append((rssi, snr))
    bench.send_at(0, "a", b"x")
    bench.run()
    assert got == [(-86.0, pytest.approx(31.03, abs=0.01))]


@pytest.mark.parametrize("beyond_db, hears", [(-0.1, True), (0.1, False)])
def test_signal_below_the_limit_is_not_understood(beyond_db, hears):
    bench = Bench({"ab": EDGE_DB + beyond_db})
    bench.send_at(0, "a", b"x")
    assert bool(bench.run()) is hears


def test_link_that_works_one_way_only():
    bench = Bench({"ab": 100.0, "ba": EDGE_DB + 3})
    bench.send_at(0, "a", b"there")
    bench.send_at(5 * SECOND, "b", b"back")
    assert bench.run() == [("b", b"there")]
    assert bench.air.link(bench.radio["a"], bench.radio["b"]) is not None
    assert bench.air.link(bench.radio["b"], bench.radio["a"]) is None


def test_sender_hears_nothing():
    bench = Bench({"ab": 100.0, "ac": 100.0, "bc": 999.0})
    bench.send_at(0, "a", bytes(100))
    bench.send_at(10_000, "b", b"lost")
    bench.run()
    assert ("a", b"lost") not in bench.heard
    assert bench.radio["a"].fates[DEAF] == 1


def test_who_starts_to_send_loses_the_frame_it_was_hearing():
    bench = Bench({"ab": 100.0})
    bench.send_at(0, "a", bytes(100))
    bench.send_at(200_000, "b", b"x")
    assert ("b", bytes(100)) not in bench.run()


def test_hidden_senders_collide_at_the_one_between():
    bench = Bench({"ab": 100.0, "bc": 100.0})
    bench.send_at(0, "a", bytes(50))
    bench.send_at(100_000, "c", bytes(50))
    assert bench.run() == []
    assert bench.radio["b"].fates[COLLIDED] == 2
    assert not bench.radio["c"].busy()


def test_stronger_frame_survives_a_later_weaker_one():
    bench = Bench({"ab": 100.0, "cb": 106.5})
    bench.send_at(0, "a", b"strong" * 8)
    bench.send_at(100_000, "c", b"weak")
    assert bench.run() == [("b", b"strong" * 8)]


def test_less_than_6_db_is_no_capture():
    bench = Bench({"ab": 100.0, "cb": 105.5})
    bench.send_at(0, "a", b"strong" * 8)
    bench.send_at(100_000, "c", b"weak")
    assert bench.run() == []


def test_stronger_frame_wins_the_receiver_over_before_it_has_locked():
    bench = Bench({"ab": 110.0, "cb": 100.0})
    bench.send_at(0, "a", b"weak" * 8)
    bench.send_at(SF9.preamble_us - 1, "c", b"strong")
    assert bench.run() == [("b", b"strong")]


def test_stronger_frame_only_spoils_once_the_receiver_has_locked():
    bench = Bench({"ab": 110.0, "cb": 100.0})
    bench.send_at(0, "a", b"weak" * 8)
    bench.send_at(SF9.preamble_us, "c", b"strong")
    assert bench.run() == []


def test_first_symbols_of_a_preamble_may_be_lost():
    """A frame that begins while another ends is heard if five symbols of its preamble are."""
    bench = Bench({"ab": 100.0, "cb": 100.0})
    end_us = airtime_us(SF9, 10)
    spare_us = (SF9.preamble - 5) * SF9.symbol_us
    bench.send_at(0, "a", bytes(10))
    bench.send_at(end_us - spare_us, "c", b"late")
    assert bench.run() == [("b", b"late")]


def test_frames_one_after_the_other_do_not_meet():
    bench = Bench({"ab": 100.0, "cb": 100.0})
    bench.send_at(0, "a", b"one")
    bench.send_at(airtime_us(SF9, 3), "c", b"two")
    assert bench.run() == [("b", b"one"), ("b", b"two")]


def test_signal_too_weak_to_be_understood_still_spoils():
    bench = Bench({"ab": EDGE_DB - 1, "cb": EDGE_DB + 3})
    bench.send_at(0, "a", bytes(50))
    bench.send_at(100_000, "c", bytes(50))
    assert bench.run() == []


def test_spreading_factors_do_not_hear_each_other():
    other = RadioSetting(Modulation(7, 125_000, 1, 8))
    bench = Bench({"ab": 100.0, "bc": 100.0}, settings={"c": other})
    bench.send_at(0, "a", bytes(50))
    bench.send_at(100_000, "c", bytes(50))
    assert bench.run() == [("b", bytes(50))]


def test_coding_rates_do_hear_each_other():
    other = RadioSetting(Modulation(9, 125_000, 4, 12))
    bench = Bench({"ab": 100.0}, settings={"b": other})
    bench.send_at(0, "a", b"x")
    assert bench.run() == [("b", b"x")]


def busy_at(bench, name, at_us):
    answer = []
    bench.schedule.at(at_us, lambda: answer.append(bench.radio[name].busy()))
    bench.run()
    return answer[0]


@pytest.mark.parametrize(
    "loss_db, at_us, taken",
    [
        (100.0, 100_000, True),
        (EDGE_DB + 2.9, 100_000, True),
        (EDGE_DB + 3.1, 100_000, False),
        (100.0, 10_000, False),
        (100.0, airtime_us(SF9, 50), False),
    ],
    ids=["heard", "noticed", "too weak", "only just begun", "over"],
)
def test_detection_finds_what_the_radio_could_hear(loss_db, at_us, taken):
    bench = Bench({"ab": loss_db})
    bench.send_at(0, "a", bytes(50))
    assert busy_at(bench, "b", at_us) is taken


def test_own_frame_keeps_the_radio_busy():
    bench = Bench({"ab": 999.0})
    bench.send_at(0, "a", bytes(50))
    assert busy_at(bench, "a", 1_000)


def test_strangers_take_their_share_of_the_channel():
    bench = Bench({"ab": 100.0}, strangers=0.05)
    found = sum(bench.radio["a"].busy() for _ in range(10_000))
    assert 400 < found < 600


def test_module_adds_its_bytes():
    bench = Bench({"ab": 100.0}, settings={"a": RadioSetting(SF9, module=Module(added_bytes=8))})
    assert bench.radio["a"].transmit(bytes(20), "data") == airtime_us(SF9, 28)


def test_module_takes_no_longer_frames_than_it_does():
    bench = Bench({"ab": 100.0}, settings={"a": RadioSetting(SF9, module=module_of("reyax"))})
    with pytest.raises(UsageError, match="193 bytes; reyax takes 192"):
        bench.radio["a"].transmit(bytes(193), "data")
    assert bench.radio["a"].transmit(bytes(192), "data") == airtime_us(SF9, 240 + 8)


def test_what_cannot_be_sent_is_refused():
    bench = Bench({"ab": 100.0})
    radio = bench.radio["a"]
    with pytest.raises(UsageError, match="256 bytes"):
        radio.transmit(bytes(256), "data")
    radio.transmit(b"x", "data")
    with pytest.raises(UsageError, match="still sending"):
        radio.transmit(b"x", "data")
    bench.air.detach(radio)
    with pytest.raises(UsageError, match="no air"):
        radio.transmit(b"x", "data")


def test_radio_that_loses_its_power_is_cut_off_and_hears_nothing():
    bench = Bench({"ab": 100.0, "ac": 100.0})
    bench.send_at(0, "a", b"one")
    bench.schedule.at(10_000, lambda: bench.air.detach(bench.radio["b"]))
    bench.send_at(5 * SECOND, "a", b"two")
    bench.schedule.at(5 * SECOND + 10_000, lambda: bench.air.detach(bench.radio["a"]))
    assert bench.run() == [("c", b"one")]
    assert bench.sent == [(airtime_us(SF9, 3), "a")]
    bench.air.attach(bench.radio["a"])
    bench.air.attach(bench.radio["b"])
    bench.radio["a"].transmit(b"three", "data")
    bench.run()
    assert ("b", b"three") in bench.heard


def test_moving_changes_who_hears():
    bench = Bench({"ab": 999.0, "ac": 100.0})
    bench.send_at(0, "a", b"one")
    bench.run()
    bench.losses["ab"] = 100.0
    bench.air.moved(bench.radio["b"])
    assert bench.air.audible(bench.radio["a"]) == [bench.radio["c"], bench.radio["b"]]
    bench.radio["a"].transmit(b"two", "data")
    assert bench.run() == [("c", b"one"), ("c", b"two"), ("b", b"two")]


def test_two_runs_of_one_seed_are_equal():
    def run(seed):
        names = "abcdefgh"
        pairs = {one + other: 100.0 for one in names for other in names if one < other}
        bench = Bench(pairs, strangers=0.3, seed=seed)
        chance = bench.schedule.random("test")

        def turn(name):
            if not bench.radio[name].busy():
                bench.radio[name].transmit(chance.randbytes(20), "data")
            bench.schedule.at(bench.schedule.now + chance.randrange(SECOND), turn, name)

        for name in names:
            bench.schedule.at(chance.randrange(SECOND), turn, name)
        return bench.run()

    assert run(1) == run(1) != run(2)
