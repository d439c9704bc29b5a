"""The heavy work on chunks: read, encrypt, hash and keep; read, decrypt and write.

Enters: the chunk queries of `core.events`. Leaves: their answers. The calls that take time
(hash, cipher, disk) release the interpreter, so that two of them fill two cores.
Must not know: which space or file a chunk belongs to.
"""

from typing import Protocol

from meshd.core import crypto
from meshd.core.events import (
    Answer,
    BulkQuery,
    ChunkQuery,
    ForgetQuery,
    KeepQuery,
    PlaceQuery,
    SealQuery,
    SyncFileQuery,
    UnsealQuery,
)
from meshd.core.limits import CHUNK_BYTES
from meshd.store.direct import plain_buffer, sealed_buffer


class Chunks(Protocol):
    """Where chunks are kept."""

    def keep(self, name: bytes, data: bytes | memoryview, *, durable: bool) -> bool:
        """Keep a chunk; False when the bytes are not of that name."""

    def read(self, name: bytes) -> bytes | None:
        """Return a checked chunk, or None."""

    def read_unchecked(self, name: bytes) -> bytes | None:
        """Return what lies under a name, or None."""

    def forget(self, name: bytes) -> int:
        """Remove a chunk; return the bytes that freed."""

    def read_part(self, name: bytes, offset: int, length: int) -> tuple[int, bytes] | None:
        """Return (size, part), or None."""


class Files(Protocol):
    """Where plaintext comes from and goes to."""

    def read_into(self, handle: int, offset: int, buffer: memoryview) -> int:
        """Read at a place; return how many bytes came, fewer only at the end of the file."""

    def write(self, handle: int, offset: int, data: bytes | memoryview) -> None:
        """Write at a place."""

    def sync(self, handle: int) -> None:
        """Make durable."""


def answer_bulk(query: BulkQuery, chunks: Chunks, files: Files) -> Answer:
    """Answer one bulk query. Raises: StoreError."""
    match query:
        case ChunkQuery(chunk, offset, length):
            return chunks.read_part(chunk, offset, length)
        case KeepQuery(chunk, data, durable):
            return chunks.keep(chunk, data, durable=durable)
        case ForgetQuery(names):
            return sum(chunks.forget(name) for name in names)
        case SealQuery():
            return _seal(query, chunks, files)
        case UnsealQuery():
            return _unseal(query, chunks, files)
        case PlaceQuery():
            return _place(query, chunks, files)
        case SyncFileQuery(handle):
            files.sync(handle)
            return True


def _seal(query: SealQuery, chunks: Chunks, files: Files) -> tuple[bytes, int]:
    plaintext = plain_buffer(CHUNK_BYTES)
    length = files.read_into(query.handle, query.place * CHUNK_BYTES, plaintext)
    ciphertext = sealed_buffer(length + crypto.TAG_LEN)
    nonce = crypto.chunk_nonce(query.place)
    crypto.seal_into(ciphertext, query.key, nonce, plaintext[:length])
    name = crypto.chunk_name(ciphertext)
    chunks.keep(name, ciphertext, durable=True)
    return name, length


def _unseal(query: UnsealQuery, chunks: Chunks, files: Files) -> int | None:
    ciphertext = chunks.read_unchecked(query.chunk)
    if ciphertext is None:
        return None
    written = _write(query, ciphertext, files)
    if written is None:
        chunks.read(query.chunk)  # the tag saw a fault: if the chunk is torn, this removes it
    return written


def _place(query: PlaceQuery, chunks: Chunks, files: Files) -> int | bool | None:
    ciphertext = sealed_buffer(sum(map(len, query.parts)))
    place = 0
    for part in query.parts:
        ciphertext[place : place + len(part)] = part
        place += len(part)
    if not chunks.keep(query.chunk, ciphertext, durable=False):
        return False
    return _write(query, ciphertext, files)


def _write(
    query: UnsealQuery | PlaceQuery, ciphertext: bytes | memoryview, files: Files
) -> int | None:
    """Decrypt a chunk to its place; None when it does not open."""
    plaintext = plain_buffer(max(0, len(ciphertext) - crypto.TAG_LEN))
    nonce = crypto.chunk_nonce(query.place)
    if not crypto.unseal_into(plaintext, query.key, nonce, ciphertext):
        return None
    files.write(query.handle, query.place * CHUNK_BYTES, plaintext)
    return len(plaintext)
