"""25 idle nodes: control bytes, memory, CPU, and what `meshd status --json` costs there."""

import os
import subprocess
import time
from statistics import mean, median

from daemons.field import Field, grid
from daemons.routers import Babeld, Meshd
from report import Figure

SETTLE_S = 60.0
WINDOW_S = 32.0
STATUS_RUNS = 5
KIB_PER_MIB = 1024


class Idle:
    """What one run showed, each a mean over the nodes."""

    def __init__(self, field: Field) -> None:
        time.sleep(SETTLE_S)
        sent, used, begun = field.tx_bytes(), field.usages(), time.monotonic()
        time.sleep(WINDOW_S)
        seconds = time.monotonic() - begun
        after = field.usages()
        rates = [(now - then) / seconds for now, then in zip(field.tx_bytes(), sent, strict=True)]
        self.bytes_per_s = mean(rates)
        self.bytes_max = max(rates)
        cpu = [now.cpu_s - then.cpu_s for now, then in zip(after, used, strict=True)]
        self.cpu_percent = 100 * mean(cpu) / seconds
        self.rss_mib = mean(item.rss_kib for item in after) / KIB_PER_MIB
        self.rss_max_mib = max(item.rss_kib for item in after) / KIB_PER_MIB


def status_cpu_ms(daemon) -> float:
    """Return the CPU milliseconds of `meshd status --json`, the median of a few."""
    taken = []
    for _ in range(STATUS_RUNS):
        argv = daemon.argv("status")
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        if process.returncode:
            raise RuntimeError(f"status: exit {process.returncode}")
        taken.append(1000 * (used.ru_utime + used.ru_stime))
    return median(taken)


def measure() -> list[Figure]:
    """Run meshd, then babeld, each for a settled window."""
    with Field(Meshd, grid(5, 5)) as field:
        field.start()
        ours = Idle(field)
        status_ms = status_cpu_ms(field.routers[12].daemon)
    with Field(Babeld, grid(5, 5)) as field:
        field.start()
        theirs = Idle(field)
    window = f"5x5 grid, {WINDOW_S:.0f} s window after {SETTLE_S:.0f} s, tx counters of w0"
    rival = (Babeld.name, theirs.bytes_per_s)
    return [
        Figure(
            "control bytes a node, 25 nodes",
            ours.bytes_per_s,
            "B/s",
            62,
            f"{window}; busiest node {ours.bytes_max:.0f}",
            rival=rival,
        ),
        Figure(
            "resident memory, 25 nodes idle",
            ours.rss_mib,
            "MiB",
            42,
            f"mean of VmRSS; largest {ours.rss_max_mib:.1f}",
            rival=(Babeld.name, theirs.rss_mib),
        ),
        Figure(
            "CPU, 25 nodes idle",
            ours.cpu_percent,
            "% of a core",
            0.5,
            "schedstat over the same window",
            rival=(Babeld.name, theirs.cpu_percent),
        ),
        Figure(
            "meshd status --json",
            status_ms,
            "ms CPU",
            100,
            f"rusage of the command, median of {STATUS_RUNS}, node in the middle of 25",
        ),
    ]
