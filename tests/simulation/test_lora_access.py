"""Sealed frames over slots and an air that collides: the law holds, and the urgent go first.

Real senders, sources, queues and ledgers; only the modem is missing, since the air takes frames at
once. Virtual time.
"""

from math import log10
from random import Random

from meshd.core import crypto
from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.core.drops import DropReason, Drops
from meshd.core.identity import Identity
from meshd.core.law import HOUR_US, Law, SubBand
from meshd.link.access import Access, Manners
from meshd.link.account import Share
from meshd.link.ledger import Ledger, Priority
from meshd.link.queue import Outgoing
from meshd.link.seal import link_key
from meshd.link.sender import Sender
from meshd.link.sources import Sources
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.schedule import SECOND, Schedule
from meshd.wire.lora_frame import FrameKind

LINK = link_key(b"k" * 32)
FREE = SubBand("F", 902_000_000, 928_000_000, 30, "eirp")
STRICT = SubBand("P", 869_400_000, 869_650_000, 27, "erp", 100_000)


class Station:
    """A node that says texts to all in earshot."""

    def __init__(self, field, number, band):
        self.field, self.schedule = field, field.schedule
        identity = Identity(crypto.digest(b"%d" % number), bytes(32))
        self.sender = Sender(identity, LINK, boot=1, salt=number.to_bytes(8, "big"))
        self.sources = Sources(self.sender, (LINK,))
        self.drops = Drops()
        self.ledger = Ledger(Law("XX", (band,)), boot=bytes(16), now=0, state=None)
        self.access = Access(
            self.ledger,
            band,
            LONG_FAST,
            manners=Manners(),
            rng=self.schedule.random(f"slots {number}"),
            drops=self.drops,
            link="lora0",
        )
        self.radio = Radio(str(number), RadioSetting(LONG_FAST))
        self.radio.received = self.received
        self.radio.sent = self.sent
        self.started = []
        self.told = []
        self.flight_us = 0

    def say(self, text, priority=Priority.TEXT):
        outgoing = Outgoing(FrameKind.LOCAL, text, Share.OWN, priority)
        self.access.send(outgoing, self.schedule.now)
        self.wake()

    def received(self, data, rssi_dbm, snr_db):
        now = self.schedule.now
        self.access.heard(airtime_us(LONG_FAST, len(data)), now)
        heard = self.sources.hear(data, now)
        if isinstance(heard, DropReason):
            self.drops.count(heard)
        self.wake()

    def wake(self):
        due_us = self.access.poll_timeout()
        if due_us is not None:
            self.schedule.at(due_us, self.go)

    def go(self):
        now = self.schedule.now
        go = self.access.poll_go(now, lambda size: airtime_us(LONG_FAST, size))
        if (made := self.ledger.poll_state(now)) is not None:
            self.ledger.stored(made[0])
        if go is None:
            due_us = self.access.poll_timeout()
            if due_us is not None and due_us > now:
                self.wake()
            return
        if self.radio.busy():
            self.access.not_sent(now, reason=DropReason.MODEM_CHANNEL_TAKEN)
            self.wake()
            return
        out = go.outgoing
        frame = self.sender.seal(out.kind, out.plaintext)
        assert len(frame) == out.size
        self.flight_us = self.radio.transmit(frame, "test")
        self.told.append(out.plaintext)
        self.started.append((now, self.flight_us))

    def sent(self):
        self.access.sent(self.schedule.now, self.flight_us)
        self.wake()


class Field:
    """Stations on a square of kilometres; loss grows with distance."""

    def __init__(self, count, side_km, *, seed, band=FREE):
        self.schedule = Schedule(seed)
        self.air = LoraAir(self.schedule, self.loss_db)
        random = Random(seed)
        self.places = {}
        self.stations = []
        for number in range(count):
            station = Station(self, number, band)
            self.places[station.radio] = (random.uniform(0, side_km), random.uniform(0, side_km))
            self.stations.append(station)
            self.air.attach(station.radio)
        beacons = [station.sender.beacon() for station in self.stations]
        for station in self.stations:
            for beacon in beacons:
                station.sources.hear(beacon, 0)

    def loss_db(self, sender, hearer):
        (x, y), (u, v) = self.places[sender], self.places[hearer]
        return 126.0 + 38.0 * log10(max(((x - u) ** 2 + (y - v) ** 2) ** 0.5, 0.01))


def test_saturated_channel_stays_within_the_law_of_every_hour():
    field = Field(6, 1.0, seed=5, band=STRICT)
    for number in range(1_200):
        field.schedule.at(
            number * 4 * SECOND,
            field.stations[number % 6].say,
            b"%0200d" % number,
        )
    field.schedule.run(HOUR_US + 20 * 60 * SECOND)
    busiest = 0
    for station in field.stations:
        begins = [start for start, _ in station.started]
        for at in begins:
            spent = sum(
                max(min(start + length, at + HOUR_US) - start, 0)
                for start, length in station.started
                if at <= start < at + HOUR_US
            )
            busiest = max(busiest, spent)
    assert 0.6 * STRICT.airtime_us_max < busiest <= STRICT.airtime_us_max


def test_distress_passes_a_queue_full_of_bulk():
    field = Field(2, 0.5, seed=7)
    first, _ = field.stations
    for number in range(60):
        first.say(b"%0150d" % number, Priority.BULK)
    field.schedule.run(3 * SECOND)
    before = len(first.told)
    first.say(b"help", Priority.DISTRESS)
    field.schedule.run(20 * SECOND)
    assert b"help" in first.told[before : before + 3]
