"""All LoRa radios of a node: one hour of airtime over them, a link and its mesh each, status.

Enters: what the host tells of radios and of the ledger's file, what other parts want sent. Leaves:
frames for modems, events for those parts, statuses. A radio that the law does not let send is not
used, and that is a problem in `status`.
Must not know: serial ports, files, what objects and messages mean.
"""

from collections import deque
from collections.abc import Callable, Container

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.events import AirtimeImage, RadioLink
from meshd.core.identity import Identity
from meshd.core.ids import address_text, mesh_address, node_text
from meshd.core.law import Budget
from meshd.core.snapshot import NeighbourStatus, Problem, RadioStatus
from meshd.core.timers import Key
from meshd.forwarding.radio_events import (
    DirectAnswered,
    DirectArrived,
    DirectChanged,
    LocalHeard,
    ObjectHeard,
    RadioEvent,
)
from meshd.forwarding.radio_hour import RadioHour
from meshd.forwarding.radio_mesh import RadioMesh
from meshd.forwarding.shared_frame import Waiting
from meshd.link.account import Share
from meshd.link.ledger import AGE_FIRST_US, Priority
from meshd.link.lora import LoraKeys, LoraLink
from meshd.link.seal import link_key, open_link_key
from meshd.link.sources import Met, Stranger
from meshd.routing.lora.rules import rules_for
from meshd.routing.speaker import Babel
from meshd.wire.lora_payload import Local, Sub
from meshd.wire.lora_routes import DISTANCE_MAX

_AGE: Key = ("lora", "age")
_AROUND = 40
"""Bytes of a frame around a body, at most."""

ObjectHandler = Callable[[ObjectHeard, int], None]
LocalHandler = Callable[[LocalHeard, int], None]
DirectHandler = Callable[[DirectArrived | DirectAnswered | DirectChanged, int], None]


class Radios:
    """The radios of one node, by name.

    `on_object` by the first byte of a body, `on_local` by the `sub` of an item, and `on_direct` are
    set by who uses them; what nobody has a use for is a named drop.
    """

    def __init__(
        self, ctx: Context, routing: Babel, identity: Identity, *, mesh: bytes, boot: int
    ) -> None:
        self.links: dict[str, LoraLink] = {}
        self.meshes: dict[str, RadioMesh] = {}
        self.on_object: dict[int, ObjectHandler] = {}
        self.on_local: dict[int, LocalHandler] = {}
        self.on_direct: DirectHandler | None = None
        self._ctx = ctx
        self._routing = routing
        self._mesh = mesh
        self._keys = LoraKeys(identity, open_link_key(mesh), boot)
        self.hour = RadioHour(ctx)
        self._left: deque[RadioEvent] = deque()  # of meshes that others took the place of

    # --- what the host tells ----------------------------------------------------------------------

    def start(self, airtime: AirtimeImage, now: int) -> None:
        """Radios will send under this law; the disk held this of what they did."""
        self.hour.start(airtime, now)

    def clock(self, ahead_us: int, now: int) -> None:
        """The machine slept: its clock is ahead of the engine's by so much now."""
        self.hour.ahead_us = max(ahead_us, self.hour.ahead_us)
        for link in self.links.values():
            link.ahead_us = self.hour.ahead_us
        self._pump(now)

    def saved(self, number: int, *, durable: bool, now: int) -> None:
        """The ledger's state is on the disk, or it is not known whether it is."""
        self.hour.saved(number, durable=durable, now=now)
        if durable:
            self._pump(now)

    def up(self, radio: RadioLink, now: int) -> None:
        """A modem is set and takes frames."""
        known = self.links.get(radio.name)
        band = self.hour.judged(radio)
        if known is not None and (band is None or known.radio != radio):
            self._lost(radio.name, now)
        if band is None:
            self._pump(now)
            return
        if known is None or known.radio != radio:
            keys = self._keys
            if radio.link_key is not None:
                keys = keys._replace(link=link_key(radio.link_key))
            known = LoraLink(self._ctx, radio, keys, ledger=self.hour.ledger, band=band)
            known.ahead_us = self.hour.ahead_us
            self.links[radio.name] = known
            ways = self._routing.radio_up(radio.name, rules_for(radio.modulation), now)
            if radio.name in self.meshes:
                self._left.extend(iter(self.meshes[radio.name].poll_event, None))
            self.meshes[radio.name] = RadioMesh(self._ctx, known, ways)
        self.hour.ledger.prepare(band)
        known.ready(now)
        self.meshes[radio.name].ways.modem(now, up=True)
        self._pump(now)

    def down(self, name: str, now: int) -> None:
        """A modem takes no frames any more."""
        self.hour.forget(name)
        if name in self.links:
            self._lost(name, now)
            self._pump(now)

    def heard(
        self, name: str, frame: bytes, rssi_dbm: float | None, snr_db: float | None, *, now: int
    ) -> None:
        """A frame came from the air."""
        if (link := self.links.get(name)) is None:
            self._ctx.drop(DropReason.UNKNOWN_LINK, name)
            return
        link.heard(frame, rssi_dbm, snr_db, now)
        mesh = self.meshes[name]
        while (arrived := link.poll_arrived()) is not None:
            if isinstance(arrived, Met):
                mesh.met(arrived, now)
            elif isinstance(arrived, Stranger):
                mesh.presence.stranger(arrived.short, now)
            else:
                mesh.opened(arrived, now)
        self._pump(now)

    def sent(self, name: str, now: int) -> None:
        """A frame is on the air no more."""
        if name in self.links:
            outgoing = self.links[name].sent(now)
            if outgoing is not None:
                self.meshes[name].sent(outgoing, now)
            self._pump(now)

    def not_sent(self, name: str, reason: DropReason, *, maybe: bool, now: int) -> None:
        """A frame did not go out, or nobody knows."""
        if name in self.links:
            outgoing = self.links[name].not_sent(reason, maybe=maybe, now=now)
            if outgoing is not None and maybe:
                self.meshes[name].sent(outgoing, now)
            self._pump(now)

    def board_aired(self, name: str, hour_us: int, up_us: int, now: int) -> None:
        """A board that sends by itself too says how long it was on the air."""
        if name in self.links:
            self.links[name].board_aired(hour_us, up_us, now)
            self._pump(now)

    def dropped(self, name: str, reason: DropReason) -> None:
        """A modem left something out."""
        self._ctx.drop(reason, name)

    # --- what other parts of the node send --------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """Return the radios that take frames now."""
        return tuple(name for name, link in self.links.items() if link.up)

    def publish(self, body: bytes, priority: int, now: int, *, link: str = "") -> int:
        """Tell everybody by one radio or all; return how many took it.

        `body` begins with an `ObjectKind`. Each node that hears it sends it on as far as its
        neighbours need that, and repairs losses for some minutes.
        """
        names = (name for name in self.names() if not link or name == link)
        taken = sum(self.meshes[name].publish(body, priority, now) for name in names)
        self._pump(now)
        return taken

    def body_max(self, link: str = "") -> int:
        """Return how long a body may be for `publish`; 0 when there is no such radio now."""
        names = (name for name in self.names() if not link or name == link)
        return min((self.meshes[name].body_max for name in names), default=0)

    def tell(
        self,
        link: str,
        item: Local,
        priority: int,
        now: int,
        *,
        to: bytes | None = None,
        share: Share = Share.OWN,
    ) -> bool:
        """Send an item to all in earshot, or to one neighbour by NodeId. It may get lost.

        Returns: False when it is too long, when there is no such radio now, or no room.
        """
        if link not in self.names():
            return False
        waiting = Waiting(item.encode(), to, share, Priority(priority))
        taken = self.meshes[link].tell(item, waiting)
        self._pump(now)
        return taken

    def say(self, link: str, item: Local, now: int, *, want: bool = False) -> bool:
        """Tell all in earshot as control, or a `want` as own data if control has had its part."""
        share, radio = Share.CONTROL, self.links.get(link)
        if want and radio is not None:
            airtime_us = radio.airtime_us(len(item.body) + _AROUND)
            if radio.free_us(airtime_us, Priority.MEMBERSHIP, now, share=share) > now:
                share = Share.OWN
        return self.tell(link, item, Priority.MEMBERSHIP, now, share=share)

    def room(self, link: str) -> int:
        """Return how long the body of an item for `tell` may be; 0: no such radio now."""
        return self.meshes[link].room if link in self.names() else 0

    def waiting(self, link: str, sub: Sub) -> int:
        """Return how many items of one kind wait for a radio."""
        return self.meshes[link].waiting(sub) if link in self.meshes else 0

    def budget(self, link: str, now: int) -> Budget | None:
        """Return what bulk data may still send by a radio; None: no such radio now.

        Where no law limits the hour, bulk keeps to a tenth of it.
        """
        if link not in self.names():
            return None
        radio = self.links[link]
        left_us, hour_us = self.hour.bulk(radio, now)
        return Budget(link, self.room(link), radio.airtime_us(radio.frame_max), left_us, hour_us)

    def bulk_at(self, link: str, airtime_us: int, now: int) -> int:
        """Return when bulk data may take so much of a radio's time; now where it is away."""
        return self.hour.bulk_at(self.links[link], airtime_us, now) if link in self.links else now

    def backlog(self, link: str) -> int:
        """Return how many items given to `tell` wait at a radio."""
        return self.meshes[link].backlog if link in self.meshes else 0

    def fits_hour(self, link: str, size: int, now: int) -> int:
        """Return how many bodies of a size fill a radio's hour; 0: no such radio now."""
        budget = self.budget(link, now)
        if budget is None:
            return 0
        radio = self.links[link]
        return budget.hour_us // radio.airtime_us(min(size + _AROUND, radio.frame_max))

    def direct(
        self,
        link: str,
        to: bytes,
        body: bytes,
        now: int,
        *,
        once: bool = False,
        others: bool = False,
    ) -> int:
        """Send a sealed body to a node by its short address; return the message's number.

        `once`: this node tries one time only, after what matters more. `others`: it is not its own.

        Raises: UsageError when there is no such radio now, or too much waits.
        """
        if link not in self.names():
            raise UsageError(f"no radio {link} is up")
        number = self.meshes[link].direct.forwarder.send(to, body, now, once=once, others=others)
        self._pump(now)
        return number

    def reaches(self, short: bytes) -> str:
        """Return the radio by which there is a way to a short address, the nearest; else ""."""
        near = [(self.meshes[name].ways.distance(short), name) for name in self.names()]
        distance, name = min(near, default=(DISTANCE_MAX, ""))
        return name if distance < DISTANCE_MAX else ""

    def leaves(self, short: bytes) -> tuple[bytes, ...]:
        """Return the nodes with a short address to whom the best way leaves LoRa at this node."""
        found = (mesh.ways.leaves(short) for mesh in self.meshes.values())
        return tuple(dict.fromkeys(node for node in found if node is not None))

    def answer(self, arrived: DirectArrived, tag: bytes, now: int) -> None:
        """Tell the origin that its message arrived here; `tag` proves it."""
        mesh = self.meshes[arrived.link]
        mesh.direct.forwarder.answer(arrived.arrived, tag, now)
        self._pump(now)

    def confirm(self, link: str, number: int, now: int) -> None:
        """Take an own message as delivered: its answer's tag was right."""
        self.meshes[link].direct.forwarder.confirm(number)
        self._pump(now)

    def withdraw(self, link: str, number: int, now: int) -> bool:
        """Take an own message back; False where it has left, or is with the modem."""
        mesh = self.meshes.get(link)
        if mesh is None or not mesh.direct.withdraw(number):
            return False
        self._pump(now)
        return True

    def neighbours_of(self, link: str) -> tuple[bytes, ...]:
        """Return the NodeIds of all that a radio hears."""
        return tuple(row.node for row in self.links[link].neighbours) if link in self.links else ()

    def beside(self, link: str) -> tuple[bytes, ...]:
        """Return those of them to whom the way in use has no LoRa hop."""
        return tuple(node for node in self.neighbours_of(link) if self._thick(node))

    def _thick(self, node: bytes) -> bool:
        address = mesh_address(self._mesh, node)
        return self._routing.route_to(address) is not None and not self._routing.thin_to(address)

    def public_of(self, node: bytes) -> bytes | None:
        """Return a device's Ed25519 key if its beacon was heard."""
        for link in self.links.values():
            public = link.sources.public_of(node)
            if public is not None:
                return public
        return None

    def poll_event(self) -> RadioEvent | None:
        """Return the next event of any radio, for `dispatch`."""
        if self._left:
            return self._left.popleft()
        events = (mesh.poll_event() for mesh in self.meshes.values())
        return next((event for event in events if event is not None), None)

    def dispatch(self, event: RadioEvent, now: int) -> None:
        """Give an event to the part of the node that asked for its kind."""
        if isinstance(event, ObjectHeard):
            self._relay(event, now)
            on_object = self.on_object.get(event.body[0])
            if on_object is not None:
                return on_object(event, now)
        elif isinstance(event, LocalHeard):
            on_local = self.on_local.get(event.sub)
            if on_local is not None:
                return on_local(event, now)
        elif self.on_direct is not None:
            return self.on_direct(event, now)
        self._ctx.drop(DropReason.FRAME_UNUSED, event.link)
        return None

    # --- what the node asks -----------------------------------------------------------------------

    def handle_timer(self, key: Key, now: int) -> None:
        """Do what is due."""
        self._pump(now)

    def stop(self, now: int) -> None:
        """Send nothing more, and give back what was claimed of the hour."""
        for link in self.links.values():
            link.gone(now)
        self.hour.stop(now)

    def problems(self) -> tuple[Problem, ...]:
        """Return which radios may not send as they are set."""
        return self.hour.problems()

    def neighbours(self, now: int, connected: Container[str] = ()) -> tuple[NeighbourStatus, ...]:
        """Return who each radio hears; `connected` holds the nodes that a session is open with."""
        return tuple(
            NeighbourStatus(
                link=name,
                address=address_text(mesh_address(self._mesh, row.node)),
                node=node_text(row.node),
                rxcost=self.meshes[name].ways.hop_cost,
                txcost=self.meshes[name].ways.cost(row.node),
                cost=self.meshes[name].ways.cost(row.node),
                reach=round(row.reach, 3),
                age_s=round((now - row.met_us) / 1e6, 3),
                last_heard_s=round((now - row.heard_us) / 1e6, 3),
                usual_silence_s=link.usual_us(row) // 1_000_000,
                session=node_text(row.node) in connected,
                snr_db=None if row.snr_db is None else round(row.snr_db, 1),
                rssi_dbm=None if row.rssi_dbm is None else round(row.rssi_dbm, 1),
            )
            for name, link in self.links.items()
            if link.up  # what was heard before a radio was away says nothing of now
            for row in link.neighbours
        )

    def statuses(self, now: int) -> tuple[RadioStatus, ...]:
        """Return each radio as far as the engine knows it; the host adds port and model."""
        return self.hour.statuses(self.links.values(), now)

    # --- inside -----------------------------------------------------------------------------------

    def _lost(self, name: str, now: int) -> None:
        """A radio is away, or another than it was: what it was to bring has to go otherwise."""
        link, mesh = self.links[name], self.meshes[name]
        if (outgoing := link.gone(now)) is not None:
            mesh.sent(outgoing, now)
        mesh.ways.modem(now, up=False)
        mesh.abandon()

    def _relay(self, heard: ObjectHeard, now: int) -> None:
        """Hand what a trusted neighbour told on one radio to the others."""
        others = [name for name in self.names() if name != heard.link]
        if heard.trusted and others:
            for name in others:
                self.meshes[name].relay(heard, now)
            self._pump(now)

    def _pump(self, now: int) -> None:
        """Let each radio go on, then have stored what the ledger needs on the disk."""
        for name, link in self.links.items():
            mesh = self.meshes[name]
            if link.up:
                mesh.pump(now)
            link.pump(now)
            dues = [due_us for due_us in (link.due_us(now), mesh.due_us()) if due_us is not None]
            if link.up and dues:
                self._ctx.timers.set(("lora", "link", name), max(min(dues), now + 1_000))
            else:
                self._ctx.timers.cancel(("lora", "link", name))
        self.hour.save(now)
        if self.links:
            self._ctx.timers.set_earlier(_AGE, now + AGE_FIRST_US)
