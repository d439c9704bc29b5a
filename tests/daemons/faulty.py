"""What tests of faults ask of a whole daemon, and the odd places they put it in."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshd.cli.client import Client
from meshd.lab.daemons import MESHD, Daemon, wait_for
from meshd.lab.namespaces import Namespace, Place

LOOKED_AT = (
    "ip -6 rule",
    "ip -6 route show table all",
    "ip -6 addr",
    "ip -o link | sed 's/qlen.*//'",
    "nft list ruleset",
    "grep -r . /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/conf 2>/dev/null | sort || true",
)
_CLOCK = re.compile(r" expires \d+sec| (valid|preferred)_lft \d+sec|hoplimit \d+ pref")


class Boxed(Daemon):
    """A daemon in a mount namespace of its own, which lines of shell prepare for it.

    Its state directory is `real`; `state` leads to the same from outside.
    """

    def __init__(
        self, place: Place, prepare: str, *, options: Sequence[str], env: Mapping[str, str] = {}
    ) -> None:
        super().__init__(place, options=options, env=env)
        self.real = place.folder / "state"
        self.real.mkdir(exist_ok=True)
        self.state = place.folder / "view"
        self._prepare = prepare

    def start(self) -> None:
        """Start the daemon and return at once."""
        shell = f'cd "{self.real.parent}"\n{self._prepare}\ncd "{os.getcwd()}"\nexec "$@"'
        run = [*MESHD, "run", "--state-dir", str(self.real), *self.options]
        box = ["unshare", "--mount", "sh", "-ec", shell, "sh", *run]
        self.process = self.place.spawn(box, log="meshd.log", env=self.env)
        self.state.unlink(missing_ok=True)
        self.state.symlink_to(f"/proc/{self.pid}/root{self.real}")


def call(daemon: Daemon, verb: str, **args: object) -> dict[str, object]:
    """Ask the daemon over its control socket."""
    with Client(str(daemon.state), timeout_s=60) as client:
        return client.call(verb, args)


def problems(daemon: Daemon) -> dict[str, dict[str, str]]:
    """Return the problems that `status` shows, by code."""
    return {item["code"]: item for item in call(daemon, "status")["problems"]}


def drops(daemon: Daemon) -> dict[str, int]:
    """Return how often each reason was counted, on all links together."""
    table = call(daemon, "status")["drops"]
    return {reason: sum(links.values()) for reason, links in table.items()}


def ready(*daemons: Daemon) -> None:
    """Start daemons at once, and wait for all of them."""
    for daemon in daemons:
        (daemon.state / "address").unlink(missing_ok=True)
        daemon.start()
    for daemon in daemons:
        path = daemon.state / "address"
        if not wait_for(path.exists, 60):
            raise AssertionError(f"not up: {daemon.log_end()}")


def kernel_routes(node: Namespace) -> dict[str, str]:
    """Return the routes that meshd has put into the kernel: prefix to interface."""
    lines = node.run(["ip", "-6", "route", "show", "table", "all", "proto", "143"]).stdout
    found = (line.split() for line in lines.splitlines() if line.startswith("fd"))
    return {words[0]: words[words.index("dev") + 1] for words in found}


def host_state(node: Namespace) -> dict[str, str]:
    """Return all that meshd could change on a host; what the clock changes is left out."""
    return {line: _CLOCK.sub("", node.run(["sh", "-c", line]).stdout) for line in LOOKED_AT}


def refused_run(node: Namespace, *options: str, state: Path | None = None) -> tuple[int, str]:
    """Run a daemon that must not come up; return its exit code and what it said."""
    folder = str(state or node.folder / "state")
    done = node.run([*MESHD, "run", "--state-dir", folder, *options], check=False, timeout_s=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def busy(node: Namespace, kind: int, port: int) -> socket.socket:
    """Hold a port of a node, as another program would."""
    held = node.open_socket(socket.AF_INET6, kind)
    held.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        held.listen()
    return held
