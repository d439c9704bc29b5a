"""What people write never crosses the air as they wrote it, nor lies where it may not be read.

Enters: what people ask for (the texts, links and files to look for), the keys of each node, each
frame, stream byte and stored row. Leaves: violations. Secrets are looked for as they are, in hex
and in base64. What a host sends is searched together with what it sent before, so that a text cut
in two is found: texts of everybody, the sender's own keys, and the latest entries, which only the
cipher of a session or a LoRa frame may carry. Stored entries must hold no text or key, nor may any
row of a host hold the key of a space that it has no right to read. Repeated nonces are found by
`nonces`.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from meshd.core.events import EntryRow, MetaRow
from meshd.simulation.checks.checker import Checker
from meshd.wire.membership import Rank

if TYPE_CHECKING:
    from meshd.core.events import Row, Transmit
    from meshd.simulation.checks.ledger import Ledger
    from meshd.simulation.host import Host
    from meshd.simulation.media.medium import Port
    from meshd.simulation.world import World

NEEDLE_LEN = 12
NEEDLES_MAX = 24
ENTRIES_MAX = 6
_BATCH_BYTES = 1 << 20
_DATAGRAMS, _STREAMS, _RADIO = "datagrams", "streams", "radio"
_OVERLAP = 2 * NEEDLE_LEN
"""The longest spelling of a needle: hex."""


class Secrecy(Checker):
    """Looks for the latest secrets in all that is sent and stored."""

    name = "secrecy"

    def __init__(self, world: World, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger
        self._needles: dict[bytes, str] = {}
        self._entries: deque[bytes] = deque(maxlen=ENTRIES_MAX)
        self._batch: dict[tuple[int, str], bytearray] = {}
        self._batched = 0
        self._rows: dict[int, bytearray] = {}
        self._epochs: dict[bytes, bytes] = {}

    def asked(self, host: Host, verb: str, args: dict[str, object], ticket: int) -> None:
        text = args.get("text")
        if verb in ("post", "message") and isinstance(text, str):
            self._look_for(text.encode(), "a text")
        elif verb == "join":
            self._look_for(str(args.get("url")).encode(), "an invitation")
        elif verb == "put" and isinstance(handle := args.get("handle"), int):
            self._look_for(bytes(host.store.files.lent.get(handle, b""))[:64], "a file")

    def datagram_sent(self, port: Port, datagram: Transmit, airtime_us: int) -> None:
        self._gather(port.host, _DATAGRAMS, datagram.data + b"\n")

    def stream_sent(self, host: Host, data: bytes) -> None:
        self._gather(host, _STREAMS, data)

    def radio_sent(self, host: Host, frame: bytes) -> None:
        self._gather(host, _RADIO, frame)

    def committed(self, host: Host, rows: tuple[Row, ...]) -> None:
        for row in rows:
            if isinstance(row, EntryRow):
                self._rows.setdefault(host.number, bytearray()).extend(row.data + b"\n")
                if (end := row.data[-NEEDLE_LEN:]) not in self._entries:
                    self._entries.append(end)
            elif isinstance(row, MetaRow) and row.value is not None:
                self._foreign(host, row)

    def minute(self) -> None:
        self._search()

    finished = minute

    def _look_for(self, secret: bytes, what: str) -> None:
        if len(secret) >= NEEDLE_LEN:
            self._search()
            self._needles[secret[-NEEDLE_LEN:]] = what
            while len(self._needles) > NEEDLES_MAX:
                del self._needles[next(iter(self._needles))]

    def _gather(self, host: Host, way: str, data: bytes) -> None:
        self._batch.setdefault((host.number, way), bytearray()).extend(data)
        self._batched += len(data)
        if self._batched > _BATCH_BYTES:
            self._search()

    def _search(self) -> None:
        """Search what was sent since the last time; its end stays, for what begins there."""
        for (number, way), data in self._batch.items():
            if len(data) > _OVERLAP:
                self._look_into(data, number, "sent {} that anybody can read")
                if way != _RADIO and any(end in data for end in self._entries):
                    self.fail(self.world.hosts[number], "sent an entry outside of a session")
                del data[:-_OVERLAP]
        for number, data in self._rows.items():
            if data:
                self._look_into(data, number, "stored an entry in which {} can be read")
                data.clear()
        self._batched = 0

    def _look_into(self, data: bytearray, number: int, words: str) -> None:
        host = self.world.hosts[number]
        for secrets in (self._needles, self._keys(host)):
            for secret, what in secrets.items():
                if any(spelling in data for spelling in spellings(secret)):
                    self.fail(host, words.format(what))

    def _keys(self, host: Host) -> dict[bytes, str]:
        """Return the middle of each secret key that a host holds."""
        found = {
            _middle(host.identity.device_seed): "its device key",
            _middle(host.identity.session_secret): "its session key",
        }
        for secret in host.node.messages.prekeys.secrets():
            found[_middle(secret)] = "a prekey"
        for space in host.node.spaces.all():
            record = space.record()
            found[_middle(record.seed)] = "a signing key"
            found[_middle(record.fetch)] = "a fetch key"
            if record.epoch_key is not None:
                found[_middle(record.epoch_key)] = "the key of a space"
        return found

    def _foreign(self, host: Host, row: MetaRow) -> None:
        """Look for keys of spaces that a host may not read; a relay is the usual case."""
        spaces = host.node.spaces
        for space in spaces.all():
            if space.keys.epoch_key is not None:
                self._epochs.setdefault(space.id, space.keys.epoch_key)
        for space_id, key in self._epochs.items():
            mine = spaces.get(space_id)
            rank = self._ledger.rank(space_id, mine.author) if mine is not None else None
            if mine is not None and (rank is None or rank >= Rank.READER):
                continue
            if any(spelling in (row.value or b"") for spelling in spellings(_middle(key))):
                self.fail(host, f"keeps the key of {space_id.hex()[:8]}, which it may not read")


def _middle(key: bytes) -> bytes:
    return key[8 : 8 + NEEDLE_LEN]


@lru_cache(maxsize=4_096)
def spellings(secret: bytes) -> tuple[bytes, ...]:
    """Return a secret as it is, in hex, and in base64 wherever it begins in a longer text."""
    found = [secret, secret.hex().encode()]
    for shift in range(3):
        coded = b64encode(bytes(shift) + secret)
        first, last = -(-8 * shift // 6), 8 * (shift + len(secret)) // 6
        found.append(coded[first:last])
    found += [coded.translate(_URL_SAFE) for coded in found[2:]]
    return tuple(dict.fromkeys(found))


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
