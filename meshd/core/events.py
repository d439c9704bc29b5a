"""The values that cross the engine's border: links and datagrams in, transmits and events out.

All are NamedTuples: cheap to build and to compare in tests. Addresses are 16 packed bytes, times
are integer microseconds of the host's monotonic clock, prefixes are `core.ids.Prefix`.
"""

from enum import StrEnum
from typing import NamedTuple

from meshd.core.airtime import Modulation
from meshd.core.errors import RequestError
from meshd.core.ids import Prefix
from meshd.core.law import DIPOLE_DBI, Law


class LinkKind(StrEnum):
    """What an interface is: who else may be on it decides what meshd may do to it.

    RADIO is no interface of the host: a LoRa radio, as routing sees it.
    """

    MESH = "mesh"
    SHARED = "shared"
    WIRED = "wired"
    RADIO = "radio"


class Link(NamedTuple):
    """One interface that is up and has a link-local address. `mtu` is in bytes."""

    name: str
    kind: LinkKind
    address: bytes
    mtu: int = 1500


class Datagram(NamedTuple):
    """A received UDP datagram: who sent it, to which of our ports, and whether by multicast."""

    source: bytes
    port: int
    data: bytes
    multicast: bool = False


class Transmit(NamedTuple):
    """A UDP datagram to send from `port` to the same port.

    `link` is the interface name, or "" for a routed destination.
    """

    link: str
    port: int
    destination: bytes
    data: bytes


class StreamSend(NamedTuple):
    """Bytes for an open stream; the engine stays within the credit that the host granted."""

    stream: int
    data: bytes


class TunSend(NamedTuple):
    """An IPv6 packet for the host's kernel, by the TUN device: to this host, or to be routed on."""

    data: bytes


# --- radios (LoRa) --------------------------------------------------------------------------------


class RadioLink(NamedTuple):
    """A LoRa radio that is set and ready. `airtimes_us` holds what a frame of each size takes on
    the air, from 0 to the longest that the modem takes, with what the module adds. `link_key` is
    32 secret bytes that all in a closed mesh have; None: the key of the open mesh, which is public.
    """

    name: str
    kind: str
    frequency_hz: int
    modulation: Modulation
    tx_dbm: int
    airtimes_us: tuple[int, ...]
    antenna_dbi: float = DIPOLE_DBI
    listens: bool = False
    link_key: bytes | None = None

    @property
    def frame_max(self) -> int:
        """Return the longest frame in bytes."""
        return len(self.airtimes_us) - 1


class AirtimeImage(NamedTuple):
    """What radios may send, and what the disk holds of what they did.

    `boot` is 16 bytes that no other boot of this machine has; `ahead_us` is how far the clock since
    that boot, suspended time included, is ahead of the engine's.
    """

    law: Law
    boot: bytes
    ahead_us: int
    state: bytes | None


class RadioSend(NamedTuple):
    """A frame for a radio; answered by `radio_sent` or `radio_not_sent`, one at a time."""

    link: str
    data: bytes


class AirtimeSave(NamedTuple):
    """Make the ledger's state durable, then say `airtime_saved(number, True)`.

    Number 0 is the last one of a run and is not answered.
    """

    number: int
    state: bytes


# --- routes ---------------------------------------------------------------------------------------


class RouteInstalled(NamedTuple):
    """Install or replace the kernel's route to `prefix`.

    An empty `link` says that there is no way: packets to `prefix` go nowhere, rather than by the
    route to a shorter prefix that covers it (RFC 8966 §3.5.4).
    """

    prefix: Prefix
    link: str
    next_hop: bytes
    metric: int


class RouteRemoved(NamedTuple):
    """Remove the kernel's route to `prefix`."""

    prefix: Prefix


# --- streams (TCP) --------------------------------------------------------------------------------


REFUSED, NO_ROUTE, NO_ANSWER = "refused", "no route", "no answer"
NAME_UNKNOWN, NAME_UNASKED = "name unknown", "name not looked up"
"""Why a stream was not opened; the last: no name server answered. Hosts may give other reasons."""


class StreamOpen(NamedTuple):
    """Open a TCP connection and answer with `stream_opened` or `stream_failed`.

    `host` is an address literal or, for a configured peer, a name; `link` scopes a link-local one.
    `keepalive` holds a NAT's mapping open while the stream is idle.
    """

    stream: int
    host: str
    port: int
    link: str = ""
    keepalive: bool = False


class StreamClose(NamedTuple):
    """Close a stream, after what was sent has left; no further input will be taken for it."""

    stream: int
    why: str


# --- store ----------------------------------------------------------------------------------------


class EntryRow(NamedTuple):
    """One encoded entry of one feed. `space` and `author` are 32 bytes.

    `membership` marks what must be read back at start to know who may do what.
    """

    space: bytes
    author: bytes
    seq: int
    data: bytes
    membership: bool = False


class MetaRow(NamedTuple):
    """A small value by name; None deletes it.

    A `secret` one is kept apart, so that its bytes are gone from the store when it is deleted. The
    names of secret rows and of others are one space; it is told at each row which it is.
    """

    key: str
    value: bytes | None
    secret: bool = False


Row = EntryRow | MetaRow


class StoreAppend(NamedTuple):
    """Commit `rows` in one transaction, in order of `number`; answered by `committed(up_to)`.

    Numbers rise by one with each StoreAppend of a node. When a commit fails, the host answers with
    `commit_failed(number, why)` for it and for each later one that it has not committed.
    """

    number: int
    rows: tuple[Row, ...]


class EntriesQuery(NamedTuple):
    """Entries of a feed, first to last inclusive, at most `bytes_max` but at least one.

    Answer: tuple[bytes, ...] in order of seq.
    """

    space: bytes
    author: bytes
    first: int
    last: int
    bytes_max: int


class ChunkQuery(NamedTuple):
    """A part of a chunk. `length` 0 asks only whether it is held.

    Answer: (size, bytes), or None when it is not held.
    """

    chunk: bytes
    offset: int
    length: int


class KeepQuery(NamedTuple):
    """Keep a chunk of ciphertext, named by its BLAKE2b-256, which the store checks first.

    Answer: True once it is kept (on disk when `durable`), False when the bytes are not of that
    name. It is a query and no row: bulk must not stand in the order of commits.
    """

    chunk: bytes
    data: bytes
    durable: bool


class ForgetQuery(NamedTuple):
    """Remove chunks of a file that was never finished. Answer: how many bytes that freed."""

    chunks: tuple[bytes, ...]


class SealQuery(NamedTuple):
    """Read plaintext chunk `place` from file handle `handle`, encrypt it, keep it durably.

    Answer: (chunk name, plaintext length).
    """

    handle: int
    key: bytes
    place: int


class UnsealQuery(NamedTuple):
    """Decrypt a held chunk with `key` and write it to file handle `handle` at its place.

    Answer: plaintext length, or None when the chunk is not held or does not open.
    """

    handle: int
    key: bytes
    place: int
    chunk: bytes


class PlaceQuery(NamedTuple):
    """Check a chunk that came in parts, keep it until it is forgotten, and do as `UnsealQuery`.

    Answer: plaintext length, None when it does not open, False when it is not of that name.
    """

    handle: int
    key: bytes
    place: int
    chunk: bytes
    parts: tuple[bytes, ...]


class SyncFileQuery(NamedTuple):
    """Make what was written to file handle `handle` durable. Answer: True."""

    handle: int


BulkQuery = (
    ChunkQuery | KeepQuery | ForgetQuery | SealQuery | UnsealQuery | PlaceQuery | SyncFileQuery
)
Query = EntriesQuery | BulkQuery
Answer = tuple[bytes, ...] | tuple[int, bytes] | tuple[bytes, int] | int | bool | None


class StoreRead(NamedTuple):
    """Answer `query` by `read_done(token, answer)`, or `read_failed(token, why)`."""

    token: int
    query: Query


class FeedImage(NamedTuple):
    """A feed as the store holds it at start: its last entry, and its size in bytes."""

    space: bytes
    author: bytes
    seq: int
    last: bytes
    bytes_total: int


class StoreImage(NamedTuple):
    """What the engine keeps in memory of its store, read at start and after a failed commit."""

    metas: dict[str, bytes]
    feeds: tuple[FeedImage, ...]
    membership: tuple[EntryRow, ...]


# --- people and scripts ---------------------------------------------------------------------------


class Reply(NamedTuple):
    """The end of a local request: a JSON-able value, or an error with its exit code and remedy.

    `reached`: beside an error, the value as far as it came.
    """

    ticket: int
    value: dict[str, object] | None
    error: str = ""
    code: int = 0
    remedy: str = ""
    reached: dict[str, object] | None = None

    @classmethod
    def refusal(cls, ticket: int, error: RequestError) -> "Reply":
        """Return the reply that says why a request was not met."""
        return cls(ticket, None, error.text, int(error.code), error.remedy)


class Progress(NamedTuple):
    """How far a local request has come, in units (bytes, chunks) that `what` names."""

    ticket: int
    what: str
    done: int
    total: int


class Notice(NamedTuple):
    """Something a person or a script may want to see: `meshd watch`, the log, MQTT events.

    `fields` is JSON-able and holds no key material. `warning` marks what a person must mend.
    """

    kind: str
    fields: dict[str, object]
    warning: bool = False


Event = (
    RouteInstalled
    | RouteRemoved
    | StreamOpen
    | StreamClose
    | StoreAppend
    | StoreRead
    | AirtimeSave
    | Reply
    | Progress
    | Notice
)
