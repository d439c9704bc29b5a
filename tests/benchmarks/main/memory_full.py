"""Resident memory with MQTT connected and the serial library loaded, among 25 idle nodes."""

import os
import sys
import time

from daemons.field import Field, grid
from daemons.routers import PROBE_PORT, Meshd
from report import Figure

from meshd.lab.daemons import Daemon
from meshd.lab.namespaces import usage
from meshd.lab.stage import mosquitto

SETTLE_S = 60.0
KIB_PER_MIB = 1024
BROKER = "mqtt://127.0.0.1:1883"
WITH_SERIAL = "import serial, sys; from meshd.__main__ import main; sys.exit(main())"


class Full(Meshd):
    """meshd that publishes to a broker beside it; pyserial is imported as for a LoRa modem."""

    def start(self) -> None:
        config = self.node.folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(f"listener 1883 127.0.0.1\nallow_anonymous true\n{user}")
        self.node.spawn([mosquitto() or "mosquitto", "-c", str(config)], log="mosquitto.log")
        options = ["--interface", "w0:mesh", "--admit", f"udp/{PROBE_PORT}", "--mqtt", BROKER]
        self.daemon = Daemon(self.node, options=options)
        run = ["run", "--state-dir", str(self.daemon.state), *options]
        self.process = self.node.spawn([sys.executable, "-c", WITH_SERIAL, *run], log="meshd.log")
        self.daemon.process = self.process


def measure() -> list[Figure]:
    """Give three of the 25 nodes a broker."""
    with Field(Meshd, grid(5, 5)) as field:
        for place in (0, 12, 24):
            field.routers[place] = Full(field.nodes[place], place)
        field.start()
        time.sleep(SETTLE_S)
        sizes = [usage(field.routers[place].process.pid).rss_kib for place in (0, 12, 24)]
    return [
        Figure(
            "resident memory with MQTT and serial",
            max(sizes) / KIB_PER_MIB,
            "MiB",
            46,
            "largest VmRSS of three of 25 nodes, mosquitto beside each, pyserial imported",
        )
    ]
