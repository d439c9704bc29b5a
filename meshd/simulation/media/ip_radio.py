"""One WiFi channel in ad-hoc mode, shared by all who stand near enough.

Enters: frames of ports that stand somewhere. Leaves: receptions. What is weaker than the noise is
neither heard, nor sensed, nor does it harm. A sender waits until it senses nobody, but it senses
only what reaches *it*: two senders that do not hear each other spoil what a third hears, unless
one is 10 dB stronger there. Multicast goes once, at the lowest rate; unicast is acknowledged,
tried again, and slower each time.
Must not know: packets, faults that a plan asks for.

A frame's whole fate is settled when it is sent: its turn on the air is reserved then, and who asks
later waits behind it, or, having drawn the same slot, collides. Acknowledgements take time but
disturb nobody. Propagation (3 µs a kilometre) is left out.
Ref: IEEE Std 802.11-2016 §10.3 (DCF).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from meshd.core.events import LinkKind
from meshd.simulation.media import ofdm
from meshd.simulation.media.medium import Reception, Way

if TYPE_CHECKING:
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.media.place import PathLoss, Place
    from meshd.simulation.plan.plan import MediumPlan
    from meshd.simulation.schedule import Schedule

SENSED_DB = 4.0
CAPTURE_DB = 10.0
QUEUE_US = 1_000_000
"""A frame that would wait longer than this is dropped by its sender: the queue is full."""

_OWN_DB = 1e9
_LONG_AGO_US = -1_000_000
_WAY_LOSS_MAX = 0.9


class Sound(NamedTuple):
    """A frame as one radio hears it: from when to when, how strong, and what it may become."""

    start_us: int
    end_us: int
    snr_db: float
    reception: Reception | None


class Retried(Reception):
    """A unicast frame: what spoils it only puts it off, until its tries are used up."""

    __slots__ = ("again_us", "tries")

    def __init__(self, port: Port, arrives_us: int, *, again_us: int, tries: int) -> None:
        super().__init__(port, arrives_us)
        self.again_us = again_us
        self.tries = tries


class Link:
    """One direction between two radios, strong enough to matter."""

    __slots__ = ("hearer", "multicast", "rate", "sensed", "snr_db", "step")

    def __init__(self, hearer: Radio, snr_db: float, rates: int, times: ofdm.Timing) -> None:
        self.hearer = hearer
        self.snr_db = snr_db
        self.sensed = snr_db >= SENSED_DB
        self.step = ofdm.snr_step(snr_db)
        self.rate = ofdm.best_rate(self.step, rates, times)
        self.multicast = ofdm.arrivals(0, self.step)


class Radio:
    """A port with its place, whom it reaches, and what it hears now or will."""

    __slots__ = (
        *("busy_us", "cell", "links", "loud_us", "number", "place", "port"),
        *("sent_us", "slots", "sounds", "turn_us"),
    )

    def __init__(self, port: Port, number: int) -> None:
        self.port = port
        self.number = number
        self.place: Place = (0.0, 0.0)
        self.cell = (0, 0)
        self.links: dict[Radio, Link] = {}
        self.sounds: list[Sound] = []
        self.loud_us = _LONG_AGO_US
        """Until when anything at all is heard here."""
        self.busy_us = _LONG_AGO_US
        """Until when it senses others."""
        self.sent_us = _LONG_AGO_US
        """Until when it sends itself."""
        self.turn_us, self.slots = _LONG_AGO_US, -1
        """When the last turn that it senses begins, and the slot it was drawn with."""


class IpRadio:
    """See `Medium`."""

    kind = LinkKind.MESH
    mtu = 1500

    def __init__(self, plan: MediumPlan, law: PathLoss, schedule: Schedule) -> None:
        self.name = plan.name
        self.plan = plan
        self.full = 0
        self._law = law
        self._schedule = schedule
        self._times = ofdm.timing(plan)
        self._rates = max(sum(rate.mbit_s <= plan.rate_max_mbit_s for rate in ofdm.RATES), 1)
        self._budget_db = plan.tx_dbm - ofdm.noise_dbm(plan)
        self._reach_m = law.reach_m(self._budget_db, plan.frequency_mhz)
        self._radios: dict[Port, Radio] = {}
        self._cells: dict[tuple[int, int], list[Radio]] = {}
        self._chance = schedule.random(f"loss on {plan.name}").random
        self._slot = schedule.random(f"backoff on {plan.name}").random
        self._ack_us = self._times.sifs_us + ofdm.airtime_us(
            ofdm.ACK_BYTES, ofdm.RATES[0], self._times
        )

    # --- who is where -----------------------------------------------------------------------------

    def attach(self, port: Port) -> None:
        """Take a port in where its host stands."""
        if port not in self._radios:
            radio = self._radios[port] = Radio(port, port.host.number)
            self._place(radio)

    def detach(self, port: Port) -> None:
        """Take a port out; what is on the air to it is lost."""
        radio = self._radios.pop(port, None)
        if radio is not None:
            self._remove(radio)
            for sound in radio.sounds:
                if sound.reception is not None:
                    sound.reception.spoiled = True

    def moved(self, host: Host) -> None:
        """Measure the links of a host's ports again."""
        for port in host.ports.values():
            radio = self._radios.get(port)
            if radio is not None:
                self._remove(radio)
                self._place(radio)

    def _place(self, radio: Radio) -> None:
        radio.place = radio.port.host.position
        x_m, y_m = radio.place
        radio.cell = (int(x_m // self._reach_m), int(y_m // self._reach_m))
        for other in self._near(radio.cell):
            self._measure(radio, other)
        self._cells.setdefault(radio.cell, []).append(radio)

    def _remove(self, radio: Radio) -> None:
        self._cells[radio.cell].remove(radio)
        radio.links.clear()
        for other in self._near(radio.cell):
            other.links.pop(radio, None)

    def _near(self, cell: tuple[int, int]) -> Iterator[Radio]:
        for x in (cell[0] - 1, cell[0], cell[0] + 1):
            for y in (cell[1] - 1, cell[1], cell[1] + 1):
                yield from self._cells.get((x, y), ())

    def _measure(self, one: Radio, other: Radio) -> None:
        (x1, y1), (x2, y2) = one.place, other.place
        if (x1 - x2) ** 2 + (y1 - y2) ** 2 > self._reach_m**2:
            return
        there_db, back_db = self._law.both_db(
            one.place, other.place, one.number, other.number, self.plan.frequency_mhz
        )
        if there_db <= self._budget_db:
            snr_db = self._budget_db - there_db
            one.links[other] = Link(other, snr_db, self._rates, self._times)
        if back_db <= self._budget_db:
            snr_db = self._budget_db - back_db
            other.links[one] = Link(one, snr_db, self._rates, self._times)

    # --- frames -----------------------------------------------------------------------------------

    def broadcast(self, port: Port, size: int) -> tuple[int, Iterable[Reception]]:
        """Send once to all at the lowest rate; see `Medium`."""
        radio = self._radios.get(port)
        turn = None if radio is None else self._turn(radio)
        if radio is None or turn is None:
            return 0, ()
        airtime_us = ofdm.airtime_us(size + ofdm.MAC_BYTES, ofdm.RATES[0], self._times)
        start, slots = turn
        end = start + airtime_us
        self._speak(radio, start, end)
        column, kept, chance = ofdm.bucket(size), 1.0 - self.plan.multicast_loss, self._chance
        found: list[Reception] = []
        for hearer, link in radio.links.items():
            if chance() < link.multicast[column] * kept:
                reception = Reception(hearer.port, end)
                found.append(reception)
            else:
                reception = None
            self._sound(hearer, Sound(start, end, link.snr_db, reception))
            if link.sensed:
                _defer(hearer, start, end, slots)
        return airtime_us, found

    def unicast(self, port: Port, other: Port, size: int) -> tuple[int, Reception | None]:
        """Send to one until it is acknowledged or the tries are used up; see `Medium`."""
        radio, hearer = self._radios.get(port), self._radios.get(other)
        turn = None if radio is None else self._turn(radio)
        if radio is None or turn is None:
            return 0, None
        start, slots = turn
        link = radio.links.get(hearer) if hearer is not None else None
        if hearer is None or link is None:
            last_us, spent_us, reception = self._vain(start, size)
        else:
            last_us, spent_us, reception = self._tries(radio, link, start, size)
        self._speak(radio, start, last_us)
        for near, way in radio.links.items():
            if near is not hearer:
                self._sound(near, Sound(start, last_us, way.snr_db, None))
            if way.sensed:
                _defer(near, start, last_us, slots)
        return spent_us, reception

    def _tries(
        self, radio: Radio, link: Link, start: int, size: int
    ) -> tuple[int, int, Reception | None]:
        """Return when the last try ends, the airtime of all, and the reception if one arrives."""
        hearer, column = link.hearer, ofdm.bucket(size)
        back = hearer.links.get(radio)
        heard = back.multicast[0] if back is not None else 0.0
        rate, spent_us, arrived, window = link.rate, 0, None, ofdm.WINDOW
        for number in range(1, ofdm.TRIES_MAX + 1):
            octets = size + ofdm.MAC_BYTES
            airtime_us = ofdm.airtime_us(octets, ofdm.RATES[rate], self._times)
            end = start + airtime_us
            spent_us += airtime_us
            clear = self._clash(hearer, Sound(start, end, link.snr_db, arrived))
            if clear and self._chance() < ofdm.arrivals(rate, link.step)[column]:
                spent_us += self._ack_us
                if arrived is None:
                    left = ofdm.TRIES_MAX - number
                    arrived = Retried(hearer.port, end, again_us=airtime_us, tries=left)
                    hearer.sounds[-1] = Sound(start, end, link.snr_db, arrived)
                if self._chance() < heard:
                    return end + self._ack_us, spent_us, arrived
            window = min(2 * window, ofdm.WINDOW_MAX)
            start = end + self._ack_us + self._backoff_us(window)[0]
            rate = max(rate - 1, 0) if number % 2 == 0 else rate
        return end, spent_us, arrived

    def _vain(self, start: int, size: int) -> tuple[int, int, None]:
        """Return what it costs to call somebody who is not there."""
        octets = size + ofdm.MAC_BYTES
        spent_us = ofdm.TRIES_MAX * ofdm.airtime_us(octets, ofdm.RATES[0], self._times)
        return start + spent_us, spent_us, None

    # --- the air ----------------------------------------------------------------------------------

    def _turn(self, radio: Radio) -> tuple[int, int] | None:
        """Return when it may send and the slot it drew for that (-1: none); None: queue full."""
        now, times = self._schedule.now, self._times
        free_us = max(radio.busy_us, radio.sent_us)
        if free_us + times.difs_us <= now:
            return now, -1
        if free_us - now > QUEUE_US:
            self.full += 1
            return None
        wait_us, slots = self._backoff_us(ofdm.WINDOW)
        if slots == radio.slots and radio.turn_us > max(now, radio.sent_us):
            return radio.turn_us, slots
        return max(free_us, now) + wait_us, slots

    def _backoff_us(self, window: int) -> tuple[int, int]:
        slots = int(self._slot() * window)
        return self._times.difs_us + slots * self._times.slot_us, slots

    def _speak(self, radio: Radio, start: int, end: int) -> None:
        """Note that a radio sends: it hears nothing meanwhile."""
        self._sound(radio, Sound(start, end, _OWN_DB, None))
        radio.sent_us = max(radio.sent_us, end)

    def _sound(self, radio: Radio, sound: Sound) -> None:
        """Let a radio hear a sound, alone or among others."""
        if radio.loud_us <= sound.start_us:
            radio.sounds = [sound]
            radio.loud_us = sound.end_us
        else:
            self._clash(radio, sound)

    def _clash(self, hearer: Radio, sound: Sound) -> bool:
        """Add a sound to what a radio hears, and tell whether it can be understood there."""
        now, start, end = self._schedule.now, sound.start_us, sound.end_us
        clear = True
        kept: list[Sound] = []
        for other in hearer.sounds:
            if other.end_us <= now:
                continue
            kept.append(other)
            if other.start_us < end and start < other.end_us:
                if other.snr_db < sound.snr_db + CAPTURE_DB:
                    _spoil(other.reception, end)
                if sound.snr_db < other.snr_db + CAPTURE_DB:
                    clear = False
                    _spoil(sound.reception, other.end_us)
        kept.append(sound)
        hearer.sounds = kept
        hearer.loud_us = max(hearer.loud_us, end)
        return clear

    # --- what links are like ----------------------------------------------------------------------

    def way(self, port: Port, other: Port) -> Way | None:
        """Return how unicast fares with nobody else on the air; see `Medium`."""
        radio, hearer = self._radios.get(port), self._radios.get(other)
        link = radio.links.get(hearer) if radio is not None and hearer is not None else None
        return None if link is None else self._fares(link)

    def hears(self, port: Port, other: Port) -> bool:
        """See `Medium`."""
        radio, hearer = self._radios.get(port), self._radios.get(other)
        return radio is not None and hearer is not None and hearer in radio.links

    def ways(self) -> Iterable[tuple[Port, Port, Way]]:
        """See `Medium`."""
        for radio in self._radios.values():
            for hearer, link in radio.links.items():
                way = self._fares(link)
                if way is not None:
                    yield radio.port, hearer.port, way

    def _fares(self, link: Link) -> Way | None:
        octets, times = 1_000, self._times
        share = ofdm.arrivals(link.rate, link.step)[ofdm.bucket(octets)]
        loss = (1.0 - share) ** ofdm.TRIES_MAX
        if loss > _WAY_LOSS_MAX:
            return None
        wait_us = times.difs_us + times.slot_us * ofdm.WINDOW // 2
        data_us = ofdm.airtime_us(octets + ofdm.MAC_BYTES, ofdm.RATES[link.rate], times)
        turn_us = (wait_us + data_us + self._ack_us) / share
        return Way(round(wait_us / share) + 20, round(8e6 * octets / turn_us), loss)


def _defer(radio: Radio, start: int, end: int, slots: int) -> None:
    """Note that a radio senses somebody's turn."""
    if end > radio.busy_us:
        radio.busy_us = end
        radio.turn_us, radio.slots = start, slots


def _spoil(reception: Reception | None, until_us: int) -> None:
    """Lose a frame, or put it off when its sender will try again."""
    if isinstance(reception, Retried) and reception.tries > 0:
        reception.tries -= 1
        reception.arrives_us = max(reception.arrives_us, until_us) + reception.again_us
    elif reception is not None:
        reception.spoiled = True
