"""The daemon's own node with one radio as a station, for the field of rivals.

Enters and leaves: see `meshd/simulation/rivals/engine.py`. Keys are real, and so are beacons,
challenges, routes and the ledger of airtime; its law allows any share of the hour, as the rivals
have none. The modem listens and waits a few slots while the channel is taken.
"""

from collections import deque
from random import Random

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.errors import UsageError
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink, RadioSend, StoreImage
from meshd.core.identity import Identity
from meshd.core.law import Law, SubBand
from meshd.node import Boot, Node, NodeOptions
from meshd.simulation.lora.purpose import ENTRIES, purpose_of
from meshd.simulation.rivals.engine import CONTROL, DATA, Delivered, Event, Frame, Settled
from meshd.wire.lora_frame import FRAME_LEN_MAX

KIND = 250
FREQUENCY_HZ = 906_875_000
LAW = Law("LAB", (SubBand("lab", 902_000_000, 928_000_000, 30.0, "eirp"),))
ORIGIN_BYTES = 4
SLOTS_MAX = 16


class NodeStation:
    """One node; the first byte of a payload is its priority."""

    def __init__(self, number: int, modulation: Modulation, random: Random) -> None:
        self.number = number
        self._random = random
        self._slot_us = 8 * modulation.symbol_us
        self._events: deque[Event] = deque()
        self._frame: Frame | None = None
        self._flying = False
        self._hold_us = self._messages = self._now = 0
        self.node = node = Node(
            NodeOptions(),
            identity=Identity(random.randbytes(32), random.randbytes(32)),
            boot=Boot(1, 1, None),
            image=StoreImage({}, (), ()),
            rng=random,
            entropy=random.randbytes,
        )
        node.radios.on_object[KIND] = self._heard
        node.start(0)
        node.radios_start(AirtimeImage(LAW, random.randbytes(16), 0, None), 0)
        airtimes = tuple(airtime_us(modulation, size) for size in range(FRAME_LEN_MAX + 1))
        link = RadioLink("lora0", "simulated", FREQUENCY_HZ, modulation, 20, airtimes, listens=True)
        node.radio_up(link, 0)
        self._drain()

    def send_broadcast(self, payload: bytes, now: int) -> int:
        """Tell everybody."""
        self._now = now
        self._messages += 1
        head = bytes((KIND, self.number, *self._messages.to_bytes(2, "big")))
        self.node.radios.publish(head + payload, payload[0], now)
        self._events.append(Settled(self._messages, True))
        self._drain()
        return self._messages

    def send_direct(self, to: int, payload: bytes, now: int) -> int:
        """Not what this station is for."""
        raise UsageError("this station only tells everybody")

    def receive(self, data: bytes, rssi_dbm: float, snr_db: float, now: int) -> None:
        """Take a frame."""
        self._now = now
        self.node.radio_heard("lora0", data, rssi_dbm, snr_db, now)
        self._drain()

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        self._now = now
        self.node.handle_timeout(now)
        self._drain()

    def poll_timeout(self) -> int | None:
        """Return when something is due."""
        armed = self.node.poll_timeout()
        dues = [armed[0]] if armed is not None else []
        if self._frame is not None and not self._flying:
            dues.append(self._hold_us)
        return max(min(dues), self._now + 1) if dues else None

    def poll_transmit(self) -> Frame | None:
        """Return the frame that the node wants sent, once the modem has waited."""
        if self._frame is None or self._flying or self._now < self._hold_us:
            return None
        self._flying = True
        return self._frame

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    def refused(self, frame: Frame, now: int) -> None:
        """Wait some slots: the channel was taken."""
        self._flying, self._now = False, now
        self._hold_us = now + self._slot_us * self._random.randint(1, SLOTS_MAX)

    def sent(self, airtime_us: int, now: int) -> None:
        """The frame has left the air."""
        self._now, self._frame, self._flying = now, None, False
        self.node.radio_sent("lora0", now)
        self._drain()

    def _heard(self, event: object, now: int) -> None:
        body = getattr(event, "body", b"")
        origin, message = body[1], int.from_bytes(body[2:ORIGIN_BYTES], "big")
        self._events.append(Delivered(origin, message, body[ORIGIN_BYTES:]))

    def _purpose(self) -> str:
        """Tell whether the frame that the modem has just got carries an object."""
        outgoing = self.node.radios.links["lora0"].aloft
        assert outgoing is not None
        return DATA if purpose_of(outgoing) == ENTRIES else CONTROL

    def _drain(self) -> None:
        node = self.node
        while True:
            if (sent := node.poll_transmit()) is not None:
                if isinstance(sent, RadioSend):
                    self._frame = Frame(sent.data, self._purpose())
            elif (event := node.poll_event()) is not None:
                if isinstance(event, AirtimeSave) and event.number:
                    node.airtime_saved(event.number, True, self._now)
            else:
                return
