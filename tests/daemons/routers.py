"""Routing daemons in nodes of the lab: meshd, and the ones it meets or is measured against."""

import json
import os
import signal
import subprocess
from pathlib import Path

from meshd.lab.daemons import MESHD, Daemon, wait_for
from meshd.lab.namespaces import Namespace, Usage, usage

PROBE_PORT = 9797
FOREIGN = "fd42:6d65:7368::"
"""Addresses of routers that do not choose their own."""


_BIRD = """
router id 10.0.0.{number};
protocol device {{ }}
protocol direct {{ ipv6; interface "lo"; }}
protocol kernel {{ ipv6 {{ import none; export where source = RTS_BABEL; }}; }}
protocol babel {{
  ipv6 {{ import all; export where source = RTS_DEVICE || source = RTS_BABEL; }};
  interface "w0" {{ type wireless; }};
}}
"""


class Router:
    """A routing daemon under measurement, in one node. `address` is known once it is ready."""

    name = ""

    def __init__(self, node: Namespace, number: int) -> None:
        self.node = node
        self.number = number
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon."""

    def ready(self) -> bool:
        """Tell whether it is up."""
        return True

    def usage(self) -> Usage:
        """Return what the daemon uses."""
        return usage(self.process.pid)


class Babeld(Router):
    """babeld on a wireless interface with its defaults: hello every 4 s, update every 16 s."""

    name = "babeld"
    options: tuple[str, ...] = ()

    def start(self) -> None:
        self.address = f"{FOREIGN}{self.number + 1:x}"
        self.node.forward()
        self.node.ip(f"addr add {self.address}/128 dev lo")
        folder = self.node.folder
        argv = ["babeld", "-I", f"{folder}/pid", "-S", f"{folder}/babel-state", *self.options]
        argv += ["-C", "default type wireless"]
        argv += ["-C", f"redistribute local ip {self.address}/128 allow"]
        argv += ["-C", "redistribute local deny", "w0"]
        self.process = self.node.spawn(argv)


class BabeldFast(Babeld):
    """babeld with a hello every second."""

    name = "babeld -h 1"
    options = ("-h", "1", "-H", "1")


class Bird(Router):
    """BIRD 2 with one Babel interface of type wireless, and its defaults."""

    name = "bird"

    def start(self) -> None:
        self.address = f"{FOREIGN}{self.number + 1:x}"
        self.node.forward()
        self.node.ip(f"addr add {self.address}/128 dev lo")
        folder = self.node.folder
        path = folder / "bird.conf"
        path.write_text(_BIRD.format(number=self.number + 1))
        argv = ["bird", "-f", "-c", str(path), "-s", f"{folder}/bird.ctl", "-P", f"{folder}/pid"]
        self.process = self.node.spawn(argv)


class Yggdrasil(Router):
    """yggdrasil with a generated configuration and multicast peering."""

    name = "yggdrasil"

    def start(self) -> None:
        made = subprocess.run(["yggdrasil", "-genconf", "-json"], capture_output=True, check=True)
        config = json.loads(made.stdout)
        config |= {"AdminListen": "none", "Listen": [], "Peers": [], "IfName": "ygg0"}
        interface = {"Regex": "^w0$", "Beacon": True, "Listen": True, "Port": 0, "Priority": 0}
        config["MulticastInterfaces"] = [interface]
        path = self.node.folder / "yggdrasil.json"
        path.write_text(json.dumps(config))
        argv = ["yggdrasil", "-useconffile", str(path)]
        told = subprocess.run([*argv, "-address"], capture_output=True, check=True, text=True)
        self.address = told.stdout.split()[-1]
        self.node.forward()
        self.process = self.node.spawn([*argv, "-logto", "stdout"])


class Meshd(Router):
    """meshd as a newcomer starts it, with the port of the probes open to the mesh."""

    name = "meshd"
    options: tuple[str, ...] = ()

    def start(self) -> None:
        options = ["--interface", "w0:mesh", "--admit", f"udp/{PROBE_PORT}", *self.options]
        self.daemon = Daemon(self.node, options=options)
        self.daemon.start()
        self.process = self.daemon.process

    def ready(self) -> bool:
        path = self.daemon.state / "address"
        if path.exists():
            self.address = path.read_text().strip()
        elif self.process and self.process.poll() is not None:
            raise RuntimeError(f"meshd ended: {self.daemon.log_end()}")
        return bool(self.address)


class MeshdRadio(Meshd):
    """The same with an emulated LoRa radio; all of one test run hear each other."""

    name = "meshd with LoRa"

    def start(self) -> None:
        self.plug()
        self.options = ("--radio", f"{self.port}:rnode", "--region", "EU868")
        super().start()

    @property
    def port(self) -> Path:
        """The serial port."""
        return self.node.folder / "radio"

    def plug(self) -> None:
        """Plug the radio in."""
        argv = [*MESHD, "emulate", "rnode", "--port", str(self.port)]
        air = f"field-{os.getpid()}"
        self.radio = self.node.spawn([*argv, "--air", air], log="radio.log")
        wait_for(self.port.exists, 20)

    def unplug(self) -> None:
        """Pull the radio out."""
        self.radio.send_signal(signal.SIGINT)
        self.radio.wait(20)
