"""Real network namespaces for the demo, the tests and the benchmarks.

Enters: names of nodes, who hears whom, programs to run. Leaves: processes, sockets and counters in
namespaces of their own. It knows nothing of meshd; any program can live in a node.

A namespace is held by an open file of this process, not by a name: when the process ends, however
it ends, the kernel takes the namespaces, their interfaces and routes away, and every program that
was started here is killed with it (PR_SET_PDEATHSIG). Nothing shows on the host. Root needs nothing
more; anybody else runs the program by `python -m meshd.lab.namespaces PROGRAM …`, which is the same
inside a user namespace where the kernel allows one.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

RADIO = "w0"
STOP_S = 5.0
RUN_S = 30.0
_NEWNET = 0x40000000
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MEDIUM = """
table bridge medium {
  set hears { type ifname . ifname; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname . oifname @hears accept
  }
}
"""
_NAT = """
table ip nat {{
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "{interface}" masquerade
  }}
}}
"""
_DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_NO_ROUTER = {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
_AT_ONCE = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/dad_transmits": 0}


class LabError(Exception):
    """This machine does not let us make namespaces, or a command in one of them failed."""


class Usage(NamedTuple):
    """What a process has used: CPU seconds since its start, and memory now, in KiB."""

    cpu_s: float
    rss_kib: int


class Counters(NamedTuple):
    """Bytes that an interface has carried, Ethernet headers included, and packets that it sent."""

    rx_bytes: int
    tx_bytes: int
    tx_packets: int


class Place:
    """Where programs run: this machine as it is. `folder` takes their logs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` here, to die with this process if it can be."""
        return [*_DIE_WITH_US, *argv] if shutil.which(_DIE_WITH_US[0]) else [*argv]

    def spawn(
        self, argv: Sequence[str], *, log: str = "log", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program; its output is appended to the file `log` in the place's folder."""
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                self.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**_environment(), **(env or {})},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def run(
        self,
        argv: Sequence[str],
        *,
        text: str | None = None,
        check: bool = True,
        timeout_s: float = RUN_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with `text` on its stdin.

        Raises: LabError when it fails and `check` is set; subprocess.TimeoutExpired.
        """
        done = subprocess.run(
            self.command(argv),
            input=text or "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=_environment(),
        )
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"{self.name}: {' '.join(argv)}: {said}")
        return done


class Namespace(Place):
    """One network namespace, and the processes in it."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self._fd = _new_namespace()
        with self.inside():
            _write_sysctls(_AT_ONCE)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """A path by which other programs can open this namespace while the lab lives."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put the calling thread into the namespace: for sockets and /proc/thread-self/net."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self._fd)
            yield
        finally:
            _enter(home)
            os.close(home)

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Return a new socket that lives in the namespace, whoever uses it."""
        with self.inside():
            return socket.socket(family, kind)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` in the namespace, to die with this process."""
        return super().command(["nsenter", f"--net={self.path}", "--", *argv])

    def ip(self, *lines: str) -> None:
        """Run lines of `ip`, as `ip -batch` takes them."""
        self.run(["ip", "-batch", "-"], text="\n".join(lines) + "\n")

    def nft(self, rules: str) -> None:
        """Load nftables rules."""
        self.run(["nft", "-f", "-"], text=rules)

    def forward(self) -> None:
        """Let the kernel forward IPv4 and IPv6, for programs that do not see to it themselves."""
        with self.inside():
            _write_sysctls({"ipv6/conf/all/forwarding": 1, "ipv4/ip_forward": 1})

    def masquerade(self, interface: str) -> None:
        """Hide IPv4 of the other interfaces behind the address of `interface`: a home's NAT."""
        self.forward()
        self.nft(_NAT.format(interface=interface))

    def settle(self, interface: str, within_s: float = 2.0) -> None:
        """Wait until the kernel has given an interface that is up its link-local address."""
        end = time.monotonic() + within_s
        with self.inside():
            while time.monotonic() < end:
                table = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
                if any(line.split()[5] == interface for line in table):
                    return
                time.sleep(0.001)

    def counters(self) -> Counters:
        """Return what `w0` has carried so far.

        Raises: LabError when the node has no such interface.
        """
        with self.inside():
            table = Path("/proc/thread-self/net/dev").read_text()
        for line in table.splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == RADIO:
                numbers = [int(number) for number in rest.split()]
                return Counters(numbers[0], numbers[8], numbers[9])
        raise LabError(f"{self.name} has no interface {RADIO}")

    def close(self) -> None:
        """Let go of the namespace; the kernel removes it when no process is left in it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Lab:
    """A set of nodes on one radio medium, and wires between them. A context manager.

    The medium is a bridge with one port a node and a set of who hears whom: hidden nodes, and a cut
    that no interface notices, which is how ad-hoc WiFi looks to a daemon. It has no rate, no loss
    and no delay of its own.
    """

    def __init__(self, tag: str, *, folder: Path | None = None) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"meshd-{tag}-"))
        self.nodes: list[Namespace] = []
        self._air: Namespace | None = None
        self._ports: dict[str, str] = {}

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop every process, then let go of every namespace; a folder of our own is removed."""
        stop([process for node in self.nodes for process in node.processes])
        for node in (*self.nodes, *([self._air] if self._air else [])):
            node.close()
        self.nodes.clear()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def node(self, name: str, *, radio: bool = True, up: bool = True) -> Namespace:
        """Make a node; with `radio`, it has the interface `w0` on the medium, and hears nobody.

        Raises: LabError.
        """
        made = Namespace(name, self.folder / name)
        self.nodes.append(made)
        if radio:
            port = f"p{len(self._ports)}"
            self._ports[name] = port
            peer = f"peer name {RADIO} netns {made.path}"
            self._medium().ip(f"link add {port} type veth {peer}", f"link set {port} master air up")
            if up:
                made.ip(f"link set {RADIO} up")
                made.settle(RADIO)
        return made

    def heal(self, one: Namespace, other: Namespace) -> None:
        """Let two nodes hear each other over the air."""
        self._medium().nft(f"add element bridge medium hears {{ {self._pair(one, other)} }}")

    def cut(self, one: Namespace, other: Namespace) -> None:
        """Let two nodes hear each other no more; no interface goes down."""
        self._medium().nft(f"delete element bridge medium hears {{ {self._pair(one, other)} }}")

    def line(self, nodes: Sequence[Namespace]) -> None:
        """Let each node hear the one before and the one after it."""
        for one, other in pairwise(nodes):
            self.heal(one, other)

    def wire(self, one: Namespace, other: Namespace) -> tuple[str, str]:
        """Join two nodes by a cable; return the names of the interfaces, `to-` and the far node."""
        near, far = f"to-{other.name}"[:15], f"to-{one.name}"[:15]
        one.ip(f"link add {near} type veth peer name {far} netns {other.path}")
        one.ip(f"link set {near} up")
        other.ip(f"link set {far} up")
        return near, far

    def raise_radios(self) -> None:
        """Bring `w0` up in all nodes as nearly at once as one machine can."""
        started = [
            subprocess.Popen(node.command(["ip", "link", "set", RADIO, "up"]))
            for node in self.nodes
            if node.name in self._ports
        ]
        for process in started:
            process.wait(RUN_S)

    def _medium(self) -> Namespace:
        if self._air is None:
            self._air = Namespace("air", self.folder / "air")
            with self._air.inside():
                _write_sysctls(_NO_ROUTER)
            self._air.ip("link add air type bridge mcast_snooping 0", "link set air up")
            self._air.nft(_MEDIUM)
        return self._air

    def _pair(self, one: Namespace, other: Namespace) -> str:
        here, there = self._ports[one.name], self._ports[other.name]
        return f'"{here}" . "{there}", "{there}" . "{here}"'


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask all processes to end, at once, and kill those that have not after `STOP_S`."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def usage(pid: int) -> Usage:
    """Return what a process uses.

    CPU comes from the scheduler in nanoseconds; where threads have ended, the coarser ticks of the
    whole process count more and are taken instead.

    Raises: LabError when the process is gone.
    """
    base = Path(f"/proc/{pid}")
    try:
        stat = (base / "stat").read_text().rsplit(")", 1)[1].split()
        tasks = [(task / "schedstat").read_text() for task in (base / "task").iterdir()]
        memory = (base / "smaps_rollup").read_text()
    except OSError as error:
        raise LabError(f"process {pid} has ended") from error
    ticks_s = (int(stat[11]) + int(stat[12])) / _TICKS_PER_S
    fine_s = sum(int(text.split()[0]) for text in tasks) / 1e9
    sizes = {line.split(":")[0]: line.split()[1] for line in memory.splitlines()[1:]}
    cpu_s = ticks_s if ticks_s > fine_s + 2 / _TICKS_PER_S else fine_s
    return Usage(cpu_s, int(sizes["Rss"]))


def find(program: str) -> str | None:
    """Return where a program is, looking also where root's programs are."""
    return shutil.which(program, path=_environment()["PATH"])


@cache
def obstacle() -> str | None:
    """Tell why namespaces cannot be used here, in words for people; None when they can."""
    missing = [tool for tool in ("ip", "nft", "nsenter", "setpriv") if not find(tool)]
    if missing:
        return f"not installed: {', '.join(missing)} (make setup)"
    try:
        with Lab("probe") as lab:
            lab.line([lab.node("one"), lab.node("two")])
    except (LabError, OSError) as error:
        return f"this machine does not allow network namespaces ({error})"
    return None


def enter_user_namespace(argv: Sequence[str]) -> None:
    """Unless root, run `argv` as root of a new user namespace, in place of this program.

    Returns when we are root already, or when the kernel refuses such namespaces.
    """
    if os.geteuid() == 0 or not shutil.which("unshare"):
        return
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    setup = ["sh", "-c", f'PATH="$PATH:{_SBIN}"; ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*unshare, *setup, "true"], capture_output=True).returncode == 0:
        os.execvp(unshare[0], [*unshare, *setup, *argv])


def main() -> None:
    """Run the command line where namespaces can be made, if that can be had."""
    argv = sys.argv[1:]
    if not argv:
        sys.exit("usage: python -m meshd.lab.namespaces PROGRAM [ARGUMENT …]")
    enter_user_namespace(argv)
    os.execvp(argv[0], argv)


def _environment() -> dict[str, str]:
    """Return our environment, with the folders that only root's PATH has on some systems."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"}


def _libc_call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise LabError(f"{name}: {os.strerror(number)}")


def _enter(fd: int) -> None:
    _libc_call("setns", fd, _NEWNET)


def _new_namespace() -> int:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _libc_call("unshare", _NEWNET)
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _enter(home)
    finally:
        os.close(home)
    return made


def _write_sysctls(values: Mapping[str, int]) -> None:
    for name, value in values.items():
        Path("/proc/sys/net", name).write_text(str(value))


if __name__ == "__main__":
    main()
