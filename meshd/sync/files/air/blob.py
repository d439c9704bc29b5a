"""A blob for the air, and back; of a file: its index chunk and its one chunk of content.

Enters: a blob, pieces, a manifest's clear part. Leaves: an offer with its pieces and marks, a blob,
or the chunks, each held to the name that the manifest or the index gives it. Must not know: radios,
who asks.
Ref: docs/wire-format.md#lora-pieces.
"""

from collections.abc import Mapping
from typing import NamedTuple

from meshd.core.crypto import chunk_name
from meshd.sync.files.air.erasure import Cauchy, cut, mark_of
from meshd.sync.files.air.rule import cut_of
from meshd.wire.file_messages import NAME_LEN
from meshd.wire.lora_pieces import Marks, Offer, run_digest
from meshd.wire.payload import FileClear

CODE = Cauchy()


class Packed(NamedTuple):
    """All that is ever sent of one blob: an offer not signed yet, pieces, runs of marks."""

    offer: Offer
    pieces: tuple[bytes, ...]
    runs: tuple[bytes, ...]

    def marks(self, number: int) -> Marks:
        """Return a run of marks."""
        return Marks(self.offer.tag, number, self.runs[number])


def blob_size(clear: FileClear) -> int | None:
    """Return the bytes of a file's blob, or None when it has more chunks than one."""
    one = clear.levels == 1 and clear.chunks == 1
    return NAME_LEN + clear.size if one else None


def pack(ref: bytes, blob: bytes, room: int) -> Packed | None:
    """Cut a blob for items of `room` bytes; None when it is too large."""
    plan = cut_of(len(blob), room)
    if plan is None:
        return None
    pieces = list(cut(blob, plan.piece))
    pieces += [CODE.repair(pieces, number) for number in range(plan.need, plan.pieces)]
    marks = b"".join(mark_of(number, piece) for number, piece in enumerate(pieces))
    step = plan.run * len(mark_of(0, b""))
    runs = tuple(marks[start : start + step] for start in range(0, len(marks), step))
    digests = tuple(run_digest(number, run) for number, run in enumerate(runs))
    offer = Offer(ref, len(blob), plan.piece, plan.pieces, plan.run, digests)
    return Packed(offer, tuple(pieces), runs)


def unpack(offer: Offer, pieces: Mapping[int, bytes]) -> bytes | None:
    """Return a blob from any pieces that suffice; None for too few."""
    whole = CODE.restore(offer.need, pieces)
    return None if whole is None else b"".join(whole)[: offer.size]


def chunks_in(blob: bytes, clear: FileClear) -> tuple[bytes, bytes] | None:
    """Return a file's index chunk and content; None when they are not what the manifest names."""
    index, chunk = blob[:NAME_LEN], blob[NAME_LEN:]
    if chunk_name(index) != clear.root or chunk_name(chunk) != index:
        return None
    return index, chunk
