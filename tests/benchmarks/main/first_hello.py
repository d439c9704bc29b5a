"""CPU that a node has used from the start of its process until its first Babel hello is out."""

import socket
import sys
from statistics import median

from report import Figure

from meshd.core.limits import BABEL_PORT
from meshd.lab.daemons import Daemon
from meshd.lab.namespaces import RADIO, Lab, usage

RUNS = 5
GROUP = "ff02::1:6"


def once() -> float:
    """Return the CPU seconds of one start with keys that are there already."""
    with Lab("bench") as lab:
        node, ear = lab.node("speaker"), lab.node("ear")
        lab.heal(node, ear)
        daemon = Daemon(node)
        daemon.init()
        with ear.inside():
            index = socket.if_nametoindex(RADIO)
        with ear.open_socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
            opened.bind(("::", BABEL_PORT))
            member = socket.inet_pton(socket.AF_INET6, GROUP) + index.to_bytes(4, sys.byteorder)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            opened.settimeout(20)
            daemon.start()
            opened.recv(2000)
            return usage(daemon.pid).cpu_s


def measure() -> list[Figure]:
    """Take the median of a few starts."""
    taken = [once() for _ in range(RUNS)]
    shown = ", ".join(f"{value:.3f}" for value in taken)
    how = f"schedstat of the process when a neighbour hears its first hello; {shown}"
    return [Figure("process start to first hello", median(taken), "s CPU", 0.35, how)]
