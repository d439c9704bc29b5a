"""Houses of `sync_net` with a radio each: the real `AirSync`, over an air without collisions.

Objects reach all in the component, once each, hop by hop; LOCAL items reach who is in earshot.
Every frame is counted in bytes, those of relays too: 16 of frame, 3 of an object or 2 of an item.
"""

from types import SimpleNamespace

from devices.sync_net import MS, SECOND, House, SyncNet

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.events import StoreRead
from meshd.sync.air.names import Names
from meshd.sync.air.sync import AirSync
from meshd.wire.lora_payload import ObjectKind, Sub

SF7 = Modulation(7, 125_000)
FRAME, OBJECT, LOCAL = 16, 3, 2
LONGEST = 222
MINUTE = 60 * SECOND
WINDOW_US = 15 * MINUTE


class Frame(SimpleNamespace):
    """Something that was on the air: by whom, an object's kind or an item's sub, its length."""


class Radios:
    """One house's only radio."""

    def __init__(self, house):
        self.house = house
        self.up = self.listens = True
        self.links = {"l0": self}
        self.held = {}
        self.room_left = True
        self.law_us = 0

    def free_us(self, airtime_us, priority, now):
        return max(self.law_us, now)

    def airtime_us(self, size):
        return airtime_us(SF7, size)

    def body_max(self, link=""):
        return LONGEST - FRAME - OBJECT

    def room(self, link):
        return LONGEST - FRAME - LOCAL

    def neighbours_of(self, link):
        return tuple(house.node for house in self.house.net.in_earshot(self.house))

    def beside(self, link):
        return self.neighbours_of(link) if self.house.sessions.ends else ()

    def publish(self, body, priority, now, *, link=""):
        assert len(body) <= self.body_max()
        if not self.room_left:
            return 0
        if not self.has(body):
            self.keep(body)
            self.house.net.object(self.house, body)
        return 1

    def has(self, body):
        """Tell whether an object was here within the last quarter of an hour."""
        return self.house.net.now - self.held.get(body, -WINDOW_US) < WINDOW_US

    def keep(self, body):
        self.held[body] = self.house.net.now

    def tell(self, link, item, priority, now):
        assert len(item.body) <= self.room(link)
        if not self.room_left:
            return False
        self.house.net.local(self.house, item.sub, item.body)
        return True

    def say(self, link, item, now, *, want=False):
        return self.tell(link, item, 2, now)


class NoBlobs:
    """Nothing goes in pieces here."""

    def give(self, plan, ref, blob, now):
        return False

    def given(self, payer):
        return []

    def gives(self, link, ref):
        return None

    def budget(self, link, now):
        return None

    def taking(self, root):
        return None

    def reached(self, link, node):
        return False

    def again(self, now):
        pass

    def look(self, link, neighbours, now):
        pass


class AirHouse(House):
    """A house with a radio; `radio=False` for none."""

    def __init__(self, net, name, *, radio=True, **options):
        self.has_radio = radio
        super().__init__(net, name, **options)

    def boot(self):
        self.radios = Radios(self)
        if not self.has_radio:
            self.radios.links = {}
        self.air = None
        super().boot()
        self.air = AirSync(self.ctx, self.spaces, self.radios, self.sync, blobs=NoBlobs())
        self.air.tend(self.net.now)

    def timer(self):
        for key in self.ctx.timers.expired(self.net.now):
            owner = {"sync": self.sync, "space": self.spaces, "air": self.air}[key[0]]
            owner.handle_timer(key, self.net.now)
            self.drain()

    def drain(self):
        while True:
            if (event := self.spaces.poll_event()) is not None:
                self.sync.space_event(event, self.net.now)
                if self.air is not None:
                    self.air.space_event(event, self.net.now)
            elif self.ctx.events:
                self._take(self.ctx.events.popleft())
            else:
                break
        if self.air is not None:
            self.air.tend(self.net.now)

    def _take(self, event):
        if isinstance(event, StoreRead):
            self.net.at(self.net.now + self.read_us, self._read_air, event, self.ctx)
        else:
            super()._take(event)

    def _read_air(self, read, context):
        name = None if context is not self.ctx else self.ctx.read_finished(read.token)
        if name is None:
            return
        owner = {"sync": self.sync, "space": self.spaces, "air": self.air}[name]
        owner.read_done(read.token, self.store.answer(read.query), self.net.now)
        self.drain()

    def hear_object(self, node, body, born_us=0):
        if self.has_radio and not self.radios.has(body):
            self.radios.keep(body)
            born_us = born_us or self.net.now
            heard = SimpleNamespace(link="l0", node=node, body=body, born_us=born_us)
            self.air.object(heard, self.net.now)
            self.drain()
            return True
        return False

    def hear_local(self, node, sub, body, trusted=True):
        if self.has_radio:
            heard = SimpleNamespace(link="l0", node=node, sub=sub, body=body, trusted=trusted)
            self.air.local(heard, self.net.now)
            self.drain()


class AirNet(SyncNet):
    """The air: who hears whom (all, but for `deaf`), what was sent, what is lost.

    An object takes any part of `takes_us` to each who hears it.
    """

    house_kind = AirHouse

    def __init__(self, seed=0):
        super().__init__(seed)
        self.deaf = set()
        self.frames = []
        self.loss = 0.0
        self.takes_us = 500 * MS
        self.born_us = {}

    def house(self, name, **options):
        house = self.houses[name] = AirHouse(self, name, **options)
        return house

    def apart(self, one, other):
        self.deaf.add(frozenset((one.name, other.name)))

    def together(self, one, other):
        self.deaf.discard(frozenset((one.name, other.name)))

    def in_earshot(self, house):
        return [
            other
            for other in self.houses.values()
            if other is not house
            and other.has_radio
            and other.radios.up
            and frozenset((house.name, other.name)) not in self.deaf
        ]

    def _count(self, house, name, size, relayed=False):
        frame = Frame(by=house.name, name=name, size=size, at=self.now, relayed=relayed)
        self.frames.append(frame)

    def object(self, house, body, relayed=False):
        """Send an object by a house, and have whoever did not know it send it on."""
        self._count(house, ObjectKind(body[0]).name, FRAME + OBJECT + len(body), relayed)
        self.born_us.setdefault(body, self.now)
        after = self.now + airtime_us(SF7, FRAME + OBJECT + len(body))
        for other in self.in_earshot(house):
            if self.rng.random() >= self.loss:
                self.at(
                    after + self.rng.randint(0, self.takes_us), self._object, house, other, body
                )

    def _object(self, sender, hearer, body):
        if hearer in self.in_earshot(sender) and hearer.hear_object(
            sender.node, body, self.born_us[body]
        ):
            further = [each for each in self.in_earshot(hearer) if not each.radios.has(body)]
            if further:
                self.object(hearer, body, relayed=True)

    def local(self, house, sub, body):
        self._count(house, Sub(sub).name, FRAME + LOCAL + len(body))
        after = self.now + airtime_us(SF7, FRAME + LOCAL + len(body))
        for other in self.in_earshot(house):
            if self.rng.random() >= self.loss:
                self.at(after, self._local, house, other, sub, body)

    def _local(self, sender, hearer, sub, body):
        if hearer in self.in_earshot(sender):
            hearer.hear_local(sender.node, sub, body)

    def named(self, *names, since=0):
        return [frame for frame in self.frames if frame.name in names and frame.at >= since]

    def on_air(self, since=0):
        return sum(frame.size for frame in self.frames if frame.at >= since)

    def home(self, count):
        """Houses that share a space by sessions, which end then: only radios are left."""
        houses = [self.founder("h0")]
        for place in range(1, count):
            houses.append(self.joined(f"h{place}", houses[0]))
        self.run(2 * SECOND)
        for one in houses:
            for other in houses:
                if one is not other:
                    self.cut(one, other)
        return houses

    def forgets(self, one, other):
        """Two write apart, restart, and meet: neither knows the other's state of before."""
        houses = (one, other)
        self.run(5 * MINUTE)
        self.apart(one, other)
        one.post("one")
        other.post("two")
        self.run(MINUTE)
        for house in houses:
            self.crash(house)
        self.run(MINUTE)
        self.together(one, other)
        self.run(40 * MINUTE, until=lambda: self.same(houses))

    def same(self, houses):
        return all(house.heads() == houses[0].heads() for house in houses)


def names_of(spaces, salt):
    """Return what is said of spaces by who has drawn this salt."""
    names = Names(spaces)
    names.begin(salt)
    return names
