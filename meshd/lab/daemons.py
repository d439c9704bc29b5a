"""Real daemons, started in a place and talked to by the public command line.

Enters: a place (a namespace or this machine), options of `meshd run`. Leaves: the JSON values that
the commands print. It knows the command line only: nothing of the daemon's inside.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from meshd.core.errors import Exit
from meshd.lab.namespaces import Place, stop

MESHD = (sys.executable, "-m", "meshd")
POLL_S = 0.05
READY_S = 60.0
ASK_S = 60.0

Found = TypeVar("Found")
Json = dict[str, object]


class CommandError(Exception):
    """A command of meshd failed. `code` is its exit code, the text what it said."""

    def __init__(self, words: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"meshd {' '.join(words)}: exit {code}: {said}")
        self.code = code
        self.said = said


class Daemon:
    """One `meshd run` and its state directory, `state` in the folder of its place."""

    def __init__(
        self,
        place: Place,
        *,
        options: Sequence[str] = ("--interface", "w0:mesh"),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.place = place
        self.options = list(options)
        self.env = dict(env or {})
        self.state = place.folder / "state"
        self.process: subprocess.Popen[bytes] | None = None
        self._id: Json = {}
        self._old_socket: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The name of the place."""
        return self.place.name

    @property
    def id(self) -> Json:
        """What `meshd id` says: at least `node` and `address`."""
        if not self._id:
            self._id = self.ask("id")
        return self._id

    @property
    def node(self) -> str:
        """The NodeId, 16 characters."""
        return str(self.id["node"])

    @property
    def address(self) -> str:
        """The IPv6 address in the mesh."""
        return str(self.id["address"])

    @property
    def pid(self) -> int:
        """The process id of the daemon, or of the last one."""
        return self.process.pid if self.process else 0

    def init(self) -> Json:
        """Make the keys without starting the daemon; return its id."""
        self.ask("init")
        return self.id

    def start(self) -> None:
        """Start the daemon and return at once."""
        self._old_socket = self._socket()
        argv = [*MESHD, "run", "--state-dir", str(self.state), *self.options]
        self.process = self.place.spawn(argv, log="meshd.log", env=self.env)

    def stop(self) -> None:
        """End the daemon as a service manager does, and wait for it."""
        if self.process:
            stop([self.process])

    def kill(self) -> None:
        """End the daemon as a power cut does."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def wait_ready(self, within_s: float = READY_S) -> None:
        """Wait until the daemon answers.

        Raises: CommandError with the end of its log when it ended or the time is over.
        """

        def answers() -> bool:
            if self.process and self.process.poll() is not None:
                raise CommandError(["run", *self.options], self.process.returncode, self.log_end())
            if self._socket() == self._old_socket:
                return False  # A command would find nobody, and takes the daemon's CPU.
            try:
                self.ask("status")
            except CommandError as error:
                if error.code in {Exit.NOT_RUNNING, Exit.TIMEOUT}:
                    return False
                raise
            return True

        if not wait_for(answers, within_s):
            raise CommandError(["run", *self.options], Exit.TIMEOUT, self.log_end())

    def _socket(self) -> tuple[int, int] | None:
        """Tell one control socket from the next; None when there is none, or none to be seen."""
        try:
            found = (self.state / "control.sock").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def argv(self, *words: str) -> list[str]:
        """Return the command line that asks this daemon."""
        return [*MESHD, *words, "--json", "--state-dir", str(self.state)]

    def ask(self, *words: str, within_s: float = ASK_S) -> Json:
        """Run a command with --json and return its value.

        Raises: CommandError when it fails or takes too long.
        """
        try:
            done = subprocess.run(
                self.argv(*words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=within_s,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(words, Exit.TIMEOUT, f"no answer in {within_s:g} s") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-800:]
            raise CommandError(words, done.returncode, said)
        value = json.loads(done.stdout)
        return value if isinstance(value, dict) else {"items": value}

    def follow(self, space: str) -> "Follower":
        """Start `meshd log --follow` of a space; it takes a moment to begin."""
        return Follower(self.argv("log", space, "--follow"))

    def command(self, *words: str) -> str:
        """Return a command line that a person can type to ask this daemon."""
        script = Path(sys.executable).with_name("meshd")
        program = _short(script) if script.exists() else f"{_short(Path(sys.executable))} -m meshd"
        return f"{program} {' '.join(words)} --state-dir {_short(self.state)}"

    def log_end(self) -> str:
        """Return the last lines that the daemon wrote."""
        path = self.place.folder / "meshd.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-8:])


class Follower(threading.Thread):
    """Reads `meshd log --follow`: `seen` holds when each text was first there."""

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        self.seen: dict[str, float] = {}
        self.start()

    def run(self) -> None:
        """Read until the command ends."""
        for line in self._process.stdout or ():
            self.seen.setdefault(str(json.loads(line).get("text")), time.monotonic())

    def close(self) -> None:
        """End the command."""
        stop([self._process])
        self.join()


def wait_for(condition: Callable[[], Found], within_s: float) -> Found | None:
    """Ask `condition` again and again until it is true; None when the time is over.

    What takes long to ask is asked more rarely: who waits takes a third of a core at most.
    """
    end = time.monotonic() + within_s
    while True:
        asked = time.monotonic()
        found = condition()
        now = time.monotonic()
        if found:
            return found
        if now >= end:
            return None
        time.sleep(max(POLL_S, 2 * (now - asked)))


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
