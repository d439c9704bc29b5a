"""The airtime ledger of a node on disk: what was sent is known after a restart too.

Enters: the path of `STATE_DIR/airtime`, the node, the law. Leaves: a Ledger whose claims are on the
disk before they are used. One process holds the state directory, hence the files.

A file that is removed, or an older one put back, would give the hour back. So there are two copies
with a number that only rises, and a witness of the last number outside of the state directory, in
memory that lives as long as this boot of the machine. Where they disagree, the later one counts, or
all that the law allows counts as spent. All of them taken back together with a reboot is what is
left: nobody but the neighbours may know of it (`own-twin`).
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from meshd.config.paths import BOOT_ID
from meshd.core.errors import RequestError, WireError
from meshd.core.ids import node_text
from meshd.core.law import Law
from meshd.link.ledger import Ledger
from meshd.runtime.disk import write_atomically
from meshd.wire.ledger_state import LedgerCopy

AIRTIME_FILE = "airtime"
COPY = ".copy"
SYSTEM_RUN_DIR = "/run/meshd"
SPENT = b""
"""No state at all, which a ledger takes as a whole hour spent."""


class AirtimeDisk:
    """The files, and the clock and boot that their times belong to.

    `suspicion` says, once they were read, why the hour counts as spent; else it is empty.
    """

    def __init__(self, path: str, node: bytes) -> None:
        self.boot = bytes.fromhex(Path(BOOT_ID).read_text().strip().replace("-", ""))
        self.suspicion = ""
        self._path = path
        self._witness = Path(_run_dir()) / f"airtime-{node_text(node)}"
        self._number = 0

    @staticmethod
    def now() -> int:
        """Return microseconds since this boot, suspended time included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def read(self) -> bytes | None:
        """Return the state, None when there never was one. Raises: RequestError."""
        copies: list[LedgerCopy] = []
        for path in (self._path, self._path + COPY):
            try:
                copies.append(LedgerCopy.decode(Path(path).read_bytes()))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._trouble(error) from error
            except WireError:
                return self._suspect(f"{path} is damaged")
        latest = max(copies, default=LedgerCopy(0, SPENT))
        self._number = latest.number
        witnessed = self._witnessed()
        if witnessed > latest.number:
            self._number = witnessed
            what = "was removed" if not copies else "is older than what this node wrote last"
            return self._suspect(f"{self._path} {what}")
        return latest.state if copies else None

    def write(self, state: bytes) -> None:
        """Make a state durable. Raises: RequestError."""
        number = self._number + 1
        data = LedgerCopy(number, state).encode()
        try:
            for path in (self._path, self._path + COPY):
                write_atomically(path, data, mode=0o600)
        except OSError as error:
            raise self._trouble(error) from error
        self._number = number
        self._witness_it()

    def _suspect(self, why: str) -> bytes:
        self.suspicion = why
        return SPENT

    def _witnessed(self) -> int:
        """Return the number that was written last in this boot, 0 when nobody knows."""
        try:
            said = self._witness.read_text()
        except (OSError, UnicodeDecodeError):
            return 0
        return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0

    def _witness_it(self) -> None:
        """Remember the number outside of the state directory, where there is a place for it."""
        fresh = self._witness.with_name(f".{self._witness.name}.new")
        with suppress(OSError):
            self._witness.parent.mkdir(mode=0o755, exist_ok=True)
            fresh.write_text(str(self._number))
            fresh.replace(self._witness)

    def _trouble(self, error: OSError) -> RequestError:
        return RequestError(
            f"{error.filename or self._path}: {error.strerror}",
            remedy="without it nobody knows what was sent in this hour, and nothing may be sent",
        )


def _run_dir() -> str:
    """Return a folder whose files live until the machine's next boot, of this user alone."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return given or (os.path.join(own, "meshd") if own else SYSTEM_RUN_DIR)


class AirtimeFile:
    """A ledger and its files. Raises: RequestError where the disk fails."""

    def __init__(self, path: str, law: Law, node: bytes) -> None:
        self._disk = AirtimeDisk(path, node)
        self.now = self._disk.now
        self.ledger = Ledger(law, boot=self._disk.boot, now=self.now(), state=self._disk.read())

    @property
    def suspicion(self) -> str:
        """Return why the hour counts as spent, if it does for want of a ledger to believe."""
        return self._disk.suspicion

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
