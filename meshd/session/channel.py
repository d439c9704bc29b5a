"""Carry records and bulks over a stream once the handshake is done.

Enters: bytes of the stream in any fragmentation, records and bulks to send. Leaves: decrypted
records and whole bulks; bytes to send. At most one item is buffered (64 KiB), and each byte is
copied at most twice. The first thing that is not genuine ends the channel: `failure` names it.
Must not know: streams, sessions, peers, time.

Ref: docs/wire-format.md#session.
"""

from typing import NamedTuple

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError, WireError
from meshd.session.noise import Cipher
from meshd.wire.session_records import (
    BULK_BYTES_MAX,
    BULK_HEAD_MAX,
    LENGTH,
    RECORD_DATA_MAX,
    TAG_LEN,
    BulkHead,
    Confirm,
    Data,
    decode_record,
)


class Bulk(NamedTuple):
    """A received bulk: its authenticated head and its raw bytes, which the reader must verify."""

    head: bytes
    data: bytes


Item = Confirm | Data | Bulk


class Channel:
    """Both directions of one session: `seal_*` for what leaves, `feed` for what arrives."""

    __slots__ = ("_bulk", "_length", "_partial", "_receiving", "_sending", "_wanted", "failure")

    def __init__(self, sending: Cipher, receiving: Cipher) -> None:
        self._sending = sending
        self._receiving = receiving
        self._partial = bytearray()
        self._wanted = LENGTH.size
        self._length = True
        self._bulk: BulkHead | None = None
        self.failure: DropReason | None = None

    def seal_confirm(self) -> bytes:
        """Return the confirm record."""
        return self._seal(Confirm().encode())

    def seal_data(self, body: bytes) -> bytes:
        """Return one data record.

        Raises: UsageError when `body` is longer than `RECORD_DATA_MAX`.
        """
        if len(body) > RECORD_DATA_MAX:
            raise UsageError(f"a record holds {RECORD_DATA_MAX} bytes, not {len(body)}")
        return self._seal(Data(body).encode())

    def seal_bulk(self, head: bytes, length: int) -> bytes:
        """Return the record that must stand right before `length` raw bytes.

        Raises: UsageError when head or length is out of bounds.
        """
        if len(head) > BULK_HEAD_MAX or not 0 < length <= BULK_BYTES_MAX:
            raise UsageError(f"a bulk of {length} bytes with a head of {len(head)}")
        return self._seal(BulkHead(length, head).encode())

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes of the stream; return what is complete, in order.

        After a failure nothing is returned any more.
        """
        items: list[Item] = []
        view = memoryview(data)
        place = 0
        while self.failure is None:
            missing = self._wanted - len(self._partial)
            if len(view) - place < missing:
                self._partial += view[place:]
                break
            piece = view[place : place + missing]
            place += missing
            if self._partial:
                self._partial += piece
                piece = memoryview(self._partial)
                self._partial = bytearray()
            item = self._take(bytes(piece))
            if item is not None:
                items.append(item)
        return items

    def _seal(self, plaintext: bytes) -> bytes:
        ciphertext = self._sending.encrypt(plaintext)
        return LENGTH.pack(len(ciphertext)) + ciphertext

    def _take(self, piece: bytes) -> Item | None:
        """Handle one whole piece: a length, a record's ciphertext, or the bytes of a bulk."""
        if self._bulk is not None:
            item = Bulk(self._bulk.head, piece)
            self._bulk = None
            self._expect_length()
            return item
        if self._length:
            (self._wanted,) = LENGTH.unpack(piece)
            self._length = False
            if self._wanted <= TAG_LEN:
                self.failure = DropReason.RECORD_MALFORMED
            return None
        return self._open(piece)

    def _open(self, ciphertext: bytes) -> Item | None:
        plaintext = self._receiving.decrypt(ciphertext)
        if plaintext is None:
            self.failure = DropReason.RECORD_FORGED
            return None
        try:
            record = decode_record(plaintext)
        except WireError:
            self.failure = DropReason.RECORD_MALFORMED
            return None
        if isinstance(record, BulkHead):
            self._bulk = record
            self._wanted = record.length
            return None
        self._expect_length()
        return record

    def _expect_length(self) -> None:
        self._length = True
        self._wanted = LENGTH.size
