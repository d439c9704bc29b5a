"""Direct messages by one radio: what the forwarder wants sent goes into the link's queue.

Enters: messages, answers and receipts from frames that opened; frames that are on the air no more;
`now`. Leaves: frames for the link, in turn with who gave them to this node, and `RadioEvent`s.
Must not know: keys, airtime law, what shares a frame for all in earshot.
"""

from collections.abc import Iterator

from meshd.core.airtime import airtime_us
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.ids import EVERYONE, SHORT_LEN
from meshd.forwarding.direct import Arrived, Forwarder
from meshd.forwarding.direct_rules import rules_for
from meshd.forwarding.link_port import LinkPort
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived, DirectChanged, RadioEvent
from meshd.forwarding.relay import Policy, Send
from meshd.forwarding.turns import RelayParts, part_of
from meshd.link.account import Share
from meshd.link.ledger import Priority
from meshd.link.queue import Outgoing
from meshd.link.sources import Aim, Opened
from meshd.routing.lora.dialect import LoraDialect
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_routes import Answer, Direct, Receipt

SENDS_MAX = 8
"""Direct messages in the link's queue at a time."""
FRAME_LEN = 83
"""A frame with a message, about."""
_STRANGER = bytes(SHORT_LEN)
"""As next hop: a neighbour that is not this node."""


class DirectRadio(Policy):
    """The direct messages that one radio carries."""

    def __init__(self, ctx: Context, link: LinkPort, ways: LoraDialect, parts: RelayParts) -> None:
        """`parts` is what each neighbour has had of the hour's relaying."""
        self._ctx = ctx
        self._link = link
        self._own = ways.own[:SHORT_LEN]
        self._parts = parts
        self.name = link.radio.name
        self._ways = ways
        self._sends: list[tuple[Send, Outgoing]] = []
        self.forwarder = Forwarder(
            self._own,
            ways,
            rules_for(airtime_us(link.radio.modulation, FRAME_LEN), ways.hop_cost),
            ctx.rng,
            drops=ctx.drops,
            link=self.name,
            policy=self,
        )

    @property
    def waits(self) -> bool:
        """Tell whether a message is on its way."""
        return self.forwarder.due_us() is not None

    def due_us(self) -> int | None:
        """Return when `pump` has something to do."""
        return self.forwarder.due_us() if len(self._sends) < SENDS_MAX else None

    def events(self) -> Iterator[RadioEvent]:
        """Return what others here should know, once."""
        while (event := self.forwarder.poll_event()) is not None:
            kind = DirectArrived if isinstance(event, Arrived) else DirectChanged
            yield kind(self.name, *event)

    def take(
        self, opened: Opened, item: Direct | Answer | Receipt, now: int
    ) -> DirectAnswered | None:
        """Take a message from the air, or what says that one arrived; return an answer to own."""
        frame, own = opened.frame, self._own
        if frame.kind is FrameKind.LOCAL and not isinstance(item, Receipt):
            self._ctx.drop(DropReason.LORA_MALFORMED, self.name)
            return None
        next_hop = {Aim.ME: own, Aim.EVERYONE: EVERYONE}.get(opened.aim, _STRANGER)
        destination = frame.destination or next_hop
        if not opened.trusted and destination != own:
            self._ctx.drop(DropReason.FRAME_UNTRUSTED, self.name)
            return None
        heard = Send(next_hop, destination, frame.hop_limit, item, None)
        short, named = opened.node[:SHORT_LEN], opened.aim is Aim.ME
        tag = self.forwarder.receive(short, heard, named=named, now=now)
        if tag is None or not isinstance(item, Answer):
            return None
        hops = max(self.forwarder.rules.hop_limit - frame.hop_limit + 1, 1)
        return DirectAnswered(self.name, item.number, tag, hops)

    def sent(self, outgoing: Outgoing, now: int) -> None:
        """A frame is on the air no more, or perhaps was."""
        for entry in self._sends:
            if entry[1] is not outgoing:
                continue
            self._sends.remove(entry)
            self.forwarder.sent(entry[0], now)
            if outgoing.share is Share.RELAYED:
                local = outgoing.kind is FrameKind.LOCAL
                source = entry[0].next_hop if local else entry[0].ingress
                airtime_us = self._link.airtime_us(outgoing.size)
                self._parts.took(part_of(source), airtime_us, now)
            return

    def pump(self, now: int) -> None:
        """Hand direct messages to the link, and take back what it let go or nobody needs."""
        for entry in tuple(self._sends):
            send, outgoing = entry
            if not self._link.holds(outgoing):
                self._sends.remove(entry)
                self.forwarder.refused(send, now)
            elif not self._link.carries(outgoing) and not self.forwarder.needed(send):
                self._link.exchange(outgoing, None)
                self._sends.remove(entry)
        self.forwarder.handle_timeout(now)
        while len(self._sends) < SENDS_MAX:
            found = self.forwarder.poll_transmit(now)
            if found is None:
                break
            self._hand_over(found, now)

    def leaves(self, to: bytes) -> bool:
        """Tell whether the way to a node leaves LoRa here."""
        return self._ways.leaves(to) is not None

    def over(self, ingress: bytes) -> bool:
        """Tell whether a neighbour has had its part of the relaying, with what is on its way."""
        ahead = (outgoing.size for send, outgoing in self._sends if send.ingress == ingress)
        return self._parts.over(part_of(ingress), sum(map(self._link.airtime_us, ahead)))

    def withdraw(self, number: int) -> bool:
        """Take an own direct message back; False where it has left, or is with the modem."""
        flying = [send.key for send, outgoing in self._sends if self._link.carries(outgoing)]
        return self.forwarder.withdraw(number, flying)

    def _hand_over(self, send: Send, now: int) -> None:
        item = send.item
        own = isinstance(item, Direct) and item.origin == self._own
        receipt = isinstance(item, Receipt)
        to = self._node_of(send.next_hop)
        if to is None and send.next_hop != EVERYONE:
            self.forwarder.unsent(send, now)
            return
        outgoing = Outgoing(
            FrameKind.LOCAL if receipt else FrameKind.ROUTED,
            item.encode(),
            Share.OWN if own else Share.RELAYED,
            Priority.MEMBERSHIP if send.once else Priority.TEXT,
            hop_limit=send.hop_limit,
            next_hop=to,
            destination=b"" if receipt else send.destination,
            ingress=send.ingress,
        )
        if outgoing.size > self._link.frame_max:
            self._ctx.drop(DropReason.MODEM_TOO_LONG, self.name)
            self.forwarder.unsent(send, now)
        elif self._link.send(outgoing, now):
            self._sends.append((send, outgoing))
        else:
            self.forwarder.refused(send, now)

    def _node_of(self, short: bytes) -> bytes | None:
        """Return the neighbour with a short address, the one heard last if there are two.

        Who had to leave the link's full table is still known by its ways.
        """
        known = (*self._ways.peers, *(row.node for row in self._link.neighbours))
        return next((node for node in reversed(known) if node[:SHORT_LEN] == short), None)
