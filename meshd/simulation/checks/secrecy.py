"""What people write never crosses the air as they wrote it.

Enters: what people ask for (the texts, links and files to look for), each frame and stream byte.
Leaves: violations. What a host sends is searched together with what it sent before, so that a text
cut in two is found. Repeated nonces are found by `nonces`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.simulation.checks.checker import Checker

if TYPE_CHECKING:
    from meshd.core.events import Transmit
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

NEEDLE_LEN = 12
NEEDLES_MAX = 24
_BATCH_BYTES = 1 << 20


class Secrecy(Checker):
    """Looks for the latest secrets in all that is sent."""

    name = "secrecy"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._needles: dict[bytes, str] = {}
        self._batch: dict[int, bytearray] = {}
        self._batched = 0

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        text = args.get("text")
        if verb == "post" and isinstance(text, str):
            self._look_for(text.encode(), "a text")
        elif verb == "join":
            self._look_for(str(args.get("url")).encode(), "an invitation")
        elif verb == "put" and isinstance(handle := args.get("handle"), int):
            self._look_for(bytes(host.store.files.lent.get(handle, b""))[:64], "a file")

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        self._gather(-1 - port.host.number, datagram.data + b"\n")

    def stream_sent(self, host: Host, data: bytes) -> None:
        self._gather(host.number, data)

    def minute(self) -> None:
        self._search()

    finished = minute

    def _look_for(self, secret: bytes, what: str) -> None:
        if len(secret) >= NEEDLE_LEN:
            self._search()
            self._needles[secret[-NEEDLE_LEN:]] = what
            while len(self._needles) > NEEDLES_MAX:
                del self._needles[next(iter(self._needles))]

    def _gather(self, sender: int, data: bytes) -> None:
        self._batch.setdefault(sender, bytearray()).extend(data)
        self._batched += len(data)
        if self._batched > _BATCH_BYTES:
            self._search()

    def _search(self) -> None:
        """Search what was sent since the last time; its end stays, for what begins there."""
        for sender, data in self._batch.items():
            for needle, what in self._needles.items():
                if needle in data:
                    number = sender if sender >= 0 else -1 - sender
                    self.fail(self.world.hosts[number], f"sent {what} that anybody can read")
            del data[: max(0, len(data) - NEEDLE_LEN)]
        self._batched = 0
