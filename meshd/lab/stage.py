"""Where the demo plays: five real daemons in a row, each hearing only those beside it.

In namespaces the row is a radio medium and the daemons route; the two beside the cut may get LoRa
radios, emulated behind real serial ports. Where this machine allows no
namespaces, the row is TCP on the loopback: each daemon is a leaf with its own port and the one
before it as a peer, and the middle of the row runs through a cable that can be pulled.
"""

import os
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from meshd.lab.causes import causes
from meshd.lab.daemons import MESHD, Daemon
from meshd.lab.namespaces import Lab, Namespace, Place, find, stop

NAMES = ("one", "two", "three", "four", "five")
MIDDLE = 2
"""The row is cut after this place: between "three" and "four"."""
BROKER_PORT = 1883
REGION = "EU868"
LOOPBACK = "127.0.0.1"


class Stage(ABC):
    """Five daemons. `routed` tells whether they are in namespaces of their own."""

    routed = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[Daemon] = []

    def raise_curtain(self) -> None:
        """Start all daemons and wait until each answers."""
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons:
            daemon.wait_ready()

    def ended(self) -> str:
        """Name a daemon that ended by itself, with its last words; "" while all run."""
        for daemon in self.daemons:
            if daemon.process and daemon.process.poll() is not None:
                return f"the daemon of {daemon.name} ended: {daemon.log_end()}"
        return ""

    def causes(self) -> list[str]:
        """Return what the logs say that may be why something did not come."""
        return [
            f"{daemon.name}: {cause}"
            for daemon in self.daemons
            for cause in causes(daemon.place.folder)
        ]

    @abstractmethod
    def cut(self) -> None:
        """Part the row in its middle; no daemon is told."""

    @abstractmethod
    def heal(self) -> None:
        """Join the row again."""

    @contextmanager
    def beside_first(self, daemon: Daemon) -> Iterator[None]:
        """Let a daemon reach the first one, which admits it to a space; routes do so anyway."""
        yield

    @abstractmethod
    def broker(self) -> tuple[str, int]:
        """Where a mosquitto beside the first node listens, once `open_broker` was called."""

    def open_broker(self) -> None:
        """Start mosquitto beside the first node; the last node publishes to it."""
        host, port = self.broker()
        path = self.folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        path.write_text(f"listener {port} {host}\nallow_anonymous true\n{user}")
        self.daemons[0].place.spawn([mosquitto() or "", "-c", str(path)], log="mosquitto.log")

    def subscribe(self, topic: str, *, count: int, wait_s: int) -> list[tuple[str, str]]:
        """Read `count` retained messages from the broker: (topic, payload) each."""
        host, port = self.broker()
        argv = ["mosquitto_sub", "-h", host, "-p", str(port), "-t", topic, "-v"]
        argv += ["-C", str(count), "-W", str(wait_s)]
        try:
            done = self.daemons[0].place.run(argv, check=False, timeout_s=wait_s + 5)
        except subprocess.TimeoutExpired:
            return []
        pairs = (line.partition(" ") for line in done.stdout.splitlines())
        return [(name, payload) for name, _, payload in pairs]

    def close(self) -> None:
        """End everything."""
        stop([process for daemon in self.daemons for process in daemon.place.processes])


class RadioStage(Stage):
    """Five namespaces on one radio medium."""

    routed = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._lab = Lab("demo", folder=folder)
        self.places: list[Namespace] = [self._lab.node(name) for name in NAMES]
        self._emulators: dict[str, subprocess.Popen[bytes]] = {}
        self.daemons = [Daemon(place) for place in self.places]
        for place in (MIDDLE, MIDDLE + 1):
            port = self._port(self.places[place])
            self.daemons[place].options += ["--radio", f"{port}:rnode", "--region", REGION]
        first, last = self.daemons[0], self.daemons[-1]
        first.init()
        if mosquitto():
            first.options += ["--admit", f"tcp/{BROKER_PORT}"]
            last.options += ["--mqtt", f"mqtt://[{first.address}]:{BROKER_PORT}"]

    def raise_curtain(self) -> None:
        """Start the daemons, then let neighbours hear each other."""
        super().raise_curtain()
        self._lab.line(self.places)

    def cut(self) -> None:
        """Take the middle pair out of who hears whom."""
        self._lab.cut(self.places[MIDDLE], self.places[MIDDLE + 1])

    def heal(self) -> None:
        """Put the middle pair back."""
        self._lab.heal(self.places[MIDDLE], self.places[MIDDLE + 1])

    def plug_radios(self) -> None:
        """Plug a LoRa radio into each of the two beside the cut: they hear each other."""
        for place in self.places[MIDDLE : MIDDLE + 2]:
            argv = [*MESHD, "emulate", "rnode", "--port", str(self._port(place))]
            own = {"XDG_RUNTIME_DIR": str(self._lab.folder)}
            argv += ["--air", f"demo-{os.getpid()}"]
            self._emulators[place.name] = place.spawn(argv, log="radio.log", env=own)

    def ended(self) -> str:
        """Name a daemon or an emulated radio that ended by itself."""
        for name, process in self._emulators.items():
            if process.poll() is not None:
                return f"the emulated radio of {name} ended with {process.returncode}"
        return super().ended()

    @staticmethod
    def _port(place: Place) -> Path:
        return place.folder / "radio"

    def broker(self) -> tuple[str, int]:
        """Return the mesh address of the first node: the last one reaches it over the mesh."""
        return self.daemons[0].address, BROKER_PORT

    def kernel_route(self, source: int, target: int) -> str:
        """Return the route that the kernel of one node would take to another, or nothing."""
        argv = ["ip", "-6", "route", "get", self.daemons[target].address]
        done = self.places[source].run(argv, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def close(self) -> None:
        """End everything, and the namespaces with it."""
        self._lab.close()


class LoopbackStage(Stage):
    """Five leaves on the loopback, each with the one before it as its peer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ports = [_free_port() for _ in NAMES]
        self._first_port = ports[0]
        self._cable = Cable(ports[MIDDLE])
        self._broker_port = _free_port()
        for place, name in enumerate(NAMES):
            options = ["--leaf", "--listen", f"{LOOPBACK}:{ports[place]}"]
            if place:
                before = self._cable.port if place == MIDDLE + 1 else ports[place - 1]
                options += ["--peer", f"tcp://{LOOPBACK}:{before}"]
            self.daemons.append(Daemon(Place(name, folder / name), options=options))
        if mosquitto():
            self.daemons[-1].options += ["--mqtt", f"mqtt://{LOOPBACK}:{self._broker_port}"]

    def cut(self) -> None:
        """Pull the cable."""
        self._cable.pull()

    def heal(self) -> None:
        """Plug the cable in."""
        self._cable.plug()

    @contextmanager
    def beside_first(self, daemon: Daemon) -> Iterator[None]:
        """Restart a daemon with the first one as a peer, as if it was carried there and back."""
        row, first = daemon.options, f"tcp://{LOOPBACK}:{self._first_port}"
        if first in row:
            yield
            return
        daemon.options = [*row, "--peer", first]
        self._restart(daemon)
        try:
            yield
        finally:
            daemon.options = row
            self._restart(daemon)

    def _restart(self, daemon: Daemon) -> None:
        daemon.stop()
        daemon.start()
        daemon.wait_ready()

    def broker(self) -> tuple[str, int]:
        """Return a port of our own on the loopback."""
        return LOOPBACK, self._broker_port

    def close(self) -> None:
        """End everything."""
        super().close()
        self._cable.pull()


class Cable:
    """A TCP port that leads to another one, until it is pulled."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = _free_port()
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self.plug()

    def plug(self) -> None:
        """Take connections."""
        listening = socket.create_server((LOOPBACK, self.port))
        with self._lock:
            self._ends = [listening]
        threading.Thread(target=self._serve, args=(listening,), daemon=True).start()

    def pull(self) -> None:
        """Break all connections and take no more."""
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((LOOPBACK, self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def mosquitto() -> str | None:
    """Return the path of mosquitto when it and its client are installed."""
    return find("mosquitto") if find("mosquitto_sub") else None


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])
