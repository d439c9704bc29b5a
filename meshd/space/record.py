"""What is kept of a space beside its entries, as compact JSON in named meta rows.

Enters: values of this folder. Leaves: bytes for `MetaRow` and back. Keys are in it, but in no repr.
Rows that hold a key end in a digest with their name: a flipped bit is damage, not another key.
Names of rows: `space/ID`, `head/ID/AUTHOR`, `fork/ID/AUTHOR`, `aside/ID/AUTHOR/DIGEST`,
`early/ID/AUTHOR/SEQ`, `mail/ID`, `prekey/ID/AUTHOR`, `joining/ID`, ids in hex.
"""

from json import loads
from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN
from meshd.core.errors import WireError
from meshd.core.events import MetaRow
from meshd.core.guard import DAMAGES, json_row, unguarded
from meshd.wire.genesis import GENESIS_LEN, space_id
from meshd.wire.membership import Rank

SPACE_PREFIX = "space/"
JOINING_PREFIX = "joining/"
MAIL_PREFIX = "mail/"
KNOWN_ROWS = (
    *(SPACE_PREFIX, JOINING_PREFIX, "head/", "fork/", "aside/", "early/"),
    *(MAIL_PREFIX, "file/", "letter/"),
    *("prekey/", "piece/", "boot", "babel-"),
)
"""How the names of all rows of a store begin, of whatever part."""
_FORK = Struct("!II")


class SpaceRecord(NamedTuple):
    """A space as this node holds it: genesis, keys, own signing seed, the rank it was offered."""

    genesis: bytes
    name: str
    epoch_key: bytes | None
    fetch: bytes
    seed: bytes
    rank: Rank
    former: tuple[bytes, ...] = ()

    @property
    def id(self) -> bytes:
        """The space's id."""
        return space_id(self.genesis)

    def row(self) -> MetaRow:
        """Return its row: compact JSON, byte strings in hex; then a line with the digest."""
        fields: dict[str, object] = {
            "version": 0,
            "genesis": self.genesis.hex(),
            "name": self.name,
            "epoch_key": self.epoch_key.hex() if self.epoch_key else None,
            "fetch": self.fetch.hex(),
            "seed": self.seed.hex(),
            "rank": int(self.rank),
            "former": [author.hex() for author in self.former],
        }
        return json_row(space_key(self.id), fields)

    def __repr__(self) -> str:
        return f"SpaceRecord(id={self.id.hex()[:16]}, rank={self.rank.name})"


class JoiningRecord(NamedTuple):
    """A join that waits for an answer: the link's text, a fresh signing seed, the name to bear."""

    link: str
    seed: bytes
    name: str

    def row(self, space: bytes) -> MetaRow:
        """Return the row of that space's join: compact JSON and a line with the digest."""
        fields: dict[str, object] = {"link": self.link, "seed": self.seed.hex(), "name": self.name}
        return json_row(joining_key(space), fields)

    def __repr__(self) -> str:
        return "JoiningRecord()"


def space_key(space: bytes) -> str:
    """Return the row name of a space."""
    return SPACE_PREFIX + space.hex()


def joining_key(space: bytes) -> str:
    """Return the row name of a join under way."""
    return JOINING_PREFIX + space.hex()


def head_key(space: bytes, author: bytes) -> str:
    """Return the row name of a feed's running hash."""
    return f"head/{space.hex()}/{author.hex()}"


def fork_key(space: bytes, author: bytes) -> str:
    """Return the row name of a fork's proof."""
    return f"fork/{space.hex()}/{author.hex()}"


def aside_start(space: bytes) -> str:
    """Return how the rows begin that keep records of branches which a space does not follow."""
    return f"aside/{space.hex()}/"


def aside_key(space: bytes, author: bytes, digest: bytes) -> str:
    """Return the row name of a record of another branch; its value is the encoded entry."""
    return f"{aside_start(space)}{author.hex()}/{digest.hex()}"


def early_start(space: bytes) -> str:
    """Return how the rows begin that keep calls for help which have no place in their feed yet."""
    return f"early/{space.hex()}/"


def early_key(space: bytes, author: bytes, seq: int) -> str:
    """Return the row name of a call for help without its place; its value is the whole entry."""
    return f"{early_start(space)}{author.hex()}/{seq}"


def mail_key(space: bytes) -> str:
    """Return the row name of the messages under way."""
    return MAIL_PREFIX + space.hex()


def prekey_start(space: bytes) -> str:
    """Return how the rows begin that keep what members told for letters."""
    return f"prekey/{space.hex()}/"


def prekey_key(space: bytes, author: bytes) -> str:
    """Return the row name of a feed's prekeys."""
    return prekey_start(space) + author.hex()


def pack_fork(seq: int, mine: bytes, theirs: bytes) -> bytes:
    """Return a fork's proof: seq (4), length of the first entry (4), both entries."""
    return _FORK.pack(seq, len(mine)) + mine + theirs


def unpack_fork(data: bytes) -> tuple[int, bytes, bytes]:
    """Return (seq, mine, theirs) of a fork's proof.

    Raises: WireError.
    """
    if len(data) < _FORK.size:
        raise WireError("fork proof length")
    seq, length = _FORK.unpack_from(data)
    end = _FORK.size + length
    return seq, data[_FORK.size : end], data[end:]


def decode_space(key: str, data: bytes) -> SpaceRecord:
    """Decode a space kept in the row `key`.

    Raises: WireError.
    """
    try:
        fields = loads(unguarded(data, key))
        if fields["version"] != 0:
            raise WireError("the space was written by a newer version of meshd")
        epoch_key = fields["epoch_key"]
        record = SpaceRecord(
            genesis=bytes.fromhex(fields["genesis"]),
            name=str(fields["name"]),
            epoch_key=None if epoch_key is None else bytes.fromhex(epoch_key),
            fetch=bytes.fromhex(fields["fetch"]),
            seed=bytes.fromhex(fields["seed"]),
            rank=Rank(fields["rank"]),
            former=tuple(bytes.fromhex(author) for author in fields["former"]),
        )
    except DAMAGES as error:
        raise WireError("kept space is damaged") from error
    keys = (record.fetch, record.seed, record.epoch_key or record.fetch, *record.former)
    if len(record.genesis) != GENESIS_LEN or any(len(key) != KEY_LEN for key in keys):
        raise WireError("kept space is damaged")
    return record


def decode_joining(key: str, data: bytes) -> JoiningRecord:
    """Decode a join kept in the row `key`.

    Raises: WireError.
    """
    try:
        fields = loads(unguarded(data, key))
        record = JoiningRecord(
            str(fields["link"]), bytes.fromhex(fields["seed"]), str(fields["name"])
        )
    except DAMAGES as error:
        raise WireError("kept join is damaged") from error
    if len(record.seed) != KEY_LEN:
        raise WireError("kept join is damaged")
    return record
