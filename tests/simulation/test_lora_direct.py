"""Direct messages among stations on the air: ways are found, answers come, frames are few."""

from itertools import pairwise

import pytest
from radios.direct_station import DirectStation

from meshd.core.airtime import LONG_FAST
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.rivals.engine import Delivered, Settled
from meshd.simulation.rivals.station import Station
from meshd.simulation.schedule import SECOND, Schedule

GOOD_DB, NONE_DB = 120.0, 200.0
RING = [(number, (number + 1) % 8) for number in range(8)]


class Stations:
    """Stations, and between which of them there is a link; a pair is a link one way."""

    def __init__(self, count, links, seed=1, both=True):
        links = list(links)
        self.links = dict.fromkeys(links, GOOD_DB)
        if both:
            self.links |= {(there, here): GOOD_DB for here, there in links}
        self.schedule = Schedule(seed)
        self.frames = 0
        self.air = LoraAir(self.schedule, self.loss_db, strangers=0.1, told=self.told)
        self.arrived, self.settled, self.all = [], [], []
        for number in range(count):
            radio = Radio(str(number), RadioSetting(LONG_FAST))
            self.air.attach(radio)
            engine = DirectStation(number, LONG_FAST, self.schedule.random(f"direct {number}"))
            station = Station(self.schedule, radio, engine)
            station.happened = self.happened
            self.all.append(station)

    def loss_db(self, sender, hearer):
        return self.links.get((int(sender.name), int(hearer.name)), NONE_DB)

    def told(self, *_):
        self.frames += 1

    def happened(self, event):
        if isinstance(event, Delivered):
            self.arrived.append((event.origin, event.message))
        if isinstance(event, Settled):
            self.settled.append(event.acknowledged)

    def run(self, seconds):
        self.schedule.run(seconds * SECOND)

    def ask(self, here, there, seconds=120):
        """Send one message; return whether its answer came, and the frames that were sent."""
        before, count = len(self.settled), self.frames
        self.all[here].send_direct(there, b"hello")
        self.run(seconds)
        return self.settled[before:], self.frames - count


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_along_a_line_each_hop_costs_a_frame_there_and_one_back(seed):
    stations = Stations(6, pairwise(range(6)), seed)
    stations.run(3600)
    told, frames = stations.ask(0, 5)
    assert told == [True]
    assert 10 <= frames <= 16


def test_many_at_once_all_arrive():
    stations = Stations(8, RING)
    stations.run(3600)
    for number in range(8):
        stations.all[number].send_direct((number + 3) % 8, b"hello")
    stations.run(600)
    assert stations.settled == [True] * 8
    assert len(set(stations.arrived)) == 8


def test_a_link_that_works_one_way_is_not_used():
    stations = Stations(3, [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)], both=False)
    stations.run(3600)
    assert [via for via, _ in stations.all[0].engine.routes.ways(b"\x00\x02")] == [b"\x00\x01"]
    assert stations.ask(0, 2)[0] == [True]


def test_when_a_station_dies_messages_go_the_other_way_round():
    stations = Stations(8, RING)
    stations.run(3600)
    stations.all[1].stop()
    stations.air.detach(stations.all[1].radio)
    answers = [stations.ask(0, 2, 900)[0] for _ in range(4)]
    assert answers[-1] == [True]


def test_quiet_stations_leave_the_channel_alone():
    stations = Stations(8, RING)
    stations.run(7200)
    before = sum(radio.sent_us for radio in stations.air.radios)
    stations.run(4 * 3600)
    sent_us = sum(radio.sent_us for radio in stations.air.radios) - before
    assert sent_us / 8 * 3 < 0.01 * 4 * 3600 * SECOND
