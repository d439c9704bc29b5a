"""Direct messages of one node: composes outbox, inbox, exchange and carriage; serves people.

Enters: the local requests `message`, `messages`, `ping`, datagrams, events of radios and spaces,
timers. Leaves: replies, notices, and what its parts send. Holds no rule of its own but who waits
for what, and when a text that came was seen.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from meshd.core.arguments import Args, number_of, seconds_of, text_of
from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.events import Answer, Datagram, EntriesQuery, Reply, StoreImage
from meshd.core.ids import SHORT_LEN, address_text, mesh_address, node_text
from meshd.core.limits import MESSAGE_TEXT_MAX
from meshd.core.options import NodeOptions
from meshd.core.snapshot import Problem
from meshd.core.timers import Key
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged
from meshd.messages.carriage import Carriage
from meshd.messages.contacts import Contacts, Opened
from meshd.messages.exchange import Exchange, Heard
from meshd.messages.inbox import Inbox, Taken
from meshd.messages.key_air import KeyAir
from meshd.messages.letter import FINAL, IDENTITY, PREKEYS, Got, Letter, State, letter_id
from meshd.messages.outbox import Outbox
from meshd.messages.people import People
from meshd.messages.pings import Pings
from meshd.messages.prekeys import Prekeys
from meshd.messages.sending import Sending
from meshd.messages.ways import RadioVerbs, Ways, heard_keys
from meshd.space.feed import EntryApplied, MembershipChanged, SpaceAdded, SpaceEvent
from meshd.space.mail import Name
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.wire import entry as wire_entry
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.letters import NUMBER_MAX, Echo, Read, Text

WAITS_MAX = 64
"""Callers that wait for a state at a time."""

LIST_MAX = 500
READ_AGAIN_US = 300_000_000
READS_PER_TURN = 8
_LETTER, _PREKEY = bytes([Kind.LETTER]), bytes([Kind.PREKEY])
_REPLY_BYTES = 40 * 1024
_DOUBTS = ("heard", "nearest")
_WAITABLE = {"sent": State.SENT, "delivered": State.DELIVERED, "read": State.READ}


class _Waiting(NamedTuple):
    ticket: int
    number: int
    state: State


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
        ping: Callable[[Args, int, int], None],
    ) -> None:
        identity, mesh = spaces.identity, options.mesh
        self.tells_read = options.read_receipts
        self.damaged: list[str] = []
        self._ctx = ctx
        self._ip_ping = ping
        self._node = identity.node
        self._mesh = mesh
        self._spaces = spaces
        self.carriage = Carriage(ctx, self._node, ways=ways, radios=radios)
        heard = partial(heard_keys, radios)
        self.prekeys = Prekeys(ctx, spaces)
        contacts = Contacts(
            identity.device_seed, mesh, known=(self._members_of, heard), prekeys=self.prekeys
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
        self.inbox = Inbox(ctx, spaces.commit, knows=self._is_member)
        self._sending = Sending(
            ctx,
            self.outbox,
            exchange=self._exchange,
            carriage=self.carriage,
            spaces=spaces,
            prekeys=self.prekeys,
        )
        self._sending.on_state = self._state_changed
        self._pings = Pings(ctx, self._exchange, mesh=mesh, medium=self.carriage.medium)
        self.people = People(self._node, spaces, mesh=mesh)
        self.people.sources += [partial(_in_earshot, radios), contacts.nodes, self._wrote]
        self._echoes = Buckets(burst=6, interval_us=2_000_000, sources_max=256)
        self._members: dict[bytes, dict[bytes, bytes]] | None = None
        self._waits: dict[int, _Waiting] = {}
        self._reads: dict[int, tuple[Space, Name]] = {}
        radios.on_direct = self.radio_event
        self.requests: dict[str, Callable[[Args, int, int], None]] = {
            "message": self.message,
            "message.wait": self.wait,
            "messages": self.messages,
            "ping": self.ping,
            "who": self.who,
        }

    # --- people -----------------------------------------------------------------------------------

    def message(self, args: Args, ticket: int, now: int) -> None:
        """Send `text` to `node`; answers once it is on disk."""
        node = self._recipient(text_of(args, "node"))
        text = text_of(args, "text")
        if len(text.encode()) > MESSAGE_TEXT_MAX:
            raise RequestError(
                f"the text has {len(text.encode())} bytes, a message holds {MESSAGE_TEXT_MAX}",
                code=Exit.USAGE,
                remedy="send it as a file: meshd put",
            )

        def written(letter: Letter, why: str, at: int) -> None:
            if why:
                remedy = "nothing was written; see `meshd status` for the state of the store"
                self._ctx.emit(Reply(ticket, None, f"not written: {why}", int(Exit.ERROR), remedy))
                return
            self._sending.go(letter.number, at)
            self._ctx.emit(Reply(ticket, self._shown(letter, at) | self._unheard(node)))
            self._exchange.pump(at)

        self.outbox.add(node, text, self._spaces.wall_s(now) or 0, written)

    def wait(self, args: Args, ticket: int, now: int) -> None:
        """Answer when the own text `number` got as far as `state`, or after `timeout_s`."""
        number = number_of(args, "number", default=0, least=1, most=NUMBER_MAX)
        word = text_of(args, "state", "delivered")
        timeout_s = seconds_of(args, "timeout_s", default=60.0, most=3600)
        letter = self.outbox.letters.get(number)
        if word not in _WAITABLE:
            raise RequestError("wait for sent, delivered or read", code=Exit.USAGE)
        if letter is None:
            raise RequestError(f"no message {number} of this node", code=Exit.NOT_FOUND)
        if len(self._waits) >= WAITS_MAX:
            raise RequestError(
                f"{WAITS_MAX} callers wait already", code=Exit.TEMPORARY, remedy="try again later"
            )
        self._waits[ticket] = _Waiting(ticket, number, _WAITABLE[word])
        self._ctx.timers.set(("messages", "wait", ticket), now + int(timeout_s * 1e6))
        self._state_changed(letter, now)

    def messages(self, args: Args, ticket: int, now: int) -> None:
        """Show the newest `limit` texts both ways, of one `node` or all; `peek` reads none."""
        limit = number_of(args, "limit", default=50, least=1, most=LIST_MAX)
        node = self.people.find(text_of(args, "node")) if args.get("node") else None
        out = [letter for letter in self.outbox.letters.values() if node in (None, letter.to)]
        got = [one for one in self.inbox.texts.values() if node in (None, one.node)]
        rows: list[tuple[int, dict[str, object], Got | None]]
        rows = [(letter.time_s, self._shown(letter, now), None) for letter in out[-limit:]]
        rows += [(one.time_s, one.shown(), one) for one in got[-limit:]]
        rows.sort(key=lambda row: row[0])
        rows = rows[-limit:]
        shown: list[dict[str, object]] = []
        room = _REPLY_BYTES
        for _, value, text in reversed(rows):
            room -= len(str(value)) + 16
            if room < 0 and shown:
                break
            shown.insert(0, value)
            if text is not None and not text.read and not args.get("peek"):
                self.inbox.mark(text, read=True)
                self._ctx.timers.set_earlier(("messages", "read"), now + 1)
                if self.inbox.turned_away:
                    self._ctx.timers.set_earlier(("messages", "again"), now + 1)
        self._ctx.emit(Reply(ticket, {"messages": shown, "more": len(shown) < len(out) + len(got)}))

    def ping(self, args: Args, ticket: int, now: int) -> None:
        """Ask a node for a sign of life: sealed where a LoRa hop lies on the way, else by IP.

        `node` is an id or a name, also one that a neighbour gives itself. This node answers itself.
        """
        if not isinstance(args.get("node"), str) or args.get("address") is not None:
            self._ip_ping(args, ticket, now)
            return
        node = self.people.find(text_of(args, "node"), said=True)
        if node == self._node:
            address = address_text(mesh_address(self._mesh, node))
            value: Args = {"address": address, "sent": 1, "received": 1, "loss": 0.0}
            self._ctx.emit(Reply(ticket, value | {"rtt_ms": [0.0], "own": True}))
        elif self.carriage.thin(node):
            self._pings.ping(node, args, ticket, now)
            self._exchange.pump(now)
        else:
            self._ip_ping({**args, "node": node_text(node)}, ticket, now)

    def who(self, args: Args, ticket: int, now: int) -> None:
        """Say whom `node` means, an id or a name, and what is known of it, the way there too."""
        node = self.people.find(text_of(args, "node"), said=True)
        value = self.people.about(node)
        if node != self._node and self.carriage.thin(node) is not None:
            value["way"] = self.carriage.medium(node)
        self._ctx.emit(Reply(ticket, value))

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
        self._members = None
        self._sending.reset()
        self._take_up()
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
        self._members = None
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
            self._over(which)
        elif why == "read":
            self._tell_read(now)
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
            for author, seq in space.mail.due_names():
                space.mail.hold((author, seq))
                query = EntriesQuery(space.id, author, seq, seq, 1)
                self._reads[self._ctx.read("messages", query)] = (space, (author, seq))

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

    # --- who waits --------------------------------------------------------------------------------

    def _state_changed(self, letter: Letter, now: int) -> None:
        for ticket, waiting in list(self._waits.items()):
            if waiting.number != letter.number:
                continue
            if letter.reached >= waiting.state:
                self._drop_wait(ticket)
                self._ctx.emit(Reply(ticket, letter.shown(self._node)))
            elif letter.state in FINAL:
                self._over(ticket)

    def _over(self, ticket: int) -> None:
        """Wait no longer: tell the caller how far it came."""
        waiting = self._waits.get(ticket)
        self._drop_wait(ticket)
        letter = self.outbox.letters.get(waiting.number) if waiting else None
        if waiting is None or letter is None:
            return
        text = (
            f"message {letter_id(self._node, letter.number)} is {letter.state.text}: "
            f"not yet {waiting.state.text}"
        )
        remedy = "it goes on by itself; `meshd messages` shows how far it is"
        self._ctx.emit(Reply(ticket, None, text, int(Exit.TEMPORARY), remedy))

    def _drop_wait(self, ticket: int) -> None:
        self._waits.pop(ticket, None)
        self._ctx.timers.cancel(("messages", "wait", ticket))

    # --- who is who -------------------------------------------------------------------------------

    def _recipient(self, text: str) -> bytes:
        """Return the NodeId that `text` means: an id, or the name of a member of some space."""
        node = self.people.find(text)
        if node == self._node:
            raise RequestError("that is this node itself", remedy="choose another one")
        return node

    def _shown(self, letter: Letter, now: int) -> dict[str, object]:
        """Return what people see of an own text, and what it waits for."""
        waits = self._sending.waits(letter, now)
        return letter.shown(self._node) | ({"waits": waits} if waits else {})

    def _unheard(self, node: bytes) -> dict[str, object]:
        """Return a warning about a node that was never heard of: its id may be mistyped."""
        about = self.people.about(node)
        return {} if about["heard"] else {key: about[key] for key in _DOUBTS if key in about}

    def _wrote(self) -> set[bytes]:
        """Return the nodes that texts came from, and those that got some."""
        letters = self.outbox.letters.values()
        reached = {one.to for one in letters if one.reached in (State.DELIVERED, State.READ)}
        return reached | {one.node for one in self.inbox.texts.values()}

    def _members_of(self, short: bytes) -> list[tuple[bytes, bytes]]:
        """Return the devices of all spaces with this short address, and their keys."""
        if self._members is None:
            self._members = {}
            for space in self._spaces.all():
                for member in space.members():
                    if member.node and member.node != self._node:
                        same = self._members.setdefault(member.node[:SHORT_LEN], {})
                        same[member.node] = member.device_public
        return list(self._members.get(short, {}).items())

    def _is_member(self, node: bytes) -> bool:
        return any(known == node for known, _ in self._members_of(node[:SHORT_LEN]))


def _in_earshot(radios: RadioVerbs) -> set[bytes]:
    return {node for link in radios.names() for node in radios.neighbours_of(link)}


def _keys_of(opened: Opened) -> str:
    return PREKEYS if opened.prekeys else IDENTITY
