"""Direct messages over many LoRa hops: passed on hop by hop, heard on, answered by the receiver.

Enters: messages of this node, DIRECT, ANSWER and RECEIPT items with their sender. Leaves: items
to send with their next hop, messages for this node, and what became of own ones. Who passed a
message on listens for the next hop passing it on too: that is the hop's acknowledgement. After two
silent tries anybody nearer to the destination may take it over. The receiver's answer goes back in
the same way; whoever has seen it answers later copies at once. Only the origin can tell a true one:
at a relay a false one stops no message for longer than a try, and no true one.
Must not know: keys, airtime law, how ways are found.
"""

from collections import deque
from collections.abc import Collection
from enum import Enum
from random import Random
from typing import NamedTuple

from meshd.core.drops import DropReason, Drops
from meshd.core.errors import UsageError
from meshd.core.ids import EVERYONE
from meshd.forwarding.carried import Carried, Key
from meshd.forwarding.direct_rules import Rules
from meshd.forwarding.own_direct import ATTEMPT_DOUBTED, Own
from meshd.forwarding.passed import message
from meshd.forwarding.relay import CALLED, Policy, Relay, Send, Ways
from meshd.wire.lora_routes import BODY_MAX, Answer, Direct, Receipt

OWN_MAX = 32


class State(Enum):
    """What became of an own message. `GIVEN_UP` comes with a reason."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


class Arrived(NamedTuple):
    """A message for this node; its owner calls `answer` with the tag once it opened the body.

    It may come again until then: anybody can send what does not open. Another `destination` is a
    node to which this one leads on another medium; `hops` is how many the message made.
    """

    origin: bytes
    number: int
    body: bytes
    destination: bytes = b""
    hops: int = 0


class Changed(NamedTuple):
    """An own message has another state."""

    number: int
    state: State
    reason: DropReason | None = None


Event = Arrived | Changed


class Forwarder:
    """The direct messages of one radio."""

    def __init__(
        self,
        own: bytes,
        ways: Ways,
        rules: Rules,
        rng: Random,
        *,
        drops: Drops,
        link: str,
        policy: Policy | None = None,
    ) -> None:
        self.own = own
        self._policy = policy or Policy()
        self._relay = Relay(ways, rules, rng, drops=drops, link=link, policy=self._policy)
        self._carried, self._seen = self._relay.carried, self._relay.seen
        self.rules = rules
        self.drops = drops
        self._link = link
        self._ways = ways
        self._rng = rng
        self._next = rng.getrandbits(16)
        self._own: dict[int, Own] = {}
        self._events: deque[Event] = deque()

    # --- requests ---------------------------------------------------------------------------------

    def send(
        self, to: bytes, body: bytes, now: int, *, once: bool = False, others: bool = False
    ) -> int:
        """Send a sealed body; return its number. Raises: UsageError when too long or too many.

        `once`: one try of one attempt, and only if there is a way. `others`: somebody else made it.
        """
        if not 0 < len(body) <= BODY_MAX or to == self.own:
            raise UsageError("no direct message: an empty or long body, or to this node itself")
        if len(self._own) >= OWN_MAX:
            raise UsageError(f"{OWN_MAX} direct messages wait already")
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        own = self._own[number] = Own(to, body, now, now + self.rules.life_us, once=once)
        own.others = others
        self._events.append(Changed(number, State.QUEUED))
        return number

    def answer(self, arrived: Arrived, tag: bytes, now: int) -> None:
        """Tell the origin that its message arrived; `tag` proves who says so."""
        seen = self._seen.note(message(arrived.origin, arrived.number, arrived.body), self.own)
        seen.done = True
        seen.answer, seen.via = Answer(arrived.number, 0, tag), self.own
        self._relay.pass_answer(arrived.origin, seen.answer, now=now)

    def confirm(self, number: int) -> None:
        """Take an own message as delivered: its answer's tag was right."""
        own = self._own.pop(number, None)
        if own is not None:
            self._carried.pop(message(self.own, number, own.body), None)
            self._events.append(Changed(number, State.DELIVERED))

    def withdraw(self, number: int, flying: Collection[Key | None]) -> bool:
        """Send an own message no more; False where it has left, or is among those just leaving."""
        own = self._own.get(number)
        key = None if own is None else message(self.own, number, own.body)
        if own is None or key is None or own.sent or key in flying:
            return False
        del self._own[number]
        self._carried.pop(key, None)
        return True

    def abandon(self, reason: DropReason) -> None:
        """Give up all messages of this node, and those of others that it was given to send."""
        for number in tuple(self._own):
            self._give_up(number, reason)

    # --- the verbs --------------------------------------------------------------------------------

    def receive(self, sender: bytes, heard: Send, *, named: bool, now: int) -> bytes | None:
        """Take an item from the air; `named`: this node is the next hop that its frame names.

        Returns: the tag of an answer to this node's message `number`, which the caller judges and
        then calls `confirm`; else None.
        """
        item = heard.item
        if isinstance(item, Receipt):
            if named:
                self._relay.receipted(sender, item)
        elif isinstance(item, Direct):
            if item.attempt < self.rules.attempts:
                self._direct(sender, heard, item, named=named, now=now)
            else:
                self.drops.count(DropReason.DIRECT_ODD, self._link)
        elif heard.destination == self.own:
            if (own := self._own.get(item.number)) is not None:
                own.answered()
                return item.tag
        else:
            self._relay.overheard_answer(sender, heard, item, named=named, now=now)
        return None

    def handle_timeout(self, now: int) -> None:
        """Begin anew with own messages whose answer did not come; give up what is too old."""
        for number, own in list(self._own.items()):
            if own.due_us <= now:
                self._begin(number, own, now)
        for key, carried in list(self._carried.items()):
            if carried.due_us <= now and not carried.flying:
                if self._exhausted(carried):
                    self._fail(key, carried, now)
                elif carried.ingress and self._policy.over(carried.ingress):
                    del self._carried[key]
                    self._relay.let_go(key)

    def due_us(self) -> int | None:
        """Return when `handle_timeout` or `poll_transmit` has something to do."""
        dues = [own.due_us for own in self._own.values()]
        dues += [one.due_us for one in self._carried.values() if not one.flying]
        if self._relay.receipts:
            dues.append(0)
        return min(dues, default=None)

    def poll_transmit(self, now: int) -> Send | None:
        """Return what to send now: receipts first, then answers, then messages."""
        if self._relay.receipts:
            to, receipt = self._relay.receipts.popleft()
            return Send(to, to, 0, receipt, None)
        ready = [
            key
            for key, one in self._carried.items()
            if one.due_us <= now and not one.flying and not self._exhausted(one)
        ]
        if not ready:
            return None
        key = self._carried.next(ready)
        return self._launch(key, self._carried[key], now)

    def needed(self, send: Send) -> bool:
        """Tell whether an item that waits to be sent is still of use."""
        if send.key is None:
            return True
        carried = self._carried.get(send.key)
        return carried is not None and carried.flying

    def refused(self, send: Send, now: int) -> None:
        """Take an item back for which there was no room: soon again, the try does not count."""
        carried = self._carried.get(send.key) if send.key else None
        if carried is not None:
            carried.flying = False
            carried.tries -= 1
            carried.due_us = now + self._rng.randint(1, self.rules.frame_us)

    def unsent(self, send: Send, now: int) -> None:
        """Take an item back that no frame can carry as it is: the try counts as one in vain."""
        carried = self._carried.get(send.key) if send.key else None
        if carried is not None:
            self._rest(carried, now)

    def sent(self, send: Send, now: int) -> None:
        """Note that an item has left the air: now the next hop should be heard."""
        self._tell_sent(send)
        carried = self._carried.get(send.key) if send.key else None
        if carried is None:
            return
        assert send.key is not None
        carried.left_us = now
        self._rest(carried, now)
        if isinstance(send.item, Answer) and send.next_hop == send.destination:
            del self._carried[send.key]

    def poll_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    # --- own messages -----------------------------------------------------------------------------

    def _begin(self, number: int, own: Own, now: int) -> None:
        rules, key = self.rules, message(self.own, number, own.body)
        way, distance = bool(self._ways.ways(own.to)), self._ways.distance(own.to)
        far, too_far = (way and distance >= limit for limit in rules.far)
        attempts = 1 if own.once or far else rules.attempts
        if own.ends_us <= now or own.attempt >= attempts or too_far or (own.once and not way):
            reason = DropReason.DIRECT_UNANSWERED if own.sent else DropReason.DIRECT_NO_WAY
            self._give_up(number, DropReason.DIRECT_HOP_LIMIT if far else reason)
            return
        if key in self._carried:
            own.due_us = now + rules.frame_us * 4
            return
        if not way:
            self._ways.want(own.to, now)
            own.due_us = min(now + rules.frame_us * 30, own.ends_us)
            return
        item = Direct(self.own, number, own.begin(attempts), 0, own.body)
        self._carried[key] = Carried(item, own.to, rules.hop_limit, now)
        self._carried[key].once = own.once
        own.due_us = (
            now
            + rules.frame_us * (10 + 12 * max(distance, 1))
            + self._rng.randint(0, rules.frame_us)
        )

    def _give_up(self, number: int, reason: DropReason) -> None:
        own = self._own.pop(number)
        self._carried.pop(message(self.own, number, own.body), None)
        self._events.append(Changed(number, State.GIVEN_UP, reason))

    def _tell_sent(self, send: Send) -> None:
        if isinstance(send.item, Direct) and send.item.origin == self.own:
            own = self._own.get(send.item.number)
            if own is not None and not own.sent:
                own.sent = True
                self._events.append(Changed(send.item.number, State.SENT))

    # --- carrying ---------------------------------------------------------------------------------

    def _launch(self, key: Key, carried: Carried, now: int) -> Send | None:
        ways = self._ways.ways(carried.destination)
        if not ways:
            self._ways.want(carried.destination, now)
            carried.tries += 1
            carried.due_us = now + self.rules.frame_us * 10
            return None
        shorts = [via for via, _ in ways]
        carried.tries += 1
        carried.flying = True
        carried.via = carried.hop(shorts, named=self.rules.named)
        if carried.via not in (shorts[0], EVERYONE):
            self._ways.failed(shorts[0], now, own=False)  # it may be gone: it is asked
        if not carried.hop_limit and carried.via != carried.destination:
            carried.tries = self.rules.tries  # who hears it drops it: once, for whom it came from
        distance = self._ways.distance(carried.destination)
        item = carried.item._replace(distance=distance)
        to = (carried.via, carried.destination)
        return Send(*to, carried.hop_limit, item, key, carried.once, carried.ingress)

    def _rest(self, carried: Carried, now: int) -> None:
        """Wait with the next try for as long as the next hop may take."""
        carried.flying = False
        called = CALLED if carried.via == EVERYONE else 0
        wait_us = self.rules.frame_us * (3 + carried.tries + called)
        carried.due_us = now + wait_us + self._rng.randint(0, self.rules.frame_us)

    def _exhausted(self, carried: Carried) -> bool:
        return carried.tries >= (1 if carried.once else self.rules.tries)

    def _fail(self, key: Key, carried: Carried, now: int) -> None:
        """Give a hop up: nobody nearer was heard with the message.

        A destination does not answer what it cannot open, and others may send it just that: only
        own messages blame it, and none of which no frame left.
        """
        del self._carried[key]
        ways = self._ways.ways(carried.destination) if carried.left_us >= 0 else []
        if ways and carried.hop_limit and not carried.once:  # one silence blames nobody
            made = self._own.get(key[1]) if key[0] == self.own and not key[2] else None
            own = made is not None and not made.others
            if own or ways[0][0] != carried.destination:
                self._ways.failed(ways[0][0], now, own=own)
                if len(ways) == 1:
                    self._ways.want(carried.destination, now)  # others' ways may be unfeasible
        if key[0] != self.own or key[2]:
            self.drops.count(DropReason.DIRECT_HOP_SILENT, self._link)

    def _direct(self, sender: bytes, heard: Send, item: Direct, *, named: bool, now: int) -> None:
        key = message(item.origin, item.number, item.body)
        if item.origin == self.own:
            if self._relay.passed_on(key, sender, item.distance, heard.destination):
                self._relay.settled(key)
            return
        seen = self._seen.note(key, sender)
        if heard.destination == self.own or (named and self._policy.leaves(heard.destination)):
            if seen.answer is not None and seen.via == self.own:
                self._relay.pass_answer(item.origin, seen.answer, now=now, ingress=sender)
            else:
                hops = self.rules.hop_limit - heard.hop_limit + 1
                numbered = (item.origin, item.number, item.body)
                self._events.append(Arrived(*numbered, heard.destination, max(hops, 1)))
            return
        distance = self._ways.distance(heard.destination)
        if self._relay.passed_on(key, sender, item.distance, heard.destination):
            self._relay.settled(key)
            seen.done = True
            return
        if not named and not (heard.next_hop == EVERYONE and distance < item.distance):
            return
        if (carried := self._carried.get(key)) is not None:
            if item.attempt > seen.attempt:  # its origin doubts what others remember
                seen.attempt, carried.item = item.attempt, item
            return
        if seen.answer is not None and named and item.attempt < ATTEMPT_DOUBTED:
            self._relay.pass_answer(item.origin, seen.answer, now=now, ingress=sender)
        elif seen.attempt >= item.attempt:
            if named:
                self._relay.receipt(sender, key, seen)
        elif self._relay.carry(key, heard, sender, named=named, now=now):
            seen.attempt = item.attempt
