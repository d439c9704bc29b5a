"""What a node is made with, beside its keys and its store: options and reserved numbers."""

from typing import NamedTuple

from meshd.core.ids import OPEN_MESH_ID
from meshd.core.limits import MESHD_PORT


class NodeOptions(NamedTuple):
    """What the operator chose. `routing` is False in leaf mode; `peers` are tcp:// URLs.

    `lora_udp_ports` may go over LoRa beside meshd's own. `name` is what this node calls itself: its
    neighbours are told.
    """

    mesh: bytes = OPEN_MESH_ID
    routing: bool = True
    peers: tuple[str, ...] = ()
    listen_port: int = MESHD_PORT
    relay_quota_bytes: int = 256_000_000
    read_receipts: bool = False
    lora_udp_ports: tuple[int, ...] = ()
    name: str = ""


class Boot(NamedTuple):
    """Numbers reserved on disk before this start; without a disk the limit is None, all a guess."""

    number: int
    seqno: int
    seqno_limit: int | None
