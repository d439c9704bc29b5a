"""An encrypted file over three kernel-forwarded hops, beside TCP through yggdrasil over them."""

import json
import os
import shutil
import time

from daemons.field import Field, line
from daemons.routers import Meshd, Yggdrasil
from report import Figure

from meshd.lab.daemons import wait_for

FILE_BYTES = 256 * 1024 * 1024
IPERF_S = 5
RUNS = 3


def meshd_mbps(field: Field) -> list[float]:
    """Return the rates of a few files, from `get` until its plaintext is fsynced, in Mbit/s."""
    first, last = field.routers[0].daemon, field.routers[3].daemon
    wait_for(lambda: _answers(first, last.node), 60)
    space = str(first.ask("space", "create", "bench")["space"])
    last.ask("join", str(first.ask("invite", space, "--role", "writer")["url"]))
    rates = []
    for run in range(RUNS):
        source, target = field.folder() / f"file-{run}", field.folder() / f"got-{run}"
        source.write_bytes(os.urandom(1024 * 1024) * (FILE_BYTES // 1024 // 1024))
        first.ask("put", space, str(source))
        wait_for(lambda name=source.name: _named(last, space, name), 60)
        begun = time.monotonic()
        last.ask("get", space, source.name, str(target), within_s=300)
        rates.append(FILE_BYTES * 8 / (time.monotonic() - begun) / 1e6)
        if target.stat().st_size != FILE_BYTES:
            raise RuntimeError("the file is not whole")
        source.unlink()
        target.unlink()
    return rates


def yggdrasil_mbps() -> float | None:
    """Return the TCP rate through yggdrasil in Mbit/s; None where it is not installed."""
    if not shutil.which("yggdrasil") or not shutil.which("iperf3"):
        return None
    with Field(Yggdrasil, line(4)) as field:
        field.start()
        server = field.nodes[3].spawn(["iperf3", "-s"])
        target = field.routers[3].address
        client = ["iperf3", "-6", "-J", "-c", target, "-t", str(IPERF_S)]

        def run() -> float | None:
            done = field.nodes[0].run(client, check=False, timeout_s=60)
            try:
                return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6
            except (KeyError, ValueError):
                return None

        first = wait_for(run, 60)
        rest = [run() for _ in range(RUNS - 1)]
        server.terminate()
        rates = [rate for rate in (first, *rest) if rate]
        return max(rates) if rates else None


def _answers(daemon, node: str) -> bool:
    try:
        daemon.ask("ping", node)
    except Exception:
        return False
    return True


def _named(daemon, space: str, name: str) -> bool:
    rows = daemon.ask("log", space)["entries"]
    return any(row.get("file") == name for row in rows)


def measure() -> list[Figure]:
    """Measure both over a line of four nodes; the best of a few runs of each."""
    with Field(Meshd, line(4)) as field:
        field.start()
        ours = meshd_mbps(field)
    rival = yggdrasil_mbps()
    shown = ", ".join(f"{rate:.0f}" for rate in ours)
    how = f"{FILE_BYTES >> 20} MiB, from get until fsynced, best of {RUNS} ({shown}); iperf3"
    target = None if rival is None else 1.5 * rival
    return [
        Figure(
            "encrypted file over 3 hops",
            max(ours),
            "Mbit/s",
            target,
            how,
            better="higher",
            rival=(Yggdrasil.name, rival),
        )
    ]
