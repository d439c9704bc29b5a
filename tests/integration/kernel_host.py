"""A host of its own for a test: a network namespace, commands in it, and a `Kernel` to drive.

The namespaces belong to holder processes and go with them. Without root they are made inside one
user namespace. `Driven` runs `kernel_driver.py` there, so that it can be killed like a daemon.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("kernel_driver.py")
ENVIRONMENT = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
ENVIRONMENT["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])


def why_not() -> str:
    """Say why namespaces cannot be made here, "" when they can."""
    for program in ("ip", "nft", "unshare", "nsenter", "ping"):
        if shutil.which(program, path=ENVIRONMENT["PATH"]) is None:
            return f"the program {program} is not installed"
    probe = subprocess.run([*_unshare(), "true"], capture_output=True, env=ENVIRONMENT)
    return "" if probe.returncode == 0 else "neither root nor user namespaces"


def _unshare() -> list[str]:
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]


class Host:
    """A network namespace. `inside` is a host whose user namespace it shares."""

    def __init__(self, inside: "Host | None" = None) -> None:
        make = [*inside.enter, "unshare", "-n"] if inside else _unshare()
        # It waits for the end of its stdin, so it goes with us however we end.
        self.holder = subprocess.Popen(
            [*make, "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        assert self.holder.stdout is not None
        self.holder.stdout.readline()
        self.pid = self.holder.pid
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        self.enter = ["nsenter", "-t", str(self.pid), *user, "-n"]
        self.sh("ip link set lo up")

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run shell lines in the namespace and return what they print."""
        done = subprocess.run(
            [*self.enter, "sh", "-ec", script], capture_output=True, text=True, env=ENVIRONMENT
        )
        assert not check or done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def start(self, *command: str, stdin: int | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.enter, *command], stdin=stdin, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )

    def sysctl(self, path: str, value: str | None = None) -> str:
        if value is not None:
            self.sh(f"echo {value} > /proc/sys/net/{path}")
        return self.sh(f"cat /proc/sys/net/{path}").strip()

    def link_local(self, name: str) -> str:
        """Return an interface's link-local address, once it may be used."""
        for _ in range(300):
            shown = self.sh(f"ip -6 addr show dev {name} scope link")
            found = re.search(r"inet6 (fe80[^/]*)/64 scope link", shown)
            if found and "tentative" not in shown:
                return found[1]
            sleep(0.01)
        raise AssertionError(f"no usable address: {shown}")

    def reaches(self, address: str, source: str = "") -> bool:
        option = f"-I {source}" if source else ""
        done = self.sh(f"ping -c1 -W0.4 {option} {address} && echo yes || true")
        return done.endswith("yes\n")

    def hears(self, other: "Host", address: str) -> bool:
        """Tell whether an echo request of `other` to `address` arrives here, answered or not."""
        count = "awk '/Icmp6InEchos/ {print $2}' /proc/net/snmp6"
        before = self.sh(count)
        other.reaches(address)
        return self.sh(count) != before

    def connects(self, address: str, port: int, source: str = "") -> bool:
        """Tell whether a TCP connection is accepted within half a second."""
        script = (
            "import socket,sys\n"
            f"source = ({source!r}, 0) if {source!r} else None\n"
            f"socket.create_connection(({address!r}, {port}), 0.5, source)\n"
        )
        return (
            subprocess.run(
                [*self.enter, sys.executable, "-c", script], capture_output=True, env=ENVIRONMENT
            ).returncode
            == 0
        )

    def state(self) -> dict[str, str]:
        """Return all that meshd could change; what the clock changes is left out."""
        clock = re.compile(r" expires \d+sec| (valid|preferred)_lft \d+sec|hoplimit \d+ pref")
        return {
            command: clock.sub("", self.sh(command))
            for command in (
                "ip -6 rule",
                "ip rule",
                "ip -6 route show table all",
                "ip route show table all",
                "ip -6 addr",
                "ip -o link | sed 's/qlen.*//'",
                "nft list ruleset",
                "grep -r . /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/conf"
                " /proc/sys/net/ipv6/neigh 2>/dev/null | sort || true",
            )
        }


def join(left: Host, left_name: str, right: Host, right_name: str, *, dad: bool = False) -> None:
    """Join two hosts by a veth pair, both ends up and, unless `dad`, with usable addresses."""
    left.sh(f"ip link add {left_name} type veth peer name {right_name} netns {right.pid}")
    for host, name in ((left, left_name), (right, right_name)):
        if not dad:
            host.sysctl(f"ipv6/conf/{name}/accept_dad", "0")
        host.sh(f"ip link set {name} up")
    if not dad:
        left.link_local(left_name)
        right.link_local(right_name)


class Driven:
    """A `Kernel` in its own process inside a host; calls answer with its JSON or its error."""

    def __init__(self, host: Host, **options: object) -> None:
        self.process = host.start(sys.executable, str(DRIVER), stdin=subprocess.PIPE)
        self.call("make", **options)

    def call(self, verb: str, **arguments: object) -> object:
        answer = self.ask(verb, **arguments)
        assert "error" not in answer, answer
        return answer.get("value")

    def ask(self, verb: str, **arguments: object) -> dict[str, object]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([verb, arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the driver died in {verb}"
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


_OBSTACLE = why_not()
needs_namespaces = pytest.mark.skipif(bool(_OBSTACLE), reason=_OBSTACLE or "namespaces work here")
