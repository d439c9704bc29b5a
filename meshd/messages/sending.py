"""Bring own texts to their receivers: sealed by a way that is there now, else stored in a space.

Enters: texts of the outbox, what became of what was sent, entries and acknowledgements of spaces.
Leaves: sealed letters, entries with a sealed letter, states that are true. A text goes as a mesh
datagram when a way exists; when none does, or nobody answers, its sealed form waits as an entry in
a space that both devices share, the smallest one, and goes by a way too once there is one. It is
the same text with the same id.
Must not know: how bodies travel, how entries do.
"""

from collections.abc import Callable
from functools import partial

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError, WireError
from meshd.core.events import Row
from meshd.core.limits import MESSAGE_TEXT_MAX
from meshd.core.spans import span
from meshd.forwarding.pairwise import TAG_LEN
from meshd.messages.carriage import LORA_BODY_MAX, Carriage
from meshd.messages.exchange import Exchange, Sealed
from meshd.messages.letter import FINAL, Letter, State
from meshd.messages.outbox import Outbox
from meshd.messages.prekeys import Prekeys
from meshd.space.entries import Draft
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.wire import payload
from meshd.wire.air_entry import THIN_MAX
from meshd.wire.entry import Kind
from meshd.wire.letters import TEXT_HEAD_LEN, Text
from meshd.wire.membership import Rank

AGAIN_US = 2_000_000
AGAIN_MAX_US = 3_600_000_000
"""A text without a way is tried again after two seconds, four, eight, at last every hour."""

TRIES_SPENT = 4
"""Who did not answer is tried again as if it were the fourth time: after half a minute."""

TRIES_MAX = 200
"""A text that found neither way nor space is tried for about a week of uptime, then given up."""

RETURNS_MAX = 2
"""A text whose entry came back unopened so often goes under the identity keys."""

KEY_WAIT_US = 3_000_000
THIN_KEY_WAIT_US = 30_000_000
KEY_ASKS = 3
STORED_US = 5_000_000
"""How often it is looked who holds stored texts."""

LORA_TEXT_MAX = LORA_BODY_MAX - TAG_LEN - TEXT_HEAD_LEN
"""Bytes of a text that LoRa takes from node to node."""

LORA_STORED_MAX = THIN_MAX - 248
"""Bytes of a text whose entry in a space goes by LoRa in one; a longer one goes in pieces."""


Ended = Callable[[str, int], None]
"""Hears why something is not on disk, "" when it is, and the time."""


class _Flight:
    """One try of one text. It hears what becomes of it."""

    __slots__ = ("number", "sending")

    def __init__(self, sending: "Sending", number: int) -> None:
        self.sending = sending
        self.number = number

    def left(self, now: int) -> None:
        """It left this node."""
        self.sending.left(self.number)

    def answered(self, hops: int, now: int) -> None:
        """Its receiver has it on its disk."""
        self.sending.delivered(self.number, now)

    def failed(self, reason: DropReason, now: int) -> None:
        """Nobody answered."""
        self.sending.failed(self.number, reason, now)

    def refused(self, now: int) -> None:
        """Its receiver has no such key, and says so."""
        self.sending.refused(self.number, now)


class Sending:
    """What is done for the texts that wait."""

    def __init__(
        self,
        ctx: Context,
        outbox: Outbox,
        *,
        exchange: Exchange,
        carriage: Carriage,
        spaces: Spaces,
        prekeys: Prekeys,
    ) -> None:
        self.on_state: Callable[[Letter, int], None] = lambda letter, now: None
        self._ctx = ctx
        self._outbox = outbox
        self._exchange = exchange
        self._carriage = carriage
        self._spaces = spaces
        self._prekeys = prekeys
        self._flying: dict[int, int] = {}
        self._storing: set[int] = set()
        self._loosing: set[int] = set()
        self._ending: dict[int, list[Ended]] = {}
        self._asks: dict[int, int] = {}
        self._rests: dict[int, int] = {}
        self._busy = (self._flying, self._storing, self._loosing, self._ending)

    def start(self, now: int) -> None:
        """Take up what an earlier run left."""
        for letter in self._outbox.waiting():
            self._at(letter, now + self._ctx.jitter(1_000_000, 5_000_000))

    def go(self, number: int, now: int) -> None:
        """Try to bring a text to its receiver."""
        letter = self._outbox.letters.get(number)
        if letter is None or letter.state in FINAL or any(number in busy for busy in self._busy):
            return
        if letter.entry is not None:
            self._watch(now)
            if not self._may_fly(letter, now):
                return
        thin = self._carriage.thin(letter.to)
        if thin is None:
            self._store(letter, now)
        elif not self._exchange.knows(letter.to):
            self._ask(letter, now, thin=thin)
        elif not letter.loose:
            self._loosing.add(number)
            self._outbox.let_loose(letter, partial(self._loosed, letter))
        else:
            sealed = self._seal(letter, now)
            parcel = None
            if sealed is not None:
                parcel = self._exchange.send_sealed(sealed, _Flight(self, number), now)
            if parcel is not None:
                self._flying[number] = parcel
            elif letter.entry is None:
                self._store(letter, now)
            else:
                self._rest(letter, now)

    def has_way(self, node: bytes) -> bool:
        """Tell whether a text to a node would leave now."""
        return self._carriage.thin(node) is not None

    def key_known(self, node: bytes, now: int) -> None:
        """A key came that texts may have waited for."""
        for letter in self._outbox.waiting():
            if letter.to == node and letter.entry is None:
                self._at(letter, now)

    def take_back(self, letter: Letter, now: int, done: Ended) -> None:
        """Send a text no more that has not left; `done(why not, now)` when that is on disk.

        Until it is, nothing of the text is sent; where it cannot be written, the text waits on.
        Raises: RequestError where it has left, or may have.
        """
        number, parcel = letter.number, self._flying.get(letter.number)
        if letter.state is State.TAKEN_BACK:
            done("", now)
            return
        if number in self._ending:
            self._ending[number].append(done)
            return
        if letter.state is not State.QUEUED:
            raise _kept(number, f"is {letter.state.text}")
        if letter.doubt:
            raise _kept(number, "may have left before meshd was started again")
        if letter.entry is not None or number in self._storing:
            raise _kept(number, "stands sealed in a space, and goes to whoever shares it")
        if parcel is not None and not self._exchange.withdraw(parcel, now):
            raise _kept(number, "is just leaving")
        self._flying.pop(number, None)
        self._asks.pop(number, None)
        self._ctx.timers.cancel(("messages", "letter", number))
        self._ending[number] = [done]
        self._outbox.end(letter, State.TAKEN_BACK, partial(self._ended, letter))

    def waits(self, letter: Letter, now: int) -> str:
        """Say what an own text waits for; "" where it is under way, kept by others, or over."""
        if letter.number in self._flying or letter.state >= State.KEPT:
            return ""
        thin, length = self._carriage.thin(letter.to), len(letter.text.encode())
        space = self._spaces.get(letter.entry[0]) if letter.entry else self.shared(letter.to)
        if thin and space is None and length > LORA_TEXT_MAX:
            most = f"{LORA_TEXT_MAX} bytes at most, or {MESSAGE_TEXT_MAX} in a space of both,"
            return f"waits for WiFi: LoRa takes texts of {most} and this one has {length}"
        if thin and space is not None and length > LORA_STORED_MAX:
            name = f"an entry of {space.name}, in pieces from member to member"
            return f"goes as {name}: LoRa takes minutes for so long a text"
        if letter.entry is not None:
            name = space.name if space else ""
            return f"waits in the space {name}: nobody said yet to hold it" if name else ""
        due_us = self._ctx.timers.deadline(("messages", "letter", letter.number))
        again = "" if due_us is None else f"; tried again in {span((due_us - now) / 1e6)}"
        if thin is None:
            return f"waits for a way to its receiver: there is none now{again}"
        if not self._exchange.knows(letter.to):
            return f"waits for the receiver's key, which was asked for{again}"
        return f"waits for an answer{again}"

    # --- what became of it ------------------------------------------------------------------------

    def left(self, number: int) -> None:
        """A text left this node."""
        letter = self._outbox.letters.get(number)
        if letter is not None:
            self._advance(letter, State.SENT, 0)

    def delivered(self, number: int, now: int) -> None:
        """A text's receiver has it."""
        self._flying.pop(number, None)
        letter = self._outbox.letters.get(number)
        if letter is not None:
            letter.tries = 0
            self._advance(letter, State.DELIVERED, now)

    def failed(self, number: int, reason: DropReason, now: int) -> None:
        """Nobody answered: let it wait in a space, or try again later.

        Where its radio went away it goes by another way at once, or later by any.
        """
        self._flying.pop(number, None)
        letter = self._outbox.letters.get(number)
        if letter is not None and letter.state not in FINAL:
            if reason is DropReason.MODEM_GONE:  # it says nothing of the receiver
                if self.has_way(letter.to):
                    self._at(letter, now)
                else:
                    self._later(letter, now)
                return
            if reason is DropReason.DIRECT_UNANSWERED:  # not where it is known why
                self._exchange.doubt(letter.to)
            letter.tries = max(letter.tries, TRIES_SPENT)
            self._rest(letter, now)
            if letter.entry is None:
                self._store(letter, now)

    def refused(self, number: int, now: int) -> None:
        """The receiver could not open it, as its proof says: seal it anew."""
        self._flying.pop(number, None)
        letter = self._outbox.letters.get(number)
        if letter is not None and letter.state not in FINAL:
            self._at(letter, now)

    def read(self, node: bytes, number: int, now: int) -> None:
        """The receiver says that a person has seen a text."""
        letter = self._outbox.letters.get(number)
        if letter is not None and letter.to == node:
            self._advance(letter, State.READ, now)

    def look(self, now: int) -> None:
        """See who holds stored texts, which have a receipt, and which came back unopened."""
        for holding in self._spaces.all():
            for author, seq in holding.mail.returned():
                self._came_back(holding, author, seq, now)
        left = False
        for letter in self._outbox.waiting():
            if letter.entry is None:
                continue
            space_id, author, seq = letter.entry
            space = self._spaces.get(space_id)
            if space is None:
                continue
            if not space.mail.awaits(author, seq):
                self._advance(letter, State.DELIVERED, now)
                continue
            left = True
            before = letter.state
            self._outbox.kept_by(letter, list(space.acks.holders(author, seq)))
            if letter.state is not before:
                self.on_state(letter, now)
            self.go(letter.number, now)
        if left:
            self._watch(now)

    # --- inside -----------------------------------------------------------------------------------

    def _loosed(self, letter: Letter, why: str, now: int) -> None:
        """It is on the disk that a text may leave, or it could not be written."""
        self._loosing.discard(letter.number)
        if why:
            self._later(letter, now)
        else:
            self._at(letter, now)

    def _ended(self, letter: Letter, why: str, now: int) -> None:
        """A text was taken back on the disk too, or it was not and goes on."""
        asked = self._ending.pop(letter.number, [])
        if why:
            self._at(letter, now)
        else:
            self._advance(letter, State.TAKEN_BACK, now)
        for done in asked:
            done(why, now)

    def _may_fly(self, letter: Letter, now: int) -> bool:
        """Tell whether a stored text goes by a way too: one at a time to each receiver."""
        flying = (self._outbox.letters.get(number) for number in self._flying)
        return (
            now >= self._rests.get(letter.number, now)
            and self.has_way(letter.to)
            and self._exchange.knows(letter.to)
            and all(other is None or other.to != letter.to for other in flying)
        )

    def _rest(self, letter: Letter, now: int) -> None:
        """Try no way again for a while, ever longer: it is stored too, and may come so."""
        doublings = min(max(letter.tries - 2, 0), 11)
        letter.tries += letter.entry is not None
        self._rests[letter.number] = now + min(AGAIN_US << doublings, AGAIN_MAX_US)

    def _came_back(self, space: Space, author: bytes, seq: int, now: int) -> None:
        """Send a text anew whose receiver had no key for its entry, unless it has it otherwise."""
        space.mail.abandon(author, seq)
        for letter in self._outbox.letters.values():
            if letter.entry != (space.id, author, seq):
                continue
            letter.entry = None
            letter.returns += 1
            self._advance(letter, State.SENT, now)
            self._outbox.keep(letter, space.mail.row(space.id))
            if letter.state not in FINAL:
                self._later(letter, now)

    def _seal(self, letter: Letter, now: int) -> Sealed | None:
        """Seal a text; one that came back again and again goes without prekeys."""
        said = Text(letter.number, letter.text).encode()
        prekeys = letter.returns < RETURNS_MAX
        sealed = self._exchange.seal(letter.to, said, now, prekeys=prekeys)
        if sealed is not None:
            letter.sealed(prekeys=sealed.prekeys)
        return sealed

    def _advance(self, letter: Letter, state: State, now: int) -> None:
        if self._outbox.advance(letter, state):
            if state in FINAL:
                self._rests.pop(letter.number, None)
            self.on_state(letter, now)

    def _ask(self, letter: Letter, now: int, *, thin: bool) -> None:
        """Ask the receiver for its key; who does not answer gets the text by a space."""
        asks = self._asks.pop(letter.number, 0)
        if asks >= KEY_ASKS:
            self._store(letter, now)
            return
        self._asks[letter.number] = asks + 1
        self._exchange.ask(letter.to, now)
        self._at(letter, now + ((THIN_KEY_WAIT_US if thin else KEY_WAIT_US) << asks))

    def _store(self, letter: Letter, now: int) -> None:
        """Leave the sealed text in a space that the receiver reads, or try again later."""
        space = self.shared(letter.to)
        if space is not None:
            self._prekeys.tell_in(space, now)
        sealed = self._seal(letter, now)
        if space is None or sealed is None:
            self._later(letter, now)
            return
        number, author = letter.number, space.author

        def placed(seq: int) -> tuple[Row, ...]:
            letter.entry = (space.id, author, seq)
            return (letter.row(),)

        def stored(why: str, at: int) -> None:
            self._storing.discard(number)
            if why:
                letter.entry = None
                self._later(letter, at)
            else:
                self._watch(at)

        draft = Draft(Kind.LETTER, b"", payload.SealedLetter(letter.to, sealed.body).encode())
        self._storing.add(number)
        try:
            self._spaces.append(space, draft, now, stored, also=placed)
        except (RequestError, WireError):
            self._storing.discard(number)
            self._later(letter, now)

    def shared(self, node: bytes) -> Space | None:
        """Return the smallest space that both this node and another may write to and read."""
        found: list[tuple[int, bytes, Space]] = []
        for space in self._spaces.all():
            rank = space.rank
            if space.carries_only or rank is None or rank < Rank.WRITER:
                continue
            readers = {
                member.node
                for member in space.members()
                if member.current and member.node and member.role != "relay"
            }
            if node in readers:
                found.append((len(readers), space.id, space))
        return min(found, key=lambda one: one[:2])[2] if found else None

    def _later(self, letter: Letter, now: int) -> None:
        letter.tries += 1
        if letter.tries > TRIES_MAX:
            self._advance(letter, State.GIVEN_UP, now)
            return
        wait_us = min(AGAIN_US << min(letter.tries - 1, 11), AGAIN_MAX_US)
        self._at(letter, now + wait_us)

    def _at(self, letter: Letter, due_us: int) -> None:
        self._ctx.timers.set(("messages", "letter", letter.number), due_us)

    def _watch(self, now: int) -> None:
        self._ctx.timers.set_earlier(("messages", "stored"), now + STORED_US)


def _kept(number: int, why: str) -> RequestError:
    return RequestError(
        f"message {number} {why}: it cannot be taken back",
        remedy="`meshd messages --waiting` shows what is not delivered, and how far it came",
    )
