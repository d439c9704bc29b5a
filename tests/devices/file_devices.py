"""Devices with files, joined by sessions in memory: real spaces, real stores, virtual time.

A `FileNet` carries records and bulks in order, with bounded room a direction as sessions have it,
and lets a test change or lose what goes over. Spaces are synced by `meet`, files by `Files` alone.
"""

from collections import deque

from devices import space_devices
from devices.space_devices import SECOND, Device

from meshd.core.events import Notice, Progress, Reply, StoreAppend, StoreRead
from meshd.store.interface import StoreError
from meshd.sync.files.files import Files

ROOM_BYTES = 512 * 1024
MIB = 1 << 20


class FileDevice(Device):
    """A node with spaces and files."""

    quota_bytes = 0

    def start(self):
        super().start()
        self.progress = []
        self.sessions = Sessions()
        self.sought = []
        self.antenna = getattr(self, "antenna", None) or Antenna()
        image = self.store.load()
        self.files = Files(self.ctx, self.spaces, self.sessions, self.antenna, image=image)
        self.files.set_quota(self.quota_bytes)
        self.files.seek = lambda space, likely, now: self.sought.append((space, likely))
        self.read_fault = None

    def run(self):
        while self.ctx.events or self._space_events():
            if not self.ctx.events:
                continue
            event = self.ctx.events.popleft()
            if isinstance(event, StoreAppend):
                self.waiting.append(event)
                if not self.held:
                    self.commit()
            elif isinstance(event, StoreRead):
                self._read(event)
            elif isinstance(event, Reply):
                self.replies[event.ticket] = event
            elif isinstance(event, Progress):
                self.progress.append(event)
            elif isinstance(event, Notice):
                self.notices.append(event)

    def _space_events(self):
        moved = False
        while (event := self.spaces.poll_event()) is not None:
            self.events.append(event)
            self.files.space_event(event, self.now)
            moved = True
        return moved

    def _read(self, event):
        part = {"files": self.files, "space": self.spaces}[self.ctx.read_finished(event.token)]
        try:
            if self.read_fault is not None and self.read_fault(event.query):
                raise StoreError("store-full", "no room", remedy="")
            answer = self.store.answer(event.query)
        except StoreError as error:
            part.read_failed(event.token, error.text, self.now)
        else:
            part.read_done(event.token, answer, self.now)

    def commit(self):
        self.committing = list(self.waiting)
        super().commit()
        for append in self.committing:
            self.files.committed(append.number, self.now)

    def reloaded(self, image):
        for append in self.committing:
            self.files.commit_failed(append.number, "no room", self.now)
        self.committing = []
        self.files.reload(image, self.now)

    def request(self, verb, **args):
        """Begin a request of files; return its ticket."""
        ticket = len(self.replies) + 5000
        self.replies[ticket] = None
        self.files.requests[verb](args, ticket, self.now)
        self.run()
        return ticket

    def reply(self, ticket):
        return self.replies[ticket]

    def put(self, data, *, name="file", space="home", size=None):
        handle = self.store.files.lend(data)
        size = len(data) if size is None else size
        return self.request("put", space=space, name=name, size=size, handle=handle)

    def get(self, *, name="file", space="home", **args):
        """Begin to get a file; return (ticket, the handle that it goes to)."""
        handle = self.store.files.lend()
        return self.request("get", space=space, name=name, handle=handle, **args), handle

    def content(self, handle):
        return bytes(self.store.files.lent[handle])

    def listed(self, space="home"):
        return self.reply(self.request("files", space=space)).value["files"]


class Antenna:
    """What `Files` sees of radios: none, until an `Ether` gives a `radio`."""

    radio = None

    def links(self):
        return self.radio.links() if self.radio else ()

    def __getattr__(self, name):
        return getattr(self.radio, name)


class Sessions:
    """The port that `Files` sends through."""

    def __init__(self):
        self.ends = {}

    def send(self, session, record):
        return self.ends[session].push("record", record, b"") if session in self.ends else False

    def send_bulk(self, session, head, data):
        return self.ends[session].push("bulk", head, data) if session in self.ends else False

    def room(self, session):
        return self.ends[session].room if session in self.ends else 0


class End:
    """One direction of a session: what waits to be carried to `taker`, under its number there."""

    def __init__(self, giver, taker, numbers):
        self.giver = giver
        self.taker = taker
        self.number, self.taker_number = numbers
        self.queue = deque()
        self.queued = 0
        self.full = False
        self.frozen = False
        self.change = None

    @property
    def room(self):
        return ROOM_BYTES - self.queued

    def push(self, kind, head, data):
        size = len(head) + len(data)
        if size > self.room:
            self.full = True
            return False
        self.queue.append((kind, head, data))
        self.queued += size
        self.full = self.full or self.queued > ROOM_BYTES // 2
        return True


class FileNet:
    """Sessions among devices."""

    def __init__(self, *devices):
        self.devices = devices
        self.ends = []
        self.now = 0
        self._numbers = 0

    def link(self, one, other, *, shared=True):
        """Open a session that shares the one space, or nothing."""
        self._numbers += 2
        numbers = (self._numbers, self._numbers + 1)
        there = End(one, other, numbers)
        back = End(other, one, numbers[::-1])
        one.sessions.ends[numbers[0]] = there
        other.sessions.ends[numbers[1]] = back
        self.ends += [there, back]
        if shared:
            (space,) = one.spaces.all()
            for device, number, peer in ((one, numbers[0], other), (other, numbers[1], one)):
                node = peer.identity.node
                device.files.share_opened(number, space.id, self.now, node=node)
        self.settle()
        return there, back

    def cut(self, *ends):
        for end in ends:
            self.ends.remove(end)
            del end.giver.sessions.ends[end.number]
        for end in ends:
            end.giver.files.session_down(end.number, self.now)
        self.settle()

    def settle(self):
        """Carry until nothing moves."""
        moved = True
        while moved:
            for device in self.devices:
                device.now = self.now
                device.run()
            moved = sum(self.carry(end) for end in list(self.ends)) > 0

    def carry(self, end):
        """Carry the next thing of one direction; tell when there is room again."""
        if end.frozen or not end.queue or end not in self.ends:
            return False
        kind, head, data = end.queue.popleft()
        end.queued -= len(head) + len(data)
        items = [(kind, head, data)] if end.change is None else end.change(kind, head, data)
        for kind, head, data in items:
            if kind == "record":
                end.taker.files.record(end.taker_number, head, self.now)
            else:
                end.taker.files.bulk(end.taker_number, head, data, self.now)
            end.taker.run()
        if end.full and end.queued <= ROOM_BYTES // 2:
            end.full = False
            end.giver.files.session_room(end.number, self.now)
            end.giver.run()
        return True

    def dues(self):
        """Return when something happens beside timers; `step` does it."""
        return []

    def step(self):
        """Do what is due beside timers."""

    def wait(self, seconds):
        """Let time pass in steps, timers and carrying in between."""
        until = self.now + int(seconds * SECOND)
        self.settle()
        while True:
            dues = [found[0] for one in self.devices if (found := one.ctx.timers.next())]
            dues += self.dues()
            at = min(dues, default=until)
            if at > until:
                break
            self.now = max(self.now, at)
            self.step()
            for device in self.devices:
                device.now = self.now
                for key in device.ctx.timers.expired(self.now):
                    part = device.files if key[0] == "files" else device.spaces
                    part.handle_timer(key, self.now)
            self.settle()
            if not dues:
                break
        self.now = until
        self.settle()


def drops(device, reason):
    """Return how often a device dropped something for this reason."""
    return device.ctx.drops.total(reason)


def household(*names, roles=()):
    """Devices of one space `home`, all in sync: the first founded it; roles by name."""
    roles = dict(roles)
    first = FileDevice(names[0])
    first.ask("space.create", name="home", **{"as": names[0]})
    devices = [first]
    for name in names[1:]:
        device = FileDevice(name)
        role = roles.get(name, "writer")
        url = first.ask("invite", space="home", role=role).value["url"]
        space_devices.join(device, first, url)
        devices.append(device)
        space_devices.meet(*devices)
    return devices


def sync(*devices):
    """Sync entries, as `Sync` would."""
    space_devices.meet(*devices)
