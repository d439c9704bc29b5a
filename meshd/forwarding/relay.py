"""What direct messages and answers of others a node passes on, and when it need not any more.

Enters: messages and answers from the air that this node is asked to pass on, or hears passed on.
Leaves: what waits here with its places, what is known of what came by, receipts to send. A node
that is nearer to the destination and heard with an item has it: that ends it here. An answer ends
its message, but nobody here can prove one: a false one stops no message for longer than a try.
Must not know: own messages and their attempts, keys, airtime law.
"""

from collections import deque
from random import Random
from typing import NamedTuple, Protocol

from meshd.core.drops import DropReason, Drops
from meshd.core.ids import EVERYONE
from meshd.forwarding.carried import Carried, Key, Places
from meshd.forwarding.direct_rules import Rules
from meshd.forwarding.own_direct import ATTEMPT_DOUBTED
from meshd.forwarding.passed import Passed, Seen, answer_to
from meshd.wire.lora_routes import Answer, Direct, Receipt

CALLED = 4
"""Who was called for, not named, waits up to so many long frames: the first takes it over."""


class Ways(Protocol):
    """Where destinations are; `routing/lora/dialect.py` knows."""

    def ways(self, short: bytes) -> list[tuple[bytes, int]]:
        """Return neighbours nearer to a node, best first."""

    def distance(self, short: bytes) -> int:
        """Return how far a node is, DISTANCE_MAX when no way is known."""

    def failed(self, short: bytes, now: int, *, own: bool) -> None:
        """Note that a neighbour stayed silent, on a message of this node's own or of others."""

    def want(self, short: bytes, now: int) -> None:
        """Ask for a way."""


class Send(NamedTuple):
    """An item to send now. Hand it back to `sent` once it has left the air.

    `once`: less urgent. `ingress`: the neighbour that handed it over, empty: own.
    """

    next_hop: bytes
    destination: bytes
    hop_limit: int
    item: Direct | Answer | Receipt
    key: Key | None
    once: bool = False
    ingress: bytes = b""


class Policy:
    """What its radio says to a relay; this one lets nothing leave LoRa, and bounds nobody."""

    def leaves(self, to: bytes) -> bool:
        """Tell whether the way to a node leaves LoRa here."""
        return False

    def over(self, ingress: bytes) -> bool:
        """Tell whether a neighbour has had its part of what is passed on."""
        return False


class Relay:
    """What one radio passes on for others, with own messages among it while they are under way."""

    def __init__(
        self, ways: Ways, rules: Rules, rng: Random, *, drops: Drops, link: str, policy: Policy
    ) -> None:
        self.carried = Places()
        self.seen = Passed()
        self.receipts: deque[tuple[bytes, Receipt]] = deque(maxlen=8)
        self._policy = policy
        self._rules = rules
        self._drops = drops
        self._link = link
        self._ways = ways
        self._rng = rng

    def passed_on(self, key: Key, sender: bytes, distance: int, destination: bytes) -> bool:
        """Tell whether an item was heard from where it should go: the next hop, or one nearer."""
        carried = self.carried.get(key)
        if carried is not None and (carried.via == sender or distance < carried.below):
            return True
        return distance < self._ways.distance(destination)

    def settled(self, key: Key) -> None:
        """A nearer node has it: this one need not send it any more."""
        if key in self.carried:
            via = self.carried.pop(key).via
            if key in self.seen:
                self.seen[key].done, self.seen[key].via = True, via

    def receipted(self, sender: bytes, said: Receipt) -> None:
        """Who was sent a message, or anybody if all were, says that it has passed it on."""
        sent = {
            key: carried.left_us
            for key, carried in self.carried.items()
            if key[:3] == (said.origin, said.number, said.answer)
            and carried.via in (sender, EVERYONE)
        }
        if sent:  # of those that differ in body or tag alone it means the one it heard just now
            self.settled(max(sent, key=lambda key: sent[key]))

    def carry(self, key: Key, heard: Send, sender: bytes, *, named: bool, now: int) -> bool:
        """Take a message or answer to pass it on; False when it is dropped."""
        if not heard.hop_limit:
            self._drops.count(DropReason.DIRECT_HOP_LIMIT, self._link)
            return False
        if self._policy.over(sender):
            self._drops.count(DropReason.DIRECT_FULL, self._link)
            return False
        assert not isinstance(heard.item, Receipt)
        span_us = self._rules.frame_us
        due_us = now + self._rng.randint(0, span_us // 4 if named else CALLED * span_us)
        to = (heard.destination, heard.hop_limit - 1)
        below = 0 if named else heard.item.distance
        return self._place(key, Carried(heard.item, *to, due_us, ingress=sender, below=below))

    def _place(self, key: Key, carried: Carried) -> bool:
        """Have something wait here; what gives way to it may come again."""
        place = self.carried.take(key, carried)
        if not place.taken:
            self._drops.count(DropReason.DIRECT_FULL, self._link)
        elif place.gone is not None:
            self.let_go(place.gone)
        return place.taken

    def let_go(self, key: Key) -> None:
        """Pass something on no more: there is no room for it, or no airtime of its neighbour's."""
        self._drops.count(DropReason.DIRECT_FULL, self._link)
        if key in self.seen:
            self.seen[key].attempt = -1

    # --- answers ----------------------------------------------------------------------------------

    def pass_answer(self, origin: bytes, answer: Answer, *, now: int, ingress: bytes = b"") -> None:
        key = answer_to(origin, answer)
        due_us = now + self._rng.randint(0, self._rules.frame_us // 8)
        carried = self.carried.get(key)
        if carried is not None:
            carried.due_us = min(carried.due_us, due_us)
        else:
            self._place(
                key, Carried(answer, origin, self._rules.hop_limit, due_us, ingress=ingress)
            )

    def overheard_answer(
        self, sender: bytes, heard: Send, item: Answer, *, named: bool, now: int
    ) -> None:
        """An answer says that the message arrived; who is asked to passes it on."""
        origin = heard.destination
        self._answered(sender, origin, item)
        key = answer_to(origin, item)
        distance = self._ways.distance(origin)
        if self.passed_on(key, sender, item.distance, origin):
            self.settled(key)
            self.seen.note(key, sender).done = True
            return
        nearer = heard.next_hop == EVERYONE and distance < item.distance
        if key in self.carried or not (named or nearer):
            return
        seen = self.seen.note(key, sender)
        if seen.done or seen.attempt >= 0:
            if named:
                self.receipt(sender, key, seen)
            return
        if self.carry(key, heard, sender, named=named, now=now):
            seen.attempt = 0

    def _answered(self, sender: bytes, origin: bytes, answer: Answer) -> None:
        """End what an answer says has arrived. Nobody here can prove it.

        What has not left waits for who sends it again, once: later answers do not stop it.
        """
        waits = set()
        for one in [one for one in self.carried if one[:3] == (origin, answer.number, False)]:
            carried, seen = self.carried[one], self.seen.get(one)
            if self._ended(carried, sender):
                self.settled(one)
            elif carried.left_us < 0 and seen is not None and not seen.put_off:
                del self.carried[one]
                seen.put_off, seen.attempt = True, -1
                waits.add(one)
        self.seen.answered(origin, answer, sender, but=waits | self.carried.keys())

    def _ended(self, carried: Carried, sender: bytes) -> bool:
        """Tell whether an answer ends a message here: it has left, and to there, if in doubt."""
        item = carried.item
        if carried.left_us < 0 or isinstance(item, Answer) or item.attempt < ATTEMPT_DOUBTED:
            return carried.left_us >= 0
        return sender in (carried.via, *(via for via, _ in self._ways.ways(carried.destination)))

    def receipt(self, sender: bytes, key: Key, seen: Seen) -> None:
        """Tell a neighbour that tries in vain that this node has passed the item on already."""
        if seen.receipts < self._rules.tries:
            seen.receipts += 1
            self.receipts.append((sender, Receipt(key[0], key[1], answer=key[2])))
