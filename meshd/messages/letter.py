"""One text to or from one device, what became of it, and the row that keeps it.

Enters: what happened to it. Leaves: its state, which only goes forward, and JSON for rows, with a
checksum, and people. Must not know: how it travels.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from json import loads

from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.core.guard import DAMAGES, json_row, unguarded
from meshd.core.ids import NODE_ID_LEN, node_text

ROW_PREFIX = "letter/"
NEXT_KEY = "letter/next"
_OUT, _IN, _WINDOW = "letter/out/", "letter/in/", "letter/window/"
KEEPERS_MAX = 16
PREKEYS, IDENTITY = "prekeys", "identity"


class State(IntEnum):
    """What became of an own text; a higher one says more. Only `READ` is beyond `DELIVERED`.

    QUEUED     on this node's disk
    SENT       it left this node, by a radio or a cable
    KEPT       nodes that it names hold it, sealed, on their disks
    DELIVERED  the receiver's device has it on its disk: its answer was authentic
    READ       a person there has seen it, and lets others know
    GIVEN_UP   nothing more is tried; what it reached before stands beside it
    TAKEN_BACK whoever wrote it wants it no more, and it had not left this node
    """

    QUEUED = 0
    SENT = 1
    KEPT = 2
    DELIVERED = 3
    READ = 4
    GIVEN_UP = 5
    TAKEN_BACK = 6

    @property
    def text(self) -> str:
        """The word for people."""
        return self.name.lower().replace("_", " ")


ENDED = (State.GIVEN_UP, State.TAKEN_BACK)
FINAL = (State.DELIVERED, State.READ, *ENDED)


@dataclass(slots=True)
class Letter:
    """An own text. `entry` is where it is stored in a space, when it has to wait."""

    number: int
    to: bytes
    text: str
    time_s: int
    state: State = State.QUEUED
    reached: State = State.QUEUED
    entry: tuple[bytes, bytes, int] | None = None
    kept_by: list[bytes] = field(default_factory=list)
    tries: int = 0
    returns: int = 0
    keys: str = ""
    """What all that was sent of it was sealed with: `PREKEYS`, `IDENTITY`, or nothing was yet."""
    loose: bool = False
    """It may leave this node: that is on the disk before it does."""
    doubt: bool = False
    """It may have left in an earlier run, which did not live to say so."""

    def sealed(self, *, prekeys: bool) -> None:
        """Note what it was sealed with; what went under the identity keys once, went so."""
        self.keys = PREKEYS if prekeys and self.keys != IDENTITY else IDENTITY

    def advance(self, state: State) -> bool:
        """Go on to a state; False where that is no step forward."""
        if state <= self.state or (self.state in FINAL and state in ENDED):
            # A late answer is as true as any: what was given up may be delivered after all.
            if self.state not in ENDED or state not in (State.DELIVERED, State.READ):
                return False
        self.state = state
        if state not in ENDED:
            self.reached = max(self.reached, state)
        return True

    def row(self) -> MetaRow:
        """Return the row that keeps it."""
        fields: dict[str, object] = {
            "to": self.to.hex(),
            "text": self.text,
            "time": self.time_s,
            "state": int(self.state),
            "reached": int(self.reached),
            "kept_by": [node.hex() for node in self.kept_by],
            "keys": self.keys,
            "loose": self.loose,
        }
        if self.entry is not None:
            space, author, seq = self.entry
            fields["entry"] = [space.hex(), author.hex(), seq]
        return json_row(out_key(self.number), fields)

    def shown(self, own: bytes) -> dict[str, object]:
        """Return what people see."""
        return {
            "id": letter_id(own, self.number),
            "number": self.number,
            "way": "out",
            "node": node_text(self.to),
            "text": self.text,
            "time": self.time_s or None,
            "state": self.state.text,
            "reached": self.reached.text,
            "kept_by": [node_text(node) for node in self.kept_by],
            "keys": self.keys or None,
        }


@dataclass(slots=True)
class Got:
    """A text of another device. `place` is its order of arrival here."""

    place: int
    node: bytes
    number: int
    text: str
    time_s: int
    read: bool = False
    told: bool = False
    """Whether its sender was told that it was read."""
    keys: str = ""
    """What it came under; each way may have brought it under others."""

    def row(self) -> MetaRow:
        """Return the row that keeps it."""
        fields: dict[str, object] = {
            "node": self.node.hex(),
            "number": self.number,
            "text": self.text,
            "time": self.time_s,
            "read": self.read,
            "told": self.told,
            "keys": self.keys,
        }
        return json_row(in_key(self.place), fields)

    def shown(self) -> dict[str, object]:
        """Return what people see."""
        return {
            "id": letter_id(self.node, self.number),
            "number": self.number,
            "way": "in",
            "node": node_text(self.node),
            "text": self.text,
            "time": self.time_s or None,
            "read": self.read,
            "keys": self.keys or None,
        }


def letter_id(origin: bytes, number: int) -> str:
    """Return the one id of a text, the same at both ends and on every way."""
    return f"{node_text(origin)}-{number}"


def out_key(number: int) -> str:
    """Return the row name of an own text."""
    return f"{_OUT}{number:08x}"


def in_key(place: int) -> str:
    """Return the row name of a text that came."""
    return f"{_IN}{place:08x}"


def number_in(key: str) -> int:
    """Return the number that the row of a text is named by, 0 where there is none."""
    try:
        return int(key.rpartition("/")[2], 16)
    except ValueError:
        return 0


def window_key(node: bytes) -> str:
    """Return the row name of what is known of a sender's numbers."""
    return f"{_WINDOW}{node.hex()}"


def decode_letter(key: str, value: bytes) -> Letter:
    """Decode the row of an own text. Raises: WireError."""
    try:
        fields = loads(unguarded(value, key))
        entry = fields.get("entry")
        letter = Letter(
            number=int(key.removeprefix(_OUT), 16),
            to=_node(fields["to"]),
            text=str(fields["text"]),
            time_s=int(fields["time"]),
            state=State(fields["state"]),
            reached=State(fields["reached"]),
            kept_by=[_node(node) for node in fields["kept_by"]][:KEEPERS_MAX],
            keys=_keys(fields),
            loose=bool(fields["loose"]),
        )
        letter.doubt = letter.loose and letter.state is State.QUEUED
        if entry is not None:
            space, author, seq = entry
            letter.entry = (bytes.fromhex(space), bytes.fromhex(author), int(seq))
    except DAMAGES as error:
        raise WireError("a kept message is damaged") from error
    return letter


def decode_got(key: str, value: bytes) -> Got:
    """Decode the row of a text that came. Raises: WireError."""
    try:
        fields = loads(unguarded(value, key))
        return Got(
            place=int(key.removeprefix(_IN), 16),
            node=_node(fields["node"]),
            number=int(fields["number"]),
            text=str(fields["text"]),
            time_s=int(fields["time"]),
            read=bool(fields["read"]),
            told=bool(fields["told"]),
            keys=_keys(fields),
        )
    except DAMAGES as error:
        raise WireError("a kept message is damaged") from error


def rows_of(metas: dict[str, bytes], what: str) -> list[tuple[str, bytes]]:
    """Return the kept rows of one sort, `out`, `in` or `window`, in order."""
    start = f"{ROW_PREFIX}{what}/"
    return [(key, metas[key]) for key in sorted(metas) if key.startswith(start)]


def _node(text: object) -> bytes:
    node = bytes.fromhex(str(text))
    if len(node) != NODE_ID_LEN:
        raise ValueError("no NodeId")
    return node


def _keys(fields: dict[str, object]) -> str:
    word = fields.get("keys", "")
    return word if word in (PREKEYS, IDENTITY) and isinstance(word, str) else ""
