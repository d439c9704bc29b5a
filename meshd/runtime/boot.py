"""From a state directory to a Node: keys, store, and the numbers that must never go back.

Enters: configuration and a held state directory. Leaves: an open store and a Node on it.
"""

import os
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from meshd.config.values import NodeConfig
from meshd.core.events import MetaRow, StoreImage
from meshd.node import Boot, Node, NodeOptions
from meshd.recording.recorder import RecordingNode
from meshd.recording.tape import Lines
from meshd.routing.own import BLOCK, reserve
from meshd.runtime.counters_file import BOOT_MAX, COUNTERS_FILE, Counters, CountersFile
from meshd.runtime.statedir import StateDir
from meshd.store.absent import AbsentStore
from meshd.store.interface import Backend, StoreError
from meshd.store.sqlite import SqliteStore


class Started(NamedTuple):
    """A Node and its store; `fault` says why the store could not be opened, if so."""

    node: Node
    store: Backend
    fault: StoreError | None


def boot_node(
    config: NodeConfig, state: StateDir, *, leaf: bool, tape: Lines | None = None
) -> Started:
    """Open the store, reserve a boot number and seqnos on it, and make the Node.

    A store that cannot be opened leaves a node that routes and says so; its seqno is then a guess,
    which it mends when it hears its own address announced by others. Its boot number rises all the
    same, by the counters beside the store. With a `tape` the node records itself.

    Raises: RequestError.
    """
    identity = state.identity()
    folder = Path(config.state_dir)
    rng = Random(os.urandom(16))
    counters = CountersFile(state.file(COUNTERS_FILE))
    last = counters.read()
    store: Backend
    fault = None
    try:
        store = SqliteStore(folder)
        image, boot = _reserve(store, last)
    except StoreError as error:
        fault = error
        store = AbsentStore(error, lambda: SqliteStore(folder))
        image, boot = store.load(), _without_store(last, rng)
    if boot.number:
        limit = boot.seqno + BLOCK if boot.seqno_limit is None else boot.seqno_limit
        counters.write(Counters(boot.number, limit & 0xFFFF))
    options = NodeOptions(
        routing=not leaf,
        peers=config.peers,
        listen_port=config.listen.port,
        relay_quota_bytes=config.relay_quota_mb * 1_000_000,
        lora_udp_ports=config.lora_ports,
        name=config.name,
        read_receipts=config.read_receipts,
    )
    make = Node if tape is None else partial(RecordingNode, tape=tape)
    node = make(options, identity=identity, boot=boot, image=image, rng=rng, entropy=os.urandom)
    return Started(node, store, fault)


def _reserve(store: Backend, last: Counters | None) -> tuple[StoreImage, Boot]:
    image = store.load()
    kept = int.from_bytes(image.metas.get("boot", b""), "big")
    boot = min(max(kept, last.boot if last else 0) + 1, BOOT_MAX)
    seqno, limit, reserved = reserve(image.metas)
    store.commit([(MetaRow("boot", boot.to_bytes(4, "big")), reserved)])
    return image, Boot(boot, seqno, limit)


def _without_store(last: Counters | None, rng: Random) -> Boot:
    """Return numbers beyond those of the last start, as far as the counters beside the store tell.

    How far the seqno went since it was reserved is not known: it is a guess, but a near one.
    """
    if last is None:
        return Boot(0, rng.randrange(65536), None)
    return Boot(min(last.boot + 1, BOOT_MAX), last.seqno, None)
