"""Sealed frames over slots and an air that collides: floods reach all, and most repeats are spared.

Real senders, sources, queues and ledgers; only the modem is missing, since the air takes frames at
once. Virtual time.
"""

from math import log10
from random import Random

import pytest

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
from meshd.link.sources import Opened, Sources
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.schedule import SECOND, Schedule
from meshd.wire.lora_frame import FrameKind

LINK = link_key(b"k" * 32)
FREE = SubBand("F", 902_000_000, 928_000_000, 30, "eirp")
STRICT = SubBand("P", 869_400_000, 869_650_000, 27, "erp", 100_000)


class Station:
    """A node that floods: it delivers each text once, repeats it, and spares what others repeat."""

    def __init__(self, field, number, band, manners):
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
            manners=manners,
            rng=self.schedule.random(f"slots {number}"),
            drops=self.drops,
            link="lora0",
        )
        self.radio = Radio(str(number), RadioSetting(LONG_FAST))
        self.radio.received = self.received
        self.radio.sent = self.sent
        self.texts = {}
        self.started = []
        self.told = []
        self.flight_us = 0

    def say(self, text, priority=Priority.TEXT):
        outgoing = Outgoing(FrameKind.FLOOD, text, Share.OWN, priority, hop_limit=7)
        self.texts[outgoing.name] = self.schedule.now
        self.access.send(outgoing, self.schedule.now)
        self.wake()

    def received(self, data, rssi_dbm, snr_db):
        now = self.schedule.now
        self.access.heard(airtime_us(LONG_FAST, len(data)), now)
        heard = self.sources.hear(data, now)
        if isinstance(heard, Opened):
            self.opened(heard, snr_db)
        elif isinstance(heard, DropReason):
            self.drops.count(heard)
        self.wake()

    def opened(self, heard, snr_db):
        hops = heard.frame.hop_limit
        outgoing = Outgoing(
            *(FrameKind.FLOOD, heard.plaintext, Share.RELAYED, Priority.TEXT),
            hop_limit=max(hops - 1, 0),
            ingress=heard.node,
        )
        if outgoing.name in self.texts:
            self.access.copy(outgoing.name)
            return
        self.texts[outgoing.name] = self.schedule.now
        if hops:
            self.access.repeat(outgoing, snr_db, self.schedule.now)

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
        frame = self.sender.seal(out.kind, out.plaintext, hop_limit=out.hop_limit)
        assert len(frame) == out.size
        self.flight_us = self.radio.transmit(frame, "test")
        self.told.append(out.plaintext)
        self.started.append((now, self.flight_us))

    def sent(self):
        self.access.sent(self.schedule.now, self.flight_us)
        self.wake()


class Field:
    """Stations on a square of kilometres; loss grows with distance."""

    def __init__(self, count, side_km, *, seed, band=FREE, manners=None):
        self.schedule = Schedule(seed)
        self.air = LoraAir(self.schedule, self.loss_db)
        random = Random(seed)
        self.places = {}
        self.stations = []
        for number in range(count):
            station = Station(self, number, band, manners or Manners())
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

    def reachable(self, station):
        """Return how many stations a flood could reach at best."""
        known, edge = {station.radio}, [station.radio]
        while edge:
            edge = [
                other
                for radio in edge
                for other in self.air.audible(radio)
                if other not in known and not known.add(other)
            ]
        return len(known) - 1

    def frames(self):
        return sum(len(station.started) for station in self.stations)


def flood(seed, *, messages=8, manners=None):
    """Return the share of (message, reachable station) served, and frames a message."""
    field = Field(20, 3.0, seed=seed, manners=manners)
    due = served = 0
    for number in range(messages):
        origin = field.stations[number * 7 % 20]
        due += field.reachable(origin)
        before = sum(len(station.texts) for station in field.stations)
        origin.say(b"message %d of forty bytes, more or less..." % number)
        field.schedule.run(60 * SECOND)
        served += sum(len(station.texts) for station in field.stations) - before - 1
    return served / due, field.frames() / messages, field


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flood_reaches_nearly_all_and_most_repeats_are_spared(seed):
    share, frames, field = flood(seed)
    assert share > 0.9
    assert frames < 14
    assert sum(station.access.suppressed for station in field.stations) > 0


def test_without_cancelling_everybody_repeats():
    _, spared, _ = flood(1)
    _, all_of_them, _ = flood(1, manners=Manners(copies_max=1000))
    assert spared < 0.75 * all_of_them


def test_saturated_channel_stays_within_the_law_of_every_hour():
    field = Field(6, 1.0, seed=5, band=STRICT)
    for number in range(600):
        field.schedule.at(
            number * 8 * SECOND,
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
