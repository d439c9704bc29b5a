"""Devices with files that share a LoRa channel in memory: one frame at a time, lost by chance.

The radio here is what files see of one (`FileRadios`). A frame takes its airtime, whoever waits for
the channel waits a random while more, and each listener loses frames on its own. Bytes are counted
as they are on the air: frame, item and body.
"""

from random import Random

from devices.file_devices import FileNet, household, sync

from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.core.law import Budget
from meshd.wire.lora_frame import FrameKind, overhead

OVERHEAD = overhead(FrameKind.LOCAL) + 2
FRAME_MAX = 255
WAITING_MAX = 8


class Radio:
    """One device's radio, as `AirFiles` uses it."""

    def __init__(self, ether, device):
        self.ether, self.device = ether, device
        self.identity = device.identity
        self.waiting = []
        self.left_us = self.hour_us = 10**12
        self.up = True
        self.hears = None
        self.sent = []

    def links(self):
        return ("lora0",) if self.up else ()

    def tell(self, link, sub, body, now, *, bulk):
        if len(self.waiting) >= WAITING_MAX or len(body) + OVERHEAD > FRAME_MAX or not self.up:
            return False
        self.waiting.append((bulk, sub, body))
        self.waiting.sort(key=lambda one: one[0])
        self.ether.wake()
        return True

    def budget(self, link, now):
        if not self.up:
            return None
        frame_us = self.frame_us(link)
        return Budget(link, self.ether.room, frame_us, self.left_us, self.hour_us)

    def free_us(self, link, airtime_us, now):
        """Half an hour from now, where the hour does not hold so much."""
        return now if airtime_us <= self.left_us else now + 1_800_000_000

    def frame_us(self, link):
        return airtime_us(self.ether.modulation, self.ether.room + OVERHEAD)

    def neighbours_of(self, link):
        return [other.identity.node for other in self.ether.heard_by(self)] if self.up else []

    def others(self, link, node):
        sender = self.ether.by_node[node]
        reached = self.ether.heard_by(sender)
        return sum(one is not sender and one not in reached for one in self.ether.heard_by(self))

    def public_of(self, node):
        known = self.ether.by_node.get(node)
        return known.identity.public if known else None

    def sign(self, message):
        return self.identity.sign(message)


class Ether(FileNet):
    """A channel among devices, beside their sessions."""

    def __init__(self, *devices, loss=0.0, seed=1, modulation=LONG_FAST, room=237):
        super().__init__(*devices)
        self.random = Random(seed)
        self.loss, self.modulation, self.room = loss, modulation, room
        self.radios = [Radio(self, device) for device in devices]
        self.by_node = {radio.identity.node: radio for radio in self.radios}
        self.bytes, self.frames, self.by_sub = 0, 0, {}
        self.deaf = set()
        self.change = None
        self._free_us = 0
        self._flying = None
        self._next_us = None
        for radio in self.radios:
            radio.device.antenna.radio = radio

    def heard_by(self, radio):
        """Return the radios that hear one."""
        others = (other for other in self.radios if other is not radio and other.up)
        return [other for other in others if (radio, other) not in self.deaf]

    def part(self, one, other):
        """Let two devices not hear each other."""
        radios = {radio.device: radio for radio in self.radios}
        pair = radios[one], radios[other]
        self.deaf |= {pair, pair[::-1]}

    def wake(self):
        if self._flying is None and self._next_us is None:
            self._next_us = self.now + self.random.randint(1_000, 200_000)

    def inject(self, node, sub, body):
        """Put an item on the air that nobody here sends."""
        self._deliver(self.by_node[node], sub, body)
        self.settle()

    def dues(self):
        return [] if self._next_us is None else [self._next_us]

    def step(self):
        """Begin or end a frame, when it is time."""
        if self._next_us is None or self._next_us > self.now:
            return
        self._next_us = None
        if self._flying is not None:
            (radio, sub, body), self._flying = self._flying, None
            self._deliver(radio, sub, body)
        ready = [radio for radio in self.radios if radio.waiting and radio.up]
        if not ready:
            return
        if self._free_us > self.now:
            self._next_us = self._free_us
            return
        radio = self.random.choice(ready)
        _, sub, body = radio.waiting.pop(0)
        size = OVERHEAD + len(body)
        self._flying = (radio, sub, body)
        self._next_us = self.now + airtime_us(self.modulation, size)
        self._free_us = self._next_us + self.random.randint(5_000, 100_000)
        self.bytes += size
        self.frames += 1
        count, total = self.by_sub.get(int(sub), (0, 0))
        self.by_sub[int(sub)] = count + 1, total + size
        radio.sent.append((int(sub), body))

    def _deliver(self, radio, sub, body):
        if self.change is not None:
            sub, body = self.change(radio, sub, body)
        for other in self.heard_by(radio):
            if self.random.random() >= self.loss:
                other.device.files.lora.heard("lora0", radio.identity.node, sub, body, self.now)


def crowd(count, **options):
    """Return an ether of the first device, which may put, and `count` more of its space."""
    names = ["anna", *(f"n{number}" for number in range(count))]
    return Ether(*household(*names), **options)


def has(device, data, name="file"):
    """Tell whether a device has a file whole, without asking anybody."""
    lines = [line for line in device.listed() if line.get("name") == name]
    return bool(lines) and lines[-1].get("state") == "here"


def put(ether, data, device=0):
    """Put a file, and let the others hear of it as entries do."""
    giver = ether.devices[device]
    ticket = giver.put(data)
    sync(*ether.devices)
    return giver.reply(ticket)


def all_have(ether, data, but=()):
    return all(has(device, data) for device in ether.devices if device not in but)


def manifest_of(device):
    device.listed()
    (manifest,) = device.files._catalogue.all(device.spaces.all()[0].id)
    return manifest


def meet(ether):
    """Let all devices look who is in earshot, as they do every few seconds."""
    for radio in ether.radios:
        radio.device.files.lora.blobs.look("lora0", radio.neighbours_of("lora0"), ether.now)
    ether.settle()
