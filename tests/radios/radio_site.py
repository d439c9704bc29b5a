"""A real daemon with an emulated radio on a pseudo-terminal; sites share one air."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from daemons.faulty import call

from meshd.lab.daemons import Daemon, wait_for
from meshd.lab.namespaces import Place, stop

SLACK_S = 60.0
"""For starting interpreters on a busy machine; what is promised is measured from the log."""
CONFIG = """
listen = "[::1]:{listen}"
leaf = true
[[radio]]
port = "{port}"
kind = "{kind}"
region = "EU868"
"""
SETTINGS = {
    "ebyte": "spreading_factor = 7\nfrequency_mhz = 868.125\nmodule_dbm = 22\npower_dbm = 10\n",
    "meshtastic": "spreading_factor = 7\nbandwidth_khz = 250\n",
}
USUAL = "spreading_factor = 7\n"


class Site(Place):
    """A daemon and its radio."""

    def __init__(self, folder, number):
        super().__init__(f"site{number}", folder / f"site{number}")
        self.port = self.folder / "radio"
        self.listen = free_port()
        self.emulator = None
        self.config = self.folder / "meshd.toml"
        self.configure("rnode")
        self.daemon = Daemon(self, options=["--config", str(self.config)])

    def configure(self, kind):
        text = CONFIG.format(listen=self.listen, port=self.port, kind=kind)
        text += SETTINGS.get(kind, USUAL)
        self.config.write_text(text)

    def plug(self, kind="rnode", *faults):
        argv = [sys.executable, "-m", "meshd", "emulate", kind, "--port", str(self.port)]
        ugly = [word for fault in faults for word in ("--fault", fault)]
        self.emulator = self.spawn([*argv, "--air", "roof", *ugly], log="radio.log")
        assert wait_for(self.port.exists, SLACK_S)

    def unplug(self):
        self.emulator.send_signal(signal.SIGINT)
        self.emulator.wait(SLACK_S)

    def radio(self):
        return call(self.daemon, "status")["radios"][0]

    def neighbours(self):
        return [row["node"] for row in call(self.daemon, "neighbours")["neighbours"]]


def two_sites(tmp_path, monkeypatch) -> Iterator[list[Site]]:
    """Yield two sites on an air of their own; end all that runs there."""
    found = [Site(tmp_path, number) for number in range(2)]
    with own_air(monkeypatch):
        yield found
        stop([process for site in found for process in site.processes])


@contextmanager
def own_air(monkeypatch) -> Iterator[None]:
    """Let nothing of an air, or of witnesses, be met by what else runs on this machine."""
    with TemporaryDirectory(prefix="air") as short:  # the path of a socket is bounded
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.setenv("RUNTIME_DIRECTORY", short)
        yield


def free_port():
    """Return a port that nobody listens on now."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]
