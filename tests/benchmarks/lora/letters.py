"""Direct messages: bytes on the air, and how long the first one takes.

Bytes are of frames as a radio gets them. Times are twice: of modelled radios in virtual time, SF7,
and of two real daemons with emulated RNodes behind serial ports, where interpreters start and
serial lines are as slow as theirs are.
"""

import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from radios.mesh import Mesh
from radios.radio_site import Site
from report import Figure

from meshd.cli.client import Client
from meshd.core import crypto
from meshd.core.ids import OPEN_MESH_ID, node_text
from meshd.forwarding.pairwise import Pairwise, Prekey, seal
from meshd.lab.daemons import CommandError, wait_for
from meshd.lab.namespaces import stop
from meshd.simulation.world import SECOND
from meshd.wire.letters import Text
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_routes import Answer, Direct

SEEDS = range(1, 11)
RUNS = 5
MESHTASTIC = ("Meshtastic: 36 beside the text", 86.0)
RETICULUM = ("Reticulum: a link alone", 0.65)


def measure() -> list[Figure]:
    """Return bytes, then times."""
    return [*sizes(), *modelled(), *emulated()]


def sizes() -> list[Figure]:
    """Return what 50 bytes of text and their answer take, sealed with prekeys of both."""
    secret = b"\2" * crypto.KEY_LEN
    own = Prekey(1, secret, crypto.exchange_public(secret), 0)
    theirs = crypto.exchange_public(b"\3" * crypto.KEY_LEN)
    other = crypto.sign_public(b"\1" * 32)
    pair = Pairwise(bytes(32), OPEN_MESH_ID).with_prekeys(other, own, theirs)
    assert pair is not None
    body = seal(pair.there, Text(1, "x" * 50).encode())
    routed = overhead(FrameKind.ROUTED)
    size = routed + len(Direct(b"aa", 1, 0, 3, body).encode())
    gate = routed + len(Direct(b"aa", 1, 0, 3, b"aa" + body).encode())
    answer = routed + len(Answer(1, 3, bytes(8)).encode())
    how = "one frame, sealed for the hop and for the receiver"
    return [
        Figure("letter, 50 bytes of text", size, "B", 90, how, rival=MESHTASTIC),
        Figure("letter, the same from a gateway", gate, "B", 90, "IP before, LoRa after"),
        Figure("letter, its acknowledgement", answer, "B", 30, "made by the receiver alone"),
    ]


def modelled() -> list[Figure]:
    """Return the median over the seeds of the first text between two who know each other."""
    shown, delivered = [], []
    for seed in SEEDS:
        mesh = Mesh(2, seed=seed)
        mesh.until_complete()
        mesh.run(30)
        one, two = mesh.hosts
        begun = mesh.world.now
        one.request("message", node=node_text(two.node.id), text="x" * 50)
        shown.append(_until(mesh, begun, two, "message"))
        delivered.append(_until(mesh, begun, one, "message-state", state="delivered"))
    return [
        Figure("first letter, modelled radios, SF7, shown", median(shown), "s", 1, _spread(shown)),
        Figure("… acknowledged", median(delivered), "s", None, _spread(delivered)),
    ]


def emulated() -> list[Figure]:
    """Return the same for two daemons with emulated RNodes, and how soon they found each other."""
    found, shown, acknowledged = [], [], []
    for _ in range(RUNS):
        for values, value in zip((found, shown, acknowledged), _pair_of_daemons(), strict=True):
            values.append(value)
    busy = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors"
    how = f"{_spread(shown)}, on the receiver's disk; the RNodes wait for free slots; {busy}"
    return [
        Figure("two RNodes, SF7, discovery", median(found), "s", 5, f"{_spread(found)}; {busy}"),
        Figure("two RNodes, SF7, first letter", median(shown), "s", 1, how, rival=RETICULUM),
        Figure("… acknowledged", median(acknowledged), "s", None, _spread(acknowledged)),
    ]


def _pair_of_daemons() -> tuple[float, float, float]:
    with TemporaryDirectory() as folder, TemporaryDirectory(prefix="air") as short:
        os.environ["XDG_RUNTIME_DIR"] = short
        sites = [Site(Path(folder), number) for number in range(2)]
        one, two = sites
        try:
            for site in sites:
                site.plug()
            for site in sites:
                site.daemon.start()
            for site in sites:
                site.daemon.wait_ready()
            begun = time.monotonic()
            wait_for(lambda: two.daemon.node in one.neighbours(), 30.0)
            wait_for(lambda: one.daemon.node in two.neighbours(), 30.0)
            found = time.monotonic() - begun
            wait_for(lambda: _ways(one, two), 60.0)
            return found, *_say(one, two)
        finally:
            stop([process for site in sites for process in site.processes])


def _ways(one: Site, two: Site) -> bool:
    """Tell whether an echo finds the way: then both ends have what they need."""
    try:
        one.daemon.ask("ping", two.daemon.node, "-c", "1", within_s=90)
    except CommandError:
        return False
    return True


def _say(one: Site, two: Site) -> tuple[float, float]:
    """Return when a first text was shown, and when its sender knew; commands ask without delay."""
    with (
        Client(str(one.daemon.state), timeout_s=90) as here,
        Client(str(two.daemon.state), timeout_s=90) as there,
    ):
        begun = time.monotonic()
        sent = here.call("message", {"node": two.daemon.node, "text": "x" * 50})
        wait_for(lambda: there.call("messages", {"peek": True})["messages"], 60.0)
        shown = time.monotonic() - begun
        here.call("message.wait", {"number": sent["number"], "timeout_s": 60})
        return shown, time.monotonic() - begun


def _until(mesh: Mesh, begun: int, host: object, kind: str, **fields: object) -> float:
    def told() -> bool:
        return any(
            notice.kind == kind and fields.items() <= notice.fields.items()
            for notice in host.notices
        )

    mesh.world.run_until(told, 60 * SECOND)
    return (mesh.world.now - begun) / SECOND


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g} over {len(values)} runs"
