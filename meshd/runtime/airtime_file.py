"""The airtime ledger of a node on disk: what was sent is known after a restart too.

Enters: the path of `STATE_DIR/airtime`, the law. Leaves: a Ledger whose claims are on the disk
before they are used. One process holds the state directory, hence the file.
"""

import time
from pathlib import Path

from meshd.core.errors import RequestError
from meshd.core.law import Law
from meshd.link.ledger import Ledger
from meshd.runtime.disk import write_atomically

AIRTIME_FILE = "airtime"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class AirtimeDisk:
    """The file, and the clock and boot that its times belong to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.boot = bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))

    @staticmethod
    def now() -> int:
        """Return microseconds since this boot, suspended time included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def read(self) -> bytes | None:
        """Return the state, None when there never was one. Raises: RequestError."""
        try:
            return Path(self._path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble(error) from error

    def write(self, state: bytes) -> None:
        """Make a state durable. Raises: RequestError."""
        try:
            write_atomically(self._path, state, mode=0o600)
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> RequestError:
        return RequestError(
            f"{self._path}: {error.strerror}",
            remedy="without it nobody knows what was sent in this hour, and nothing may be sent",
        )


class AirtimeFile:
    """A ledger and its file. Raises: RequestError where the disk fails."""

    def __init__(self, path: str, law: Law) -> None:
        self._disk = AirtimeDisk(path)
        self.now = self._disk.now
        self.ledger = Ledger(law, boot=self._disk.boot, now=self.now(), state=self._disk.read())

    def save(self) -> None:
        """Put on the disk what the ledger wants there before it goes on."""
        wanted = self.ledger.poll_state(self.now())
        if wanted is not None:
            number, state = wanted
            self._disk.write(state)
            self.ledger.stored(number)

    def close(self) -> None:
        """Give back what was claimed and not used."""
        self._disk.write(self.ledger.final_state(self.now()))
