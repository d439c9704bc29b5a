"""One LoRa radio of a node: who is heard by it, beacons, and one frame at a time to the modem.

Enters: frames from the air with their signal figures, frames to send, what became of what was sent,
`now`. Leaves: `RadioSend`, notices, drops, and what opened for the layers above (`poll_arrived`).
Beacons are paced by Trickle: soon after the start, then ever more seldom, and none where any other
frame went out meanwhile: who hears one and does not know its sender asks for the beacon.
Must not know: serial ports, what frames carry, routes. Ref: docs/wire-format.md#lora-beacon.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Container
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Notice, RadioLink, RadioSend
from meshd.core.identity import Identity
from meshd.core.ids import SHORT_LEN, node_text
from meshd.core.law import SubBand
from meshd.core.limits import BEACON_FRAME
from meshd.core.trickle import Trickle
from meshd.link.access import BUSY_WINDOW_US, Access, Manners
from meshd.link.account import Share
from meshd.link.ledger import Ledger, Priority
from meshd.link.lora_neighbours import LoraNeighbour, LoraNeighbours
from meshd.link.queue import Outgoing
from meshd.link.seal import LinkKey
from meshd.link.sender import Sender
from meshd.link.sources import Met, Opened, Sources, Stranger
from meshd.link.stranger_air import StrangerAir, Why
from meshd.wire.lora_beacon import NONCE_LEN, SALT_LEN, Challenge
from meshd.wire.lora_frame import HEAD_LEN, FrameKind, overhead

BEACON_SHORTEST_US = 2_000_000
BEACON_AIRTIMES = 8
"""The shortest interval is that long, or so many beacons: on slow channels they come slower."""
BEACON_DOUBLINGS = 10
FIRST_INTERVALS = 32
"""Until intervals are so much longer than the shortest, beacons go whatever else was sent: when all
start at once, most of what is said first is lost."""
INTRODUCTIONS, INTRODUCTIONS_INTERVALS = 6, 30
"""So many beacons are said for newcomers in so many of the shortest intervals."""
CROWD = 4
"""The more are in earshot, the longer each waits with its beacon for a newcomer: so many in one of
the shortest intervals."""
ANSWER_SLOTS = 8
CALM, BEACON_CALM = 0.15, 0.3
"""Routes and beacons wait while more of the last minute than that was taken: when all nodes of a
crowd start at once, their first words would keep each other from being heard."""
YIELD_US = 20_000_000
"""So long after somebody was heard who is new here, bulk leaves the channel free for as long as a
beacon takes before each frame: else who waits for it hardly gets a word in."""
UP_LEAST_US = 10_000_000
KNOWN_INTERVALS, FEW = 6, 2
"""Who said its beacon within so many of the shortest intervals does not say it again for a newcomer
where more are in earshot than that: who missed it asks for it."""
GONE_INTERVALS = 3
"""A neighbour is forgotten after so many of the longest intervals without a word of it."""
LATE_GAPS, LATE_LEAST_US = 4, 600_000_000
"""Who is silent for so many times its longest silence before, and so long, may be gone."""
USUAL_INTERVALS, USUAL_LEAST_US = 2, 120_000_000
"""Nobody wonders at a neighbour that is silent for so many of the intervals of its beacons."""

_BEACON_LEN = BEACON_FRAME - overhead(FrameKind.BEACON)
_SOURCE_AT = HEAD_LEN - 2 - SHORT_LEN
_UNOPENED = (DropReason.FRAME_STRANGER, DropReason.FRAME_FORGED)


class LoraKeys(NamedTuple):
    """Who this node is on the air."""

    identity: Identity
    link: LinkKey
    boot: int


def frame_room(radio: RadioLink, band: SubBand) -> int:
    """Return the longest frame in bytes that the modem takes and the law lets go in one piece."""
    limit_us = band.frame_us_max(radio.modulation.bandwidth_hz)
    return bisect_right(radio.airtimes_us, limit_us) - 1


class LoraLink:
    """One radio; `up` while its modem takes frames. What it has heard outlives a pulled plug."""

    def __init__(
        self, ctx: Context, radio: RadioLink, keys: LoraKeys, *, ledger: Ledger, band: SubBand
    ) -> None:
        self.radio = radio
        self.band = band
        self.up = False
        self.sent_frames = 0
        self.heard_frames = 0
        self.ahead_us = 0
        self.neighbours = LoraNeighbours()
        beacon_us = self.airtime_us(BEACON_FRAME)
        shortest_us = max(BEACON_SHORTEST_US, BEACON_AIRTIMES * beacon_us)
        self.sender = Sender(keys.identity, keys.link, boot=keys.boot, salt=ctx.entropy(SALT_LEN))
        self.sources = Sources(self.sender, (keys.link,))
        self.stranger_air = StrangerAir(band)
        self._beacon_us = beacon_us
        self._ctx = ctx
        self._access = Access(
            ledger,
            band,
            radio.modulation,
            manners=Manners(listens=radio.listens),
            rng=ctx.rng,
            drops=ctx.drops,
            link=radio.name,
        )
        self.trickle = Trickle(
            ctx.rng,
            shortest_us=shortest_us,
            doublings=BEACON_DOUBLINGS,
            redundancy=0,
        )
        self._introduce_us: int | None = None
        self._introduced: deque[int] = deque(maxlen=INTRODUCTIONS)
        self._challenge_us: int | None = None
        self._said_us: int | None = None
        self._ready_us = self._yield_us = 0
        self._spoke_us: int | None = None
        self._arrived: deque[Opened | Met | Stranger] = deque()

    @property
    def frame_max(self) -> int:
        """Return the longest frame that the modem takes and the law lets go in one piece."""
        return frame_room(self.radio, self.band)

    @property
    def listens(self) -> bool:
        """Tell whether the modem itself waits while others send."""
        return self.radio.listens

    @property
    def waiting(self) -> int:
        """Return how many frames wait to be sent."""
        return len(self._access)

    def airtime_us(self, size: int) -> int:
        """Return how long a frame of so many bytes is on the air."""
        return self.radio.airtimes_us[min(size, self.radio.frame_max)]

    def usual_us(self, row: LoraNeighbour) -> int:
        """Return for how long a neighbour that is there may well be silent.

        Its intervals double as this node's do: what they are by now follows from when it began; of
        one that this node met later they may be the longest.
        """
        interval_us = longest_us = self.trickle.longest_us
        if row.began_us is not None:
            shortest_us = self.trickle.shortest_us
            doublings = ((row.heard_us - row.began_us) // shortest_us).bit_length()
            interval_us = min(shortest_us << doublings, longest_us)
        return max(USUAL_INTERVALS * interval_us, row.gap_us, USUAL_LEAST_US)

    def late(self, now: int) -> frozenset[bytes]:
        """Return who may be gone: not heard for far longer than ever before.

        Who is there and says little doubles its pauses, so that is no proof; it ends when the
        neighbour is heard, and the longer pause counts from then on.
        """
        return frozenset(
            row.node
            for row in self.neighbours
            if now - row.heard_us > max(LATE_GAPS * row.gap_us, LATE_LEAST_US)
        )

    # --- the modem --------------------------------------------------------------------------------

    def ready(self, now: int) -> None:
        """The modem is set and takes frames: say soon who is here."""
        if not self.up:
            self.up, self._ready_us = True, now
            self.trickle.start(now)

    def gone(self, now: int) -> Outgoing | None:
        """The modem takes no frames any more; return one that it held: it may have gone out."""
        self.up = False
        return self.not_sent(DropReason.MODEM_GONE, maybe=True, now=now)

    def sent(self, now: int) -> Outgoing | None:
        """The frame is on the air no more; return it."""
        if self._access.aloft is None:
            return None
        self.sent_frames += 1
        outgoing = self._access.sent(now + self.ahead_us)
        self._spoke_us = now
        if outgoing.kind is FrameKind.BEACON:
            self._said_us = now
            self._introduce_us = None
        return outgoing

    def not_sent(self, reason: DropReason, *, maybe: bool, now: int) -> Outgoing | None:
        """The frame did not go out, or nobody knows; return it when it is not tried again."""
        if self._access.aloft is None:
            return None
        return self._access.not_sent(now + self.ahead_us, reason=reason, maybe=maybe)

    def board_aired(self, hour_us: int, up_us: int, now: int) -> None:
        """The board says how long it was on the air in all: what was not ours counts too."""
        self._access.board_aired(hour_us, up_us, now + self.ahead_us)

    # --- frames -----------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, now: int) -> bool:
        """Queue a frame; False when there is no room for it, or no modem takes one so long."""
        if outgoing.size > self.radio.frame_max:
            self._ctx.drop(DropReason.MODEM_TOO_LONG, self.radio.name)
            return False
        wait_us = 0
        if self.radio.listens:
            # The modem waits while others send, but several nodes may answer one frame at once.
            wait_us = self._ctx.jitter(0, ANSWER_SLOTS * self._access.slot_us)
        if outgoing.priority is Priority.BULK and now < self._yield_us:
            wait_us += self._beacon_us
        return self._access.send(outgoing, now + self.ahead_us + wait_us)

    def free_us(self, airtime_us: int, priority: int, now: int, *, share: Share = Share.OWN) -> int:
        """Return when law and shares let so much go: now, or later."""
        at = now + self.ahead_us
        return self._access.free_us(airtime_us, share, Priority(priority), at) - self.ahead_us

    def calm(self, now: int, share: float = CALM) -> bool:
        """Tell whether the channel has room for what nobody waits for."""
        return self.load(now) < share

    def load(self, now: int) -> float:
        """Return the share of the last minute that own frames and those heard took."""
        return self._access.busy(now + self.ahead_us)

    def holds(self, outgoing: Outgoing) -> bool:
        """Tell whether a frame waits here or is with the modem."""
        return self._access.holds(outgoing)

    @property
    def aloft(self) -> Outgoing | None:
        """The frame that is with the modem."""
        return self._access.aloft

    def carries(self, outgoing: Outgoing) -> bool:
        """Tell whether a frame is with the modem."""
        return self._access.carries(outgoing)

    def exchange(self, outgoing: Outgoing, other: Outgoing | None) -> None:
        """Send another frame in the place of one that waits here, or none."""
        self._access.exchange(outgoing, other)

    def taken(self, now: int) -> float:
        """Return the same of the time since the radio is up, while that is less than a minute."""
        span_us = min(max(now - self._ready_us, UP_LEAST_US), BUSY_WINDOW_US)
        return min(self.load(now) * BUSY_WINDOW_US / span_us, 1.0)

    def echoed(self, opened: Opened, echoes: Container[bytes], now: int) -> bool:
        """Take echoes of frames; return whether their sender is there now."""
        return self.sources.echoed(opened, echoes, now)

    def proven(self, node: bytes) -> bool:
        """Tell whether a node has shown whose key it has."""
        return self.sources.proven(node)

    @property
    def introducing(self) -> bool:
        """Tell whether the own beacon is about to go for somebody who does not know this node."""
        return self._introduce_us is not None or self._access.waits(FrameKind.BEACON)

    def introduce(self, now: int, *, new: bool = False) -> None:
        """Say the beacon soon: somebody in earshot never heard it.

        `new`: one who was just met, or has shown that it is there now.
        """
        shortest_us, introduced = self.trickle.shortest_us, self._introduced
        span_us = INTRODUCTIONS_INTERVALS * shortest_us
        full = len(introduced) == INTRODUCTIONS and now < introduced[0] + span_us
        if self._introduce_us is not None or full:
            return
        if self.stranger_air.allow(self._beacon_us, now, Why.BEACON if new else Why.NOISE):
            introduced.append(now)
            wait_us = shortest_us * max(len(self.neighbours), CROWD) // CROWD
            self._introduce_us = now + self._ctx.jitter(0, wait_us)

    def poll_arrived(self) -> Opened | Met | Stranger | None:
        """Return the next frame that opened: what it carries is for others to judge."""
        return self._arrived.popleft() if self._arrived else None

    def heard(self, data: bytes, rssi_dbm: float | None, snr_db: float | None, now: int) -> None:
        """Take a frame from the air."""
        self.heard_frames += 1
        self._access.heard(self.airtime_us(len(data)), now + self.ahead_us)
        found = self.sources.hear(data, now)
        if isinstance(found, DropReason):
            self._ctx.drop(found, self.radio.name)
            if found in _UNOPENED:
                self._arrived.append(Stranger(data[_SOURCE_AT : _SOURCE_AT + SHORT_LEN]))
                self._yield_us = now + YIELD_US
        elif isinstance(found, Met):
            self._meet(found, rssi_dbm, snr_db, now)
        elif isinstance(found, Opened):
            self._note(found.node, found.counter, (rssi_dbm, snr_db), now)
            self._arrived.append(found)
        while (report := self.sources.poll_report()) is not None:
            fields: dict[str, object] = {"node": node_text(report[1]), "link": self.radio.name}
            self._ctx.emit(Notice(f"radio-{report[0].value}", fields, True))

    def _meet(self, met: Met, rssi_dbm: float | None, snr_db: float | None, now: int) -> None:
        known = any(row.node == met.node for row in self.neighbours)
        row = self._note(met.node, met.counter, (rssi_dbm, snr_db), now, anew=met.new)
        row.boot, row.proven = met.boot, met.proven
        self._arrived.append(met)
        if len(self.neighbours) > CROWD:
            self.trickle.settle()
        if met.new or not known:
            self._yield_us = now + YIELD_US
            span_us = KNOWN_INTERVALS * self.trickle.shortest_us
            said_of_late = self._said_us is not None and now - self._said_us < span_us
            if not said_of_late or len(self.neighbours) <= FEW:
                self.introduce(now, new=True)
        if not known:
            fields: dict[str, object] = {"node": node_text(met.node), "link": self.radio.name}
            if snr_db is not None:
                fields["snr_db"] = round(snr_db, 1)
            self._ctx.emit(Notice("radio-neighbour", fields))

    def _note(
        self,
        node: bytes,
        counter: int,
        signal: tuple[float | None, float | None],
        now: int,
        *,
        anew: bool = False,
    ) -> LoraNeighbour:
        row = self.neighbours.heard(node, now)
        if anew:
            row.counter = -1
        row.frame(counter)
        row.signal(*signal)
        return row

    # --- what goes out ----------------------------------------------------------------------------

    def pump(self, now: int) -> None:
        """Say what is due, and give the modem a frame when it may have one."""
        for row in self.neighbours.expire(now - GONE_INTERVALS * self.trickle.longest_us):
            fields: dict[str, object] = {"node": node_text(row.node), "link": self.radio.name}
            self._ctx.emit(Notice("radio-neighbour-lost", fields))
        if not self.up:
            return
        self._speak(now)
        go = self._access.poll_go(now + self.ahead_us, self.airtime_us)
        if go is not None:
            self._ctx.transmit(RadioSend(self.radio.name, self._sealed(go.outgoing, now)))

    def due_us(self, now: int) -> int | None:
        """Return when `pump` is wanted next; None: not before the modem is there."""
        if not self.up:
            return None
        due_us = [self.trickle.due_us]
        if self._introduce_us is not None and not self._access.waits(FrameKind.BEACON):
            due_us.append(self._introduce_us)
        if self._challenge_us is not None and not self._access.waits(FrameKind.CHALLENGE):
            due_us.append(self._challenge_us)
        access_us = self._access.poll_timeout()
        if access_us is not None:
            due_us.append(access_us - self.ahead_us)
        answer_us = self.sender.answer_due()
        if answer_us is not None and not self._access.waits(FrameKind.BEACON):
            due_us.append(answer_us)
        return max(min(due_us), now + 1_000)

    def _speak(self, now: int) -> None:
        """Queue the beacon and the challenge that are due."""
        said_us, spoke_us, trickle = self._said_us, self._spoke_us, self.trickle
        if trickle.interval_us > FIRST_INTERVALS * trickle.shortest_us:
            said_us = spoke_us  # who heard any frame of this node, and not its beacon, asks for it
        silent = said_us is None or now - said_us >= trickle.interval_us
        wanted = now >= trickle.due_us and trickle.poll(now, silent=silent)
        if said_us is None:
            wanted = wanted and self._introduce_us is None  # it is said for who was heard first
        else:
            wanted = wanted and self.calm(now, BEACON_CALM)
        if self._introduce_us is not None and now >= self._introduce_us:
            wanted, self._introduce_us = True, None
        answer_us = self.sender.answer_due()
        answers = answer_us is not None and now >= answer_us
        if (wanted or answers) and not self._access.waits(FrameKind.BEACON):
            room = (self.radio.frame_max - BEACON_FRAME) // NONCE_LEN
            echoes = max(min(self.sender.echoes, room), 0) if answers else 0
            # It is made when it goes, with a counter of that moment: these bytes hold its place.
            self._control(FrameKind.BEACON, bytes(_BEACON_LEN + NONCE_LEN * echoes), now)
        self._ask(now)

    def _ask(self, now: int) -> None:
        """Challenge who is to be asked, at random: all who heard the same beacon ask for the same.

        At once they would ask at one time, and the answer to the first meet the next question.
        """
        node = self.sources.poll_challenge(now)
        if node is None:
            self._challenge_us = None
        if node is None or self._access.waits(FrameKind.CHALLENGE):
            return
        if self._challenge_us is None:
            crowd = len(self.neighbours) > 1
            self._challenge_us = now + self._ctx.jitter(0, crowd * self.trickle.shortest_us)
        if now < self._challenge_us:
            return
        self._challenge_us = None
        challenge = self.sources.challenge(node, self._ctx.entropy(NONCE_LEN), now)
        if challenge is not None:
            self._control(FrameKind.CHALLENGE, challenge.encode(), now)

    def _control(self, kind: FrameKind, plaintext: bytes, now: int) -> None:
        self.send(Outgoing(kind, plaintext, Share.CONTROL, Priority.MEMBERSHIP), now)

    def _sealed(self, outgoing: Outgoing, now: int) -> bytes:
        data = self._made(outgoing, now)
        self.sources.said(data, now)
        return data

    def _made(self, outgoing: Outgoing, now: int) -> bytes:
        if outgoing.kind is FrameKind.BEACON:
            echoes = (len(outgoing.plaintext) - _BEACON_LEN) // NONCE_LEN
            if echoes:
                self.sender.answers(now)
            return self.sender.beacon(echoes_max=echoes)
        if outgoing.kind is FrameKind.CHALLENGE:
            return self.sender.challenge(Challenge.decode(outgoing.plaintext))
        return self.sender.seal(
            outgoing.kind,
            outgoing.plaintext,
            hop_limit=outgoing.hop_limit,
            next_hop=outgoing.next_hop,
            destination=outgoing.destination,
        )
