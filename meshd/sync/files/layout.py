"""How a file is cut into chunks, and how its index names them. Pure arithmetic.

Enters: sizes, counts, addresses. Leaves: the manifest's clear part, sizes, index chunks. Content
chunks hold `CHUNK_BYTES` of plaintext and a tag; an index chunk is up to 32,000 names of 32 bytes.
One level: the root names the content. Two: the root names leaves, which name the content.
Ref: docs/wire-format.md#files.
"""

from meshd.core.crypto import TAG_LEN, chunk_name
from meshd.core.limits import CHUNK_BYTES
from meshd.wire.file_messages import INDEX_NAMES_MAX, LEAF_ADDRESS, NAME_LEN, ROOT_ADDRESS
from meshd.wire.payload import FileClear

SEALED_BYTES = CHUNK_BYTES + TAG_LEN
"""Bytes of every content chunk but the last."""

CHUNKS_MAX = INDEX_NAMES_MAX * INDEX_NAMES_MAX
FILE_BYTES_MAX = CHUNKS_MAX * CHUNK_BYTES


def chunks_of(size: int) -> int:
    """Return how many chunks `size` bytes of plaintext take; an empty file takes one."""
    return max(1, -(-size // CHUNK_BYTES))


def sealed_size(size: int) -> int:
    """Return the bytes of ciphertext of a file of `size` bytes."""
    return size + TAG_LEN * chunks_of(size)


def is_sound(clear: FileClear) -> bool:
    """Tell whether the numbers of a manifest fit each other."""
    if not 1 <= clear.chunks <= CHUNKS_MAX or clear.levels != levels_of(clear.chunks):
        return False
    plain = clear.size - TAG_LEN * clear.chunks
    return plain >= 0 and chunks_of(plain) == clear.chunks


def levels_of(chunks: int) -> int:
    """Return 1 or 2: index levels of a file of so many chunks."""
    return 1 if chunks <= INDEX_NAMES_MAX else 2


def leaves_of(clear: FileClear) -> int:
    """Return how many leaves the index has: 0 when the root names the content."""
    return 0 if clear.levels == 1 else -(-clear.chunks // INDEX_NAMES_MAX)


def disk_size(clear: FileClear) -> int:
    """Return the bytes that the file and its index take in a store."""
    return clear.size + NAME_LEN * (clear.chunks + leaves_of(clear))


def plain_size(clear: FileClear, place: int) -> int:
    """Return the plaintext bytes of one content chunk."""
    return chunk_size(clear, place) - TAG_LEN


def chunk_size(clear: FileClear, address: int) -> int:
    """Return the bytes of the chunk at a valid address."""
    if address == ROOT_ADDRESS:
        return NAME_LEN * (leaves_of(clear) or clear.chunks)
    if address >= LEAF_ADDRESS:
        before = (address - LEAF_ADDRESS) * INDEX_NAMES_MAX
        return NAME_LEN * min(INDEX_NAMES_MAX, clear.chunks - before)
    if address < clear.chunks - 1:
        return SEALED_BYTES
    return clear.size - SEALED_BYTES * (clear.chunks - 1)


def is_address(clear: FileClear, address: int) -> bool:
    """Tell whether the file has a chunk at `address`."""
    if address >= LEAF_ADDRESS:
        return address == ROOT_ADDRESS or address - LEAF_ADDRESS < leaves_of(clear)
    return address < clear.chunks


def index_address(clear: FileClear, address: int) -> int:
    """Return the address of the index chunk that names the chunk at `address`, not the root."""
    if clear.levels == 1 or address >= LEAF_ADDRESS:
        return ROOT_ADDRESS
    return LEAF_ADDRESS + address // INDEX_NAMES_MAX


def name_in(index: bytes, address: int) -> bytes:
    """Return the name of the chunk at `address` from the index chunk that names it."""
    start = NAME_LEN * (address % LEAF_ADDRESS % INDEX_NAMES_MAX)
    return index[start : start + NAME_LEN]


def build_index(names: bytes) -> tuple[bytes, ...]:
    """Return the index chunks of a file from its concatenated names; the root is the last."""
    step = NAME_LEN * INDEX_NAMES_MAX
    if len(names) <= step:
        return (names,)
    leaves = tuple(names[start : start + step] for start in range(0, len(names), step))
    return (*leaves, b"".join(chunk_name(leaf) for leaf in leaves))
