"""The airtime ledger of a node on disk: what was sent is known after a restart too.

Enters: the path of `STATE_DIR/airtime`, the node, the law. Leaves: a Ledger whose claims are on the
disk before they are used. One process holds the state directory, hence the files.

What fills a disk is seldom the radio's fault, so the files are rewritten in place (`twin_files`):
once they are there, a node on a full disk goes on sending.

A file that is removed, or an older one put back, would give the hour back. So there are two copies
with a number that only rises, and a witness of the last number outside of the state directory, in
memory that lives as long as this boot of the machine. Where they disagree, the later one counts;
where none is whole, all that the law allows counts as spent. All of them taken back together with a
reboot is what is left: nobody but the neighbours may know of it (`own-twin`).
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
from meshd.runtime.twin_files import TwinFiles
from meshd.wire.kept_record import KeptRecord

AIRTIME_FILE = "airtime"
FILE_BYTES = 32 * 1024
"""Room for thirteen sub-bands that each sent in every half minute of the hour."""

_DIGITS_MAX = 19
_PERSON = b"meshd-airtime"
SYSTEM_RUN_DIR = "/run/meshd"
_REMEDY = (
    "make room on that disk, or mend it, and it goes on by itself; without the file nobody knows "
    "what was sent in this hour, and nothing may be sent"
)
SPENT = b""
"""No state at all, which a ledger takes as a whole hour spent."""


class AirtimeDisk:
    """The files, and the clock and boot that their times belong to.

    `suspicion` says, once they were read, why the hour counts as spent; else it is empty.
    `unwitnessed` says, once they were written, where no witness could be left; else it is empty.
    """

    def __init__(self, path: str, node: bytes) -> None:
        self.boot = bytes.fromhex(Path(BOOT_ID).read_text().strip().replace("-", ""))
        self.suspicion = self.unwitnessed = ""
        self._files = TwinFiles(path, person=_PERSON, size_bytes=FILE_BYTES)
        self._witnesses = [Path(one) / f"airtime-{node_text(node)}" for one in _run_dirs()]
        self._number = 0

    @staticmethod
    def now() -> int:
        """Return microseconds since this boot, suspended time included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def read(self) -> bytes | None:
        """Return the state, None when there never was one. Raises: RequestError."""
        path = self._files.path
        try:
            latest = self._files.read()
        except OSError as error:
            raise self._trouble(error) from error
        except WireError:
            self._number = self._witnessed()
            return self._suspect(f"{path} and its copy are damaged")
        self._number = latest.number if latest else 0
        witnessed = self._witnessed()
        if witnessed > self._number:
            self._number = witnessed
            what = "is older than what this node wrote last" if latest else "was removed"
            return self._suspect(f"{path} {what}")
        return latest.state if latest else None

    def write(self, state: bytes) -> None:
        """Make a state durable. Raises: RequestError."""
        number = self._number + 1
        try:
            self._files.write(KeptRecord(number, state))
        except OSError as error:
            raise self._trouble(error) from error
        self._number = number
        self._witness_it()

    def _suspect(self, why: str) -> bytes:
        self.suspicion = why
        return SPENT

    def _witnessed(self) -> int:
        """Return the number that was written last in this boot, 0 when nobody knows."""
        return max(_number_in(witness) for witness in self._witnesses)

    def _witness_it(self) -> None:
        """Remember the number outside of the state directory, in the first place that takes it."""
        self.unwitnessed = ""
        for witness in self._witnesses:
            with suppress(OSError):
                witness.parent.mkdir(mode=0o755, exist_ok=True)
                if _leave(witness, self._number):
                    return
        self.unwitnessed = " or ".join(str(witness.parent) for witness in self._witnesses)

    def _trouble(self, error: OSError) -> RequestError:
        return RequestError(
            f"{error.filename or self._files.path}: {error.strerror}",
            remedy=_REMEDY,
        )


def _leave(witness: Path, number: int) -> bool:
    """Replace a witness; False in a folder of another user, who may take it away.

    Root writes where a service's user may have put a link: only what is made here is written to.
    """
    fresh = witness.with_name(f".{witness.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(fresh, flags, 0o644), "wb") as file:
        if os.fstat(file.fileno()).st_uid != witness.parent.stat().st_uid:
            fresh.unlink()
            return False
        file.write(str(number).encode())
    fresh.replace(witness)
    return True


def _number_in(witness: Path) -> int:
    """Return what a witness says, 0 for nothing; what is no plain file is not waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(witness, flags), "rb") as file:
            said = file.read(_DIGITS_MAX + 1) or b""
    except OSError:
        return 0
    return int(said) if said.isdigit() and len(said) <= _DIGITS_MAX else 0


def _run_dirs() -> list[str]:
    """Return folders whose files live until the machine's next boot, the best one first.

    That of a user's session goes when he logs out, so root takes the machine's.
    """
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return [given]
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    session = [os.path.join(own, "meshd")] if own else []
    return [SYSTEM_RUN_DIR, *session] if os.geteuid() == 0 else [*session, SYSTEM_RUN_DIR]


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
