"""What is still to be fetched of one file, and from whom each chunk was asked.

Enters: a manifest, index chunks as they come. Leaves: jobs, one a chunk, a window of them at a
time. Must not know: sessions' sending, the store.
"""

from enum import Enum
from typing import NamedTuple

from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.layout import (
    SEALED_BYTES,
    chunk_size,
    index_address,
    leaves_of,
    name_in,
    plain_size,
)
from meshd.wire.file_messages import LEAF_ADDRESS, NAME_LEN, ROOT_ADDRESS


class State(Enum):
    """Where a job stands."""

    STORE = "the store works on it"
    WANTED = "to be asked of somebody"
    ASKED = "asked, pieces come"


class Job:
    """One chunk on its way. `missing`: sessions that lack it; `offered`: those that said so."""

    __slots__ = (
        *("address", "kept", "missing", "name", "offered", "parts", "received", "request"),
        *("session", "size", "state"),
    )

    def __init__(self, address: int, name: bytes, size: int) -> None:
        self.address = address
        self.name = name
        self.size = size
        self.state = State.STORE
        self.session = 0
        self.request = 0
        self.parts: list[bytes] = []
        self.received = 0
        self.kept = False
        self.missing: set[int] = set()
        self.offered: set[int] = set()

    @property
    def is_index(self) -> bool:
        """Tell whether it names other chunks."""
        return self.address >= LEAF_ADDRESS

    def reset(self) -> None:
        """Want it again from its beginning."""
        self.state = State.WANTED
        self.parts = []
        self.received = 0


class Target(NamedTuple):
    """Where the plaintext of a `get` goes: the file handle and the file's key."""

    handle: int
    key: bytes


class Fetch:
    """One file that is being gathered: for a person (`target`), or as a relay (None)."""

    __slots__ = (
        *("done", "id", "index", "index_at", "jobs", "lean", "manifest", "moved_us", "next"),
        *("patience_us", "patient", "pause_us", "root", "target", "ticket"),
    )

    def __init__(self, number: int, manifest: Manifest, target: Target | None, ticket: int) -> None:
        self.id = number
        self.manifest = manifest
        self.target = target
        self.ticket = ticket
        self.jobs: dict[int, Job] = {}
        self.next = 0
        self.done = 0
        self.root: bytes | None = None
        self.index: bytes | None = None
        self.index_at = ROOT_ADDRESS
        self.lean: set[int] = set()
        self.moved_us = 0
        self.pause_us = 0
        self.patience_us: int | None = None
        self.patient = False

    @property
    def complete(self) -> bool:
        """Tell whether every chunk of content has arrived."""
        return self.done == self.manifest.clear.chunks

    @property
    def done_bytes(self) -> int:
        """Return the plaintext bytes in place, rounded to chunks but exact at the end."""
        clear = self.manifest.clear
        whole = clear.size - 16 * clear.chunks
        return min(whole, self.done * plain_size(clear, 0)) if self.done else 0

    @property
    def disk_bytes(self) -> int:
        """Return about what a store holds of the file: its chunks and the names of them."""
        if self.root is None:
            return 0
        clear = self.manifest.clear
        names = clear.chunks if clear.levels == 1 else leaves_of(clear) + self.done
        return min(clear.size, self.done * SEALED_BYTES) + NAME_LEN * names

    def next_job(self) -> Job | None:
        """Return the next chunk to get, None when all are begun or an index chunk must come."""
        clear = self.manifest.clear
        if any(job.is_index for job in self.jobs.values()) or self.next >= clear.chunks:
            return None
        if self.root is None:
            return self._begin(ROOT_ADDRESS, clear.root)
        above = index_address(clear, self.next)
        if above == ROOT_ADDRESS:
            self.index = self.root
        elif self.index is None or self.index_at != above:
            return self._begin(above, name_in(self.root, above))
        if self.index is None:
            return None
        place = self.next
        self.next += 1
        return self._begin(place, name_in(self.index, place))

    def take_index(self, address: int, data: bytes) -> None:
        """Take an index chunk that was verified."""
        if address == ROOT_ADDRESS:
            self.root = data
        else:
            self.index, self.index_at = data, address

    def _begin(self, address: int, name: bytes) -> Job:
        job = self.jobs[address] = Job(address, name, chunk_size(self.manifest.clear, address))
        return job
