"""Direct messages of one node: composes outbox, inbox, exchange, carriage, and who serves people.

Enters: datagrams, events of radios and spaces, timers, answers of the store. Leaves: notices, and
what its parts send and answer. Holds no rule of its own but when a text that came is acknowledged,
and when its sender is told that it was seen.
"""

from collections.abc import Callable
from functools import partial

from meshd.core.arguments import Args
from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.events import Answer, Datagram, EntriesQuery, StoreImage
from meshd.core.options import NodeOptions
from meshd.core.snapshot import Problem
from meshd.core.timers import Key
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged
from meshd.messages.carriage import Carriage
from meshd.messages.contacts import Contacts, Opened
from meshd.messages.exchange import Exchange, Heard
from meshd.messages.inbox import Inbox, Taken
from meshd.messages.key_air import KeyAir
from meshd.messages.letter import IDENTITY, PREKEYS, Got
from meshd.messages.members import Members
from meshd.messages.nodes import NodeRequests
from meshd.messages.outbox import Outbox
from meshd.messages.people import People
from meshd.messages.pings import Pings
from meshd.messages.prekeys import Prekeys
from meshd.messages.requests import MessageRequests
from meshd.messages.sending import Sending
from meshd.messages.waiting import Waits
from meshd.messages.ways import RadioVerbs, Ways, heard_keys
from meshd.space.feed import EntryApplied, MembershipChanged, SpaceAdded, SpaceEvent
from meshd.space.mail import Name
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.wire import entry as wire_entry
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.letters import Echo, Read, Text

READ_AGAIN_US = 300_000_000
READS_PER_TURN = 8
BEHIND_US = 5_000_000
"""After a failed commit, what the disk lacks is written again so much later, once each time."""

Verb = Callable[[Args, int, int], None]
_LETTER, _PREKEY = bytes([Kind.LETTER]), bytes([Kind.PREKEY])


class _Telling:
    """A note to a sender that its text was read."""

    def __init__(self, inbox: Inbox, got: Got) -> None:
        self._inbox = inbox
        self._got = got

    def left(self, now: int) -> None:
        """It left."""

    def answered(self, hops: int, now: int) -> None:
        """The sender knows."""
        self._inbox.mark(self._got, told=True)

    def failed(self, reason: DropReason, now: int) -> None:
        """It will be told another time."""

    def refused(self, now: int) -> None:
        """It will be told another time."""


class Messages:
    """The direct messages of one node. `ping` asks nodes to which no LoRa hop lies on the way.

    `tells_read`: senders hear when a person saw their text.
    """

    def __init__(
        self,
        ctx: Context,
        spaces: Spaces,
        radios: RadioVerbs,
        options: NodeOptions,
        *,
        ways: Ways,
        ping: Verb,
    ) -> None:
        identity, mesh = spaces.identity, options.mesh
        self.tells_read = options.read_receipts
        self.damaged: list[str] = []
        self._ctx = ctx
        self._node = identity.node
        self._spaces = spaces
        self._members = Members(spaces)
        self.carriage = Carriage(ctx, self._node, ways=ways, radios=radios)
        self.prekeys = Prekeys(ctx, spaces)
        contacts = Contacts(
            identity.device_seed,
            mesh,
            known=(self._members.of, partial(heard_keys, radios)),
            prekeys=self.prekeys,
        )
        self.prekeys.on_gone = contacts.forget_prekey
        self._exchange = Exchange(
            ctx,
            self.carriage,
            contacts,
            public=identity.public,
            key_air=KeyAir(radios),
            doubt_prekeys=self.prekeys.doubt,
        )
        self._exchange.on_letter = self._letter
        self._exchange.on_key = self._key_known
        self.outbox = Outbox(ctx, spaces.commit, node=self._node)
        self.inbox = Inbox(ctx, spaces.commit, knows=self._members.has)
        self._sending = Sending(
            ctx,
            self.outbox,
            exchange=self._exchange,
            carriage=self.carriage,
            spaces=spaces,
            prekeys=self.prekeys,
        )
        self._pings = Pings(ctx, self._exchange, mesh=mesh, medium=self.carriage.medium)
        self.people = People(self._node, spaces, mesh=mesh)
        self.people.in_earshot = partial(_in_earshot, radios)
        self.people.sources += [self.people.in_earshot, contacts.nodes]
        self.people.sources += [self.outbox.reached, self.inbox.senders]
        self._waits = Waits(ctx, self.outbox, node=self._node)
        self._sending.on_state = self._waits.changed
        self._echoes = Buckets(burst=6, interval_us=2_000_000, sources_max=256)
        self._reads: dict[int, tuple[Space, Name]] = {}
        radios.on_direct = self.radio_event
        spaces.on_mended = self._mended
        self.requests = self._verbs(ping)

    def _verbs(self, ping: Verb) -> dict[str, Verb]:
        """Return what people may ask for."""
        texts = MessageRequests(
            self._ctx,
            self.people,
            self._sending,
            outbox=self.outbox,
            inbox=self.inbox,
            wall_s=self._spaces.wall_s,
            pump=self._exchange.pump,
        )
        nodes = NodeRequests(self._ctx, self.people, self.carriage, self._pings, ip_ping=ping)
        return {
            "message": texts.message,
            "message.cancel": texts.cancel,
            "message.wait": self._waits.wait,
            "messages": texts.messages,
            "ping": nodes.ping,
            "who": nodes.who,
        }

    # --- inputs -----------------------------------------------------------------------------------

    def receive(self, link: str, datagram: Datagram, now: int) -> None:
        """Take a datagram of a neighbour."""
        self.carriage.receive(link, datagram, now)
        self._exchange.pump(now)

    def radio_event(self, event: DirectArrived | DirectAnswered | DirectChanged, now: int) -> None:
        """Take what a radio brought, or what became of what was sent by one."""
        self.carriage.radio_event(event, now)
        self._exchange.pump(now)

    def load(self, image: StoreImage, now: int) -> None:
        """Start, or start again, from what the store holds."""
        self.damaged = self.outbox.load(image.metas) + self.inbox.load(image.metas)
        self.damaged += self.prekeys.load(image.metas)
        self._members.changed()
        self._take_up()
        if self.outbox.is_behind:
            self._ctx.timers.set(("messages", "behind"), now + BEHIND_US)
        if self.outbox.waiting() or self.tells_read:
            self._ctx.timers.set(("messages", "start"), now)

    def problems(self) -> tuple[Problem, ...]:
        """Return what of the store's messages cannot be read, for `status`."""
        if not self.damaged:
            return ()
        text = f"{len(self.damaged)} kept messages are damaged: {', '.join(self.damaged[:3])}"
        remedy = "stop meshd and put a copy of store.db back if there is one; the others are well"
        return (Problem("message-damaged", text, remedy),)

    def space_event(self, event: SpaceEvent, now: int) -> None:
        """Look for letters among new entries, and for receipts of own ones."""
        self._members.changed()
        if not isinstance(event, EntryApplied):
            self.prekeys.changed(now, own=isinstance(event, MembershipChanged | SpaceAdded))
            return
        space = self._spaces.get(event.space)
        own = space is not None and space.is_own(event.author)
        self.prekeys.changed(now, own=own)
        if space is not None and not own:
            name = (event.author, event.seq)
            if event.data[1:2] == _PREKEY:
                self._prekey(space, name, event.data)
            else:
                self._entry(space, name, event.data, now)
            self._sending.look(now)

    def handle_timer(self, key: Key, now: int) -> None:
        """Do what is due."""
        why, which = key[1], key[2] if len(key) > 2 else 0
        assert isinstance(which, int)
        if why == "start":
            self._sending.start(now)
            self._tell_read(now)
        elif why == "letter":
            self._sending.go(which, now)
        elif why == "stored":
            self._sending.look(now)
        elif why == "prekeys":
            self.prekeys.tend(now)
        elif why == "parcel":
            self.carriage.handle_timer(which, now)
        elif why == "ping":
            self._pings.handle_timer(which, now)
        elif why == "wait":
            self._waits.over(which)
        elif why == "read":
            self._tell_read(now)
        elif why == "behind":
            self.outbox.catch_up()
        elif why == "again":
            self.inbox.turned_away = False
            self._take_up()
        self._exchange.pump(now)

    def read_done(self, token: int, answer: Answer, now: int) -> None:
        """An entry that is not acknowledged yet was read at the start."""
        held = self._reads.pop(token, None)
        for data in answer if isinstance(answer, tuple) else ():
            if held is not None and isinstance(data, bytes):
                space, name = held
                if not self._entry(space, name, data, now):
                    self._release(space, name, now)

    def read_failed(self, token: int, why: str, now: int) -> None:
        """An entry could not be read; nothing is acknowledged before the next start."""
        self._reads.pop(token, None)

    # --- what came --------------------------------------------------------------------------------

    def _letter(self, heard: Heard, now: int) -> None:
        node, letter = heard.opened.node, heard.opened.letter
        if isinstance(letter, Echo):
            if self._echoes.allow(node, now):
                heard.answer(now)
            else:
                self._ctx.drop(DropReason.LETTER_LIMITED)
        elif isinstance(letter, Read):
            self._sending.read(node, letter.number, now)
            heard.answer(now)
        else:
            name, keys = heard.opened.name, _keys_of(heard.opened)
            taken = Taken(node, letter.number, name, letter.text, stored=False, keys=keys)
            self.inbox.take(taken, self._spaces.wall_s(now) or 0, heard.answer, now)

    def _entry(self, space: Space, name: Name, data: bytes, now: int) -> bool:
        """Take the sealed letter in an entry; False where there is none.

        It is acknowledged when its text is kept here, and not before.
        """
        author = name[0]
        if data[1:2] != _LETTER:  # most entries are none: this one byte tells, the rest is checked
            return False
        try:
            if wire_entry.decode(data).head.kind != Kind.LETTER:
                return False
            opened = space.open(author, data)
            sealed = payload.decode_letter(opened.payload) if opened is not None else None
        except WireError:
            return False
        if sealed is None or sealed.to != self._node:
            return False
        space.mail.hold(name)
        found = self._exchange.open_of(space.node_of(author), sealed.body)
        if found is DropReason.LETTER_STRANGER:
            self._ctx.drop(DropReason.LETTER_UNOPENED)
            self.prekeys.unopened(space, name, now)
        elif isinstance(found, DropReason):
            self._ctx.drop(found)
        elif isinstance(found.letter, Text):
            said, keys = found.letter, _keys_of(found)
            taken = Taken(found.node, said.number, found.name, said.text, stored=True, keys=keys)
            wall_s = self._spaces.wall_s(now) or 0
            self.inbox.take(taken, wall_s, partial(self._release, space, name), now)
        return True

    def _prekey(self, space: Space, name: Name, data: bytes) -> None:
        """See what became of a prekey that a member told: the space has taken it, or not."""
        author, _ = name
        opened = space.open(author, data)
        try:
            said = payload.decode_prekey(opened.payload) if opened is not None else None
        except WireError:
            self._ctx.drop(DropReason.LETTER_MALFORMED)
            return
        if said is None:
            return
        known = space.prekeys.of(author)
        if (said.number, said.public) in known:
            self.prekeys.trust(space.node_of(author))
        else:
            self._ctx.drop(DropReason.LETTER_PREKEY_OLD)

    def _release(self, space: Space, name: Name, now: int) -> None:
        space.mail.release(name)
        self._spaces.plan_receipts(space, now)

    def _take_up(self) -> None:
        """Read again what no receipt was written for: the last run may not have kept its texts."""
        self._reads = {}
        for space in self._spaces.all():
            self._take_up_in(space)

    def _take_up_in(self, space: Space) -> None:
        for author, seq in space.mail.due_names():
            space.mail.hold((author, seq))
            query = EntriesQuery(space.id, author, seq, seq, 1)
            self._reads[self._ctx.read("messages", query)] = (space, (author, seq))

    def _mended(self, space: Space, now: int) -> None:
        """The mail of a space is whole again: what is due may not be kept here yet."""
        self._take_up_in(space)
        self._sending.look(now)

    def _tell_read(self, now: int) -> None:
        """Tell senders which of their texts were seen, if this node's people want that."""
        if not self.tells_read:
            return
        waiting = [got for got in self.inbox.texts.values() if got.read and not got.told]
        for got in waiting[-READS_PER_TURN:]:
            said = Read(got.number).encode()
            self._exchange.send(got.node, said, _Telling(self.inbox, got), now)
        if waiting:
            self._ctx.timers.set(("messages", "read"), now + READ_AGAIN_US)

    def _key_known(self, node: bytes, now: int) -> None:
        self._sending.key_known(node, now)
        self._pings.key_known(node, now)


def _in_earshot(radios: RadioVerbs) -> set[bytes]:
    return {node for link in radios.names() for node in radios.neighbours_of(link)}


def _keys_of(opened: Opened) -> str:
    return PREKEYS if opened.prekeys else IDENTITY
