"""Devices that write to each other, in virtual time: the real `Messages` over stand-in links.

Edges are "ip" or "lora". A LoRa stand-in carries sealed bodies along the shortest way, tries each
four times, and stops where the way goes on by IP, as radios do. Sync is `sync`, when a test asks.
"""

from collections import deque
from functools import partial
from heapq import heappop, heappush
from itertools import count, pairwise

from devices.space_devices import SECOND, Device, join, meet

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.events import Datagram, Notice, Reply, StoreAppend, StoreRead, Transmit
from meshd.core.ids import node_text
from meshd.core.options import NodeOptions
from meshd.forwarding.direct import State
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged
from meshd.messages.letter import letter_id
from meshd.messages.messages import Messages
from meshd.messages.ways import Way

HOP_US = SECOND // 2
AGAIN_US = 20 * SECOND
ATTEMPTS = 4


class LetterDevice(Device):
    """A device with direct messages. `net` is set before it starts again."""

    net = None

    def start(self):
        super().start()
        self.numbers = count(1)
        self.out = {}
        self.once = set()
        self.spent = False
        self.queued = set()
        if not hasattr(self, "tells_read"):
            self.tells_read = False
        if self.net is None:
            return
        self.messages = Messages(
            self.ctx,
            self.spaces,
            self,
            NodeOptions(),
            ways=self,
            ping=lambda args, ticket, now: self.ctx.emit(Reply(ticket, {"ip": True})),
        )
        self.messages.tells_read = self.tells_read
        self.messages.load(self.store.load(), self.now)

    @property
    def node(self):
        return self.identity.node

    @property
    def text_id(self):
        return node_text(self.node)

    @property
    def local(self):
        return b"\xfe\x80" + bytes(4) + self.node

    # --- ways and radios, as a node has them ------------------------------------------------------

    def way(self, node):
        path = self.net.path(self, self.net.by_node.get(node))
        if not path:
            return None
        kinds = [self.net.kind(a, b) for a, b in pairwise(path)]
        radio = kinds[0] == "lora"
        return Way("lora0" if radio else "w0", path[1].local, radio, "lora" in kinds)

    def behind(self, short):
        nodes = [each.node for each in self.net.devices if each.node[:2] == short]
        ways = ((node, self.way(node)) for node in nodes if node != self.node)
        return tuple(node for node, way in ways if way is not None and not way.radio)

    def fits_hour(self, link, size, now):
        return 300

    def direct(self, link, to_short, body, now, *, once=False, others=False):
        if len(self.out) > 31:
            raise UsageError("too many")
        number = next(self.numbers)
        self.out[number] = (to_short, body)
        if once:
            self.once.add(number)
        if self.spent:  # no airtime is left: it waits in the radio's queue
            self.queued.add(number)
        else:
            self.net.attempt(self, number, 0)
        return number

    def withdraw(self, link, number, now):
        if number not in self.queued:
            return False
        self.queued.discard(number)
        return self.out.pop(number, None) is not None

    def confirm(self, link, number, now):
        self.out.pop(number, None)

    def answer(self, arrived, tag, now):
        self.net.answer(self, arrived, tag)

    def names(self):
        return ("lora0",)

    def neighbours_of(self, link):
        return tuple(node for node, _ in self.net.beacons(self))

    def public_of(self, node):
        return dict(self.net.beacons(self)).get(node)

    def tell(self, event):
        self.on_direct(event, self.now)

    # --- time -------------------------------------------------------------------------------------

    def run(self):
        while self.ctx.events or self.ctx.transmits:
            while self.ctx.transmits:
                self.net.transmit(self, self.ctx.transmits.popleft())
            while self.ctx.events:
                self.handle(self.ctx.events.popleft())
            while (event := self.spaces.poll_event()) is not None:
                self.events.append(event)
                if self.net is not None:
                    self.messages.space_event(event, self.now)

    def handle(self, event):
        if isinstance(event, StoreAppend):
            self.waiting.append(event)
            if not self.held:
                self.commit()
        elif isinstance(event, StoreRead):
            owner = self.ctx.read_finished(event.token)
            reader = self.messages if owner == "messages" else self.spaces
            reader.read_done(event.token, self.store.answer(event.query), self.now)
        elif isinstance(event, Reply):
            self.replies[event.ticket] = event
        elif isinstance(event, Notice):
            self.notices.append(event)

    def reloaded(self, image):
        if self.net is not None:
            self.messages.load(image, self.now)

    def ask(self, verb, **args):
        table = (
            self.spaces.requests
            if self.net is None
            else {**self.spaces.requests, **self.messages.requests}
        )
        ticket = len(self.replies) + 1000
        table[verb](args, ticket, self.now)
        self.run()
        return self.replies.get(ticket)

    def begin(self, verb, **args):
        """Make a request that is answered later; return its ticket."""
        ticket = 5000 + len(self.notices) + self.now % 1000
        while ticket in self.replies:
            ticket += 1
        self.messages.requests[verb](args, ticket, self.now)
        self.run()
        return ticket

    # --- what tests look at -----------------------------------------------------------------------

    def states(self):
        return [notice.fields["state"] for notice in self.kinds("message-state")]

    def shown(self):
        """Texts that came, each time one was told."""
        return told_texts(self.notices, self.messages)

    def dropped(self, reason):
        return self.ctx.drops.total(reason)

    def text(self, to, text, **args):
        return self.ask("message", node=node_text(to.node), text=text, **args)

    def list(self, **args):
        return self.ask("messages", **args).value["messages"]


def told_texts(notices, messages):
    """Return the text of each notice of a message; the notice itself does not have it."""
    texts = {}
    for got in messages.inbox.texts.values():
        texts.setdefault(letter_id(got.node, got.number), []).append(got.text)
    told = []
    for notice in notices:
        if notice.kind == "message":
            known = texts[notice.fields["id"]]
            told.append(known.pop(0) if len(known) > 1 else known[0])
    return told


class Net:
    """Devices, edges and time. `lost(what, sender, to)` says what the air loses."""

    def __init__(self, *names, edges=()):
        self.now = 0
        self.heap = []
        self.order = count()
        self.edges = {}
        self.away = set()
        self.met = True
        self.frames = []
        self.lost = lambda what, sender, to: False
        self.devices = []
        self.by_node = {}
        for name in names:
            self.add(name)
        for first, second, kind in edges:
            self.edges[frozenset((first, second))] = kind

    def add(self, name):
        device = LetterDevice.__new__(LetterDevice)
        device.net = self
        self.devices.append(device)
        device.__init__(name)
        self.by_node[device.node] = device
        device.run()
        return device

    def __getitem__(self, name):
        return next(device for device in self.devices if device.name == name)

    def share(self, first, second, *others):
        """Let devices share a space and each other's cards."""
        one = self[first]
        one.ask("space.create", name="home", **{"as": first})
        rest = [self[name] for name in (second, *others)]
        for device in rest:
            join(device, one, one.ask("invite", space="home", role="writer").value["url"])
            one.events.clear()
            meet(one, *rest)

    def sync(self, *names):
        meet(*(self[name] for name in names))

    # --- ways -------------------------------------------------------------------------------------

    def kind(self, first, second):
        if {first.name, second.name} & self.away:
            return None
        return self.edges.get(frozenset((first.name, second.name)))

    def path(self, source, target):
        if target is None or target is source:
            return None
        came, waiting = {source.name: None}, deque([source])
        while waiting:
            here = waiting.popleft()
            if here is target:
                path = [here]
                while came[path[0].name] is not None:
                    path.insert(0, came[path[0].name])
                return path
            for other in self.devices:
                if other.name not in came and self.kind(here, other):
                    came[other.name] = here
                    waiting.append(other)
        return None

    def beacons(self, device):
        """Keys of those in earshot by LoRa, unless a test says that nobody met."""
        return [
            (other.node, other.identity.public)
            for other in self.devices
            if self.met and self.kind(device, other) == "lora"
        ]

    # --- carrying ---------------------------------------------------------------------------------

    def transmit(self, sender, sent):
        assert isinstance(sent, Transmit)
        for other in self.devices:
            if other.local == sent.destination and self.kind(sender, other) == "ip":
                if not self.lost("ip", sender.name, other.name):
                    heard = Datagram(sender.local, sent.port, sent.data)
                    self.at(1_000, other, partial(self.hand_over, other, heard))

    def hand_over(self, device, heard):
        device.messages.receive("w0", heard, device.now)

    def attempt(self, sender, number, tries):
        """Try to bring a body along the radios' part of the way."""
        if number not in sender.out:
            return
        if tries >= (1 if number in sender.once else ATTEMPTS):
            del sender.out[number]
            changed = (State.GIVEN_UP, DropReason.DIRECT_UNANSWERED)
            self.radio(0, sender, DirectChanged("lora0", number, *changed))
            return
        to_short, body = sender.out[number]
        if not tries:
            self.radio(HOP_US, sender, DirectChanged("lora0", number, State.SENT, None))
        for target in self.devices:
            if target.node[:2] == to_short and target is not sender:
                self.carry(sender, target, number, body)
        self.at(AGAIN_US, sender, lambda: self.attempt(sender, number, tries + 1))

    def carry(self, sender, target, number, body):
        path = self.path(sender, target)
        if not path or self.kind(path[0], path[1]) != "lora":
            return
        hops = 1
        while hops + 1 < len(path) and self.kind(path[hops], path[hops + 1]) == "lora":
            hops += 1
        end = path[hops]
        self.frames.append((sender.name, end.name, body))
        if not self.lost("direct", sender.name, end.name):
            arrived = (sender.node[:2], number, body, target.node[:2], hops)
            self.radio(hops * HOP_US, end, DirectArrived("lora0", *arrived))

    def answer(self, end, arrived, tag):
        """Bring an answer back to whoever has the short address that it is for."""
        for sender in self.devices:
            known = sender.node[:2] == arrived.origin and arrived.number in sender.out
            if known and self.path(end, sender):
                if not self.lost("answer", end.name, sender.name):
                    answered = DirectAnswered("lora0", arrived.number, tag, arrived.hops)
                    self.radio(arrived.hops * HOP_US, sender, answered)

    def radio(self, delay_us, device, event):
        self.at(delay_us, device, lambda: device.tell(event))

    # --- time -------------------------------------------------------------------------------------

    def at(self, delay_us, device, action):
        heappush(self.heap, (self.now + delay_us, next(self.order), device, device.ctx, action))

    def run(self, seconds):
        end = self.now + int(seconds * SECOND)
        for device in self.devices:
            device.run()
        while True:
            dues = [device.ctx.timers.next() for device in self.devices]
            timed = min((due[0] for due in dues if due), default=end + 1)
            soon = self.heap[0][0] if self.heap else end + 1
            if min(timed, soon) > end:
                break
            self.now = max(self.now, min(timed, soon))
            for device in self.devices:
                device.now = self.now
            if soon <= timed:
                _, _, device, ctx, action = heappop(self.heap)
                if ctx is device.ctx and device.name not in self.away:
                    action()
                    device.run()
            for device in self.devices:
                self.expire(device)
        self.now = end
        for device in self.devices:
            device.now = end

    def expire(self, device):
        for key in list(device.ctx.timers.expired(self.now)):
            owner = device.messages if key[0] == "messages" else device.spaces
            owner.handle_timer(key, self.now)
        device.run()

    def restart(self, name):
        """Lose all that is not on the disk, and start again."""
        device = self[name]
        device.start()
        device.run()
        return device
