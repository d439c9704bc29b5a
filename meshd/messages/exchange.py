"""Say something sealed to a node, and hear what is said to this one: keys, answers, introductions.

Enters: plaintext for a node, what `Carriage` brings. Leaves: opened letters for their owner, and
for each plaintext sent whether it left, was answered by who alone could, or failed. Whose key is
not known is asked for it; who asks is told, both seldom. An answer that does not fit moves nothing.
Who may have used prekeys, and is not understood, is refused by proof, and uses none for a while.
Must not know: what letters mean.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from meshd.core.buckets import Buckets
from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import SHORT_LEN
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import PairKeys
from meshd.messages.carriage import GATEWAYS_MAX, Answered, Came, Carriage, Failed, Left
from meshd.messages.contacts import Contacts, Opened
from meshd.messages.key_air import KeyAir
from meshd.wire.letters import Introduction

ASK_US = 60_000_000
"""A node is asked for its key, and told ours, at most so often."""

ASKED_MAX = 64


class Hears(Protocol):
    """Who sent something, and hears what became of it."""

    def left(self, now: int) -> None: ...
    def answered(self, hops: int, now: int) -> None: ...
    def failed(self, reason: DropReason, now: int) -> None: ...
    def refused(self, now: int) -> None:
        """The node could not open it; what is sealed anew, it can."""


class Heard(NamedTuple):
    """An opened letter. `answer(now)` tells its sender that it arrived."""

    opened: Opened
    answer: Callable[[int], None]


class Sealed(NamedTuple):
    """A body for a node, the keys it was sealed with, and whether these hang on prekeys."""

    node: bytes
    body: bytes
    keys: PairKeys
    prekeys: bool


class _Sent(NamedTuple):
    """What a parcel is. `hears` and `sealed` None: an introduction."""

    node: bytes
    body: bytes
    hears: Hears | None = None
    sealed: Sealed | None = None


class Exchange:
    """Sealed words between this node and others."""

    def __init__(
        self,
        ctx: Context,
        carriage: Carriage,
        contacts: Contacts,
        *,
        public: bytes,
        key_air: KeyAir,
        doubt_prekeys: Callable[[bytes, int], None],
    ) -> None:
        self._doubt_prekeys = doubt_prekeys
        self.on_letter: Callable[[Heard, int], None]
        self.on_key: Callable[[bytes, int], None]
        self._ctx = ctx
        self._carriage = carriage
        self._contacts = contacts
        self._public = public
        self._key_air = key_air
        self._sent: dict[int, _Sent] = {}
        self._asked: dict[bytes, int] = {}
        self._asks = Buckets(burst=1, interval_us=ASK_US, sources_max=256)
        self._tells = Buckets(burst=2, interval_us=ASK_US // 2, sources_max=256)
        self._refusals = Buckets(burst=2, interval_us=ASK_US, sources_max=256)
        self._all = Buckets(burst=10, interval_us=3_000_000, sources_max=4)

    # --- to others --------------------------------------------------------------------------------

    def send(self, node: bytes, plaintext: bytes, hears: Hears, now: int) -> int | None:
        """Seal and send; return the parcel. None: no key, no way, or no room now."""
        sealed = self.seal(node, plaintext, now)
        return None if sealed is None else self.send_sealed(sealed, hears, now)

    def seal(
        self, node: bytes, plaintext: bytes, now: int, *, prekeys: bool = True
    ) -> Sealed | None:
        """Seal for a node, with prekeys where both ends have told some; None without its key."""
        pair = self._contacts.prekeyed(node, now) if prekeys else None
        prekeys = pair is not None
        pair = pair or self._contacts.pair(node)
        if pair is None:
            return None
        return Sealed(node, pairwise.seal(pair.there, plaintext), pair.there, prekeys)

    def send_sealed(self, sealed: Sealed, hears: Hears, now: int) -> int | None:
        """Send what was sealed; return the parcel. None: no way, or no room now."""
        parcel = self._carriage.send(sealed.node, sealed.body, now)
        if parcel is not None:
            self._sent[parcel] = _Sent(sealed.node, sealed.body, hears, sealed)
        return parcel

    def cancel(self, parcel: int, now: int) -> None:
        """Nobody waits for this answer any more."""
        self._sent.pop(parcel, None)
        self._carriage.settle(parcel, now)

    def withdraw(self, parcel: int, now: int) -> bool:
        """Send something no more; False where it has left, or is just leaving."""
        if not self._carriage.withdraw(parcel, now):
            return False
        self._sent.pop(parcel, None)
        return True

    def knows(self, node: bytes) -> bool:
        """Tell whether a node's key is known."""
        return self._contacts.pair(node) is not None

    def ask(self, node: bytes, now: int) -> bool:
        """Ask a node for its key, and bring ours; False: no way, or it was asked just now."""
        if not self._asks.allow(node, now):
            return False
        body = Introduction(self._public, wanted=True).encode()
        parcel = self._carriage.send(node, body, now, once=True)
        if parcel is None:
            return False
        self._note_asked(node, now)
        self._sent[parcel] = _Sent(node, body)
        return True

    def open_of(self, node: bytes, body: bytes) -> Opened | DropReason:
        """Open what a certain node has sealed."""
        return self._contacts.open_of(node, body)

    def doubt(self, node: bytes) -> None:
        """Nothing was answered: perhaps the node has lost our key, so introduce each other anew."""
        self._contacts.forget(node)

    # --- from others ------------------------------------------------------------------------------

    def pump(self, now: int) -> None:
        """Take what the carriage brought."""
        while (event := self._carriage.poll_event()) is not None:
            if isinstance(event, Came):
                self._came(event, now)
            elif isinstance(event, Answered):
                self._answered(event, now)
            else:
                self._changed(event, now)

    def _came(self, came: Came, now: int) -> None:
        for origin, body in _readings(came):
            opened = self._contacts.open(origin, body)
            if isinstance(opened, Opened):
                self._opened(came, opened, body, now)
                return
            if opened is not DropReason.LETTER_STRANGER:
                self._ctx.drop(opened, came.link)
                return
        for origin, body in _readings(came):
            try:
                said = Introduction.decode(body)
            except WireError:
                continue
            if said.node[:SHORT_LEN] == origin:
                self._introduced(came, said, body, now)
                return
        if not self._refuse(came, now):
            self._ctx.drop(DropReason.LETTER_STRANGER, came.link)
            self._ask_back(came, now)

    def _refuse(self, came: Came, now: int) -> bool:
        """Tell who may have used a prekey that is not known here, or no more, once in a while.

        It may be somebody else by the same short address, so the next one is asked for a key.
        """
        for origin, body in _readings(came):
            node = self._contacts.expected(origin)
            pair = None if node is None else self._contacts.pair(node)
            if node is None or pair is None or len(body) <= pairwise.TAG_LEN:
                continue
            if not self._refusals.allow(node, now) or not self._may(came, "refuse", node, now):
                return False
            self._ctx.drop(DropReason.LETTER_UNOPENED, came.link)
            came.answer(pairwise.refusal(pair.back, body), now)
            return True
        return False

    def _opened(self, came: Came, opened: Opened, body: bytes, now: int) -> None:
        def answer(at: int) -> None:
            came.answer(opened.answer, at)

        self.on_letter(Heard(opened, answer), now)

    def _ask_back(self, came: Came, now: int) -> None:
        """Ask whoever sealed what does not open for a key, once in a while."""
        name = came.via or came.origin
        if self._asks.allow(name, now) and self._may(came, "ask", name, now):
            body = Introduction(self._public, wanted=True).encode()
            parcel = self._carriage.send_back(came, body, now)
            if parcel is not None:
                self._note_asked(name, now)
                self._sent[parcel] = _Sent(name, body)

    def _may(self, came: Came, what: str, node: bytes, now: int) -> bool:
        """Tell whether a word about keys may be said now that somebody else wants."""
        link = self._carriage.radio_to(node) if came.via else came.link
        fits = not link or self._key_air.allow(link, node[:SHORT_LEN], now)
        if fits and self._all.allow(what, now):
            return True
        self._ctx.drop(DropReason.LETTER_LIMITED, came.link)
        return False

    def _introduced(self, came: Came, said: Introduction, body: bytes, now: int) -> None:
        asked = self._was_asked(said.node, now)
        if not said.wanted and not asked:
            self._ctx.drop(DropReason.LETTER_UNASKED, came.link)
            return
        if not self._contacts.learn(said):
            self._ctx.drop(DropReason.LETTER_MALFORMED, came.link)
            return
        for parcel, sent in list(self._sent.items()):
            if sent.hears is None and sent.node in (said.node, said.node[:SHORT_LEN]):
                self.cancel(parcel, now)
        if said.wanted:
            self._tell(came, said.node, now)
        pair = self._contacts.pair(said.node)
        alone = not came.via and came.hops <= 1 and body == came.body
        if pair is not None and not alone:  # relays and gateways need not repeat it
            came.answer(pairwise.answer(pair.back, body), now)
        self.on_key(said.node, now)

    def _tell(self, came: Came, node: bytes, now: int) -> None:
        """Tell who asked for it this node's key."""
        if not self._tells.allow(node, now):
            self._ctx.drop(DropReason.LETTER_LIMITED, came.link)
            return
        if not self._may(came, "tell", node, now):
            return
        body = Introduction(self._public).encode()
        parcel = self._carriage.send(node, body, now, once=True)
        if parcel is None:
            parcel = self._carriage.send_back(came, body, now)
        if parcel is not None:
            self._sent[parcel] = _Sent(node, body)

    def _answered(self, event: Answered, now: int) -> None:
        sent = self._sent.get(event.parcel)
        pair = None if sent is None else self._contacts.pair(sent.node)
        if sent is None or pair is None:
            return
        prekeys = sent.sealed is not None and sent.sealed.prekeys
        keys = pair.there if sent.sealed is None else sent.sealed.keys
        if not pairwise.answers(keys, sent.body, event.tag):
            if prekeys and pairwise.refuses(pair.there, sent.body, event.tag):
                self._refused(event.parcel, sent, now)
            else:
                self._ctx.drop(DropReason.LETTER_FORGED)
            return
        self._contacts.opened(sent.node)
        self.cancel(event.parcel, now)
        if sent.hears is not None:
            sent.hears.answered(event.hops, now)

    def _refused(self, parcel: int, sent: _Sent, now: int) -> None:
        """Its receiver proves that it could not open it: use no prekeys there for a while."""
        self._doubt_prekeys(sent.node, now)
        self.cancel(parcel, now)
        if sent.hears is not None:
            sent.hears.refused(now)

    def _changed(self, event: Left | Failed, now: int) -> None:
        sent = self._sent.get(event.parcel)
        if isinstance(event, Failed):
            self._sent.pop(event.parcel, None)
        if sent is None or sent.hears is None:
            return
        if isinstance(event, Left):
            sent.hears.left(now)
        else:
            sent.hears.failed(event.reason, now)

    def _note_asked(self, name: bytes, now: int) -> None:
        self._asked.pop(name, None)
        self._asked[name] = now
        if len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def _was_asked(self, node: bytes, now: int) -> bool:
        """Tell whether a node was asked lately, by NodeId or by the short address it wrote from."""
        return any(
            now - self._asked.get(name, -20 * ASK_US) < 10 * ASK_US
            for name in (node, node[:SHORT_LEN])
        )


def _readings(came: Came) -> tuple[tuple[bytes, bytes], ...]:
    """Return whose body it may be: as it stands, or as gateways brought it, which say whose."""
    body = came.body
    begins = range(SHORT_LEN, SHORT_LEN * GATEWAYS_MAX + 1, SHORT_LEN)
    brought = tuple((body[at - SHORT_LEN : at], body[at:]) for at in begins)
    return ((came.origin, body), *brought)
