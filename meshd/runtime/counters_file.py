"""Numbers that must never go back, kept beside the store: they rise on a full disk too.

Enters: the path of `STATE_DIR/counters`, the numbers of this start. Leaves: those of the last one.
The store keeps them as well, in one transaction with all else; but on a disk without room it cannot
be opened, or not be written, and a node that began each time with the same boot number would be
taken for a recording of itself. Must not know: who uses the numbers.
"""

from contextlib import suppress
from struct import Struct
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.runtime.twin_files import TwinFiles
from meshd.wire.kept_record import KeptRecord

COUNTERS_FILE = "counters"
FILE_BYTES = 4096
BOOT_MAX = 0xFFFF_FFFF
_STATE = Struct(">IH")
_PERSON = b"meshd-counters"


class Counters(NamedTuple):
    """The number of a start, and the last seqno that was reserved for it."""

    boot: int
    seqno: int


class CountersFile:
    """The files; they are of help where the store is not, and no start fails for want of them."""

    def __init__(self, path: str) -> None:
        self._files = TwinFiles(path, person=_PERSON, size_bytes=FILE_BYTES)
        self._number = 0

    def read(self) -> Counters | None:
        """Return what was written last; None where nothing can be read."""
        try:
            record = self._files.read()
        except (OSError, WireError):
            return None
        if record is None or len(record.state) != _STATE.size:
            return None
        self._number = record.number
        return Counters(*_STATE.unpack(record.state))

    def write(self, counters: Counters) -> None:
        """Keep the numbers of this start, if the disk takes them."""
        self._number += 1
        with suppress(OSError):
            self._files.write(KeptRecord(self._number, _STATE.pack(*counters)))
