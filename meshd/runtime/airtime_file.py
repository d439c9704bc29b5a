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


class AirtimeFile:
    """A ledger and its file. Raises: RequestError where the disk fails."""

    def __init__(self, path: str, law: Law) -> None:
        self._path = path
        boot = bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))
        self.ledger = Ledger(law, boot=boot, now=self.now(), state=self._read())

    @staticmethod
    def now() -> int:
        """Return microseconds since this boot, suspended time included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def save(self) -> None:
        """Put on the disk what the ledger wants there before it goes on."""
        wanted = self.ledger.poll_state(self.now())
        if wanted is not None:
            number, state = wanted
            self._write(state)
            self.ledger.stored(number)

    def close(self) -> None:
        """Give back what was claimed and not used."""
        self._write(self.ledger.final_state(self.now()))

    def _read(self) -> bytes | None:
        try:
            return Path(self._path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble(error) from error

    def _write(self, state: bytes) -> None:
        try:
            write_atomically(self._path, state, mode=0o600)
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> RequestError:
        return RequestError(
            f"{self._path}: {error.strerror}",
            remedy="without it nobody knows what was sent in this hour, and nothing may be sent",
        )
