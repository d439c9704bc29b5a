"""Spaces over LoRa, in bytes on air: an entry, its receipt, one entry found missing and sent.

The daemon's own node on a simulated air at SF7, with one neighbour. Frames are counted whole, and
only those of the matter: beacons, challenges and lists of neighbours are the mesh's.
"""

import sys
from pathlib import Path

from report import Figure

sys.path.append(str(Path(__file__).resolve().parents[2]))

from radios.camp import MINUTE, Camp

from meshd.link.lora import LoraLink
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_items import Object
from meshd.wire.lora_payload import Local, ObjectKind, Sub, parse

OF_SPACES = {Sub.DIGESTS, Sub.HEADS, Sub.NEEDS, Sub.ENTRY, Sub.ENTRY_PART, Sub.HELD}
TEXT = "x" * 50


class Watched:
    """Counts the frames that carry something of a space, while it is open."""

    def __enter__(self) -> "Watched":
        self.sizes: list[int] = []
        self._sealed = LoraLink._sealed
        watched = self

        def sealed(link: LoraLink, outgoing: object, now: int) -> bytes:
            frame = watched._sealed(link, outgoing, now)
            items = parse(outgoing.plaintext) if outgoing.kind is FrameKind.LOCAL else ()
            if any(map(_of_spaces, items)):
                watched.sizes.append(len(frame))
            return frame

        LoraLink._sealed = sealed
        return self

    def __exit__(self, *_: object) -> None:
        LoraLink._sealed = self._sealed


def _of_spaces(item: object) -> bool:
    if isinstance(item, Object):
        return item.body[0] in (ObjectKind.ENTRY, ObjectKind.ENTRY_PART)
    return isinstance(item, Local) and item.sub in OF_SPACES


def sent_by_post(**to: str) -> list[int]:
    """Return the sizes of the frames of a 50-byte text, and of what answers it."""
    camp = Camp(2)
    camp.run(60 * MINUTE)
    if to:
        to["to"] = camp.hosts[1].node.snapshot(0).node
    with Watched() as watched:
        camp.post(0, TEXT, **to)
        camp.until_same(60)
        camp.run(20)
    return watched.sizes


def found_and_sent(seed: int) -> list[int]:
    """Return the sizes of all frames until a neighbour has the 100 bytes that it missed.

    The space has 10 kB of text, which both hold. The broadcast of the entry was lost.
    """
    camp = Camp(2, seed=seed)
    for number in range(50):
        camp.post(number % 2, f"{number:03} " + "y" * 196)
        camp.run(MINUTE)
    camp.until_same(180 * MINUTE)
    camp.run(30 * MINUTE)
    camp.apart((0, 1))
    camp.post(0, "x" * 100)
    camp.run(40 * MINUTE)
    with Watched() as watched:
        camp.together((0, 1))
        camp.until_same(120 * MINUTE)
    return watched.sizes


def measure() -> list[Figure]:
    """Measure an entry, a message with its receipt, and one repair for some seeds."""
    post, *_, held = sent_by_post()  # a digest may come between
    message, *answers = sent_by_post(to="")
    repairs = sorted(sum(found_and_sent(seed)) for seed in (1, 2, 3, 4, 5))
    lxmf = ("Reticulum LXMF, two frames", 259 + 83)
    return [
        Figure("entry, 50-byte post, frame", post, "B", 185, "1 frame", rival=lxmf),
        Figure("entry, 50-byte message to one", message, "B", 185, "1 frame", rival=lxmf),
        Figure("entry, acknowledged by a neighbour", held, "B", 30, "proven to the author"),
        Figure("entry, signed receipt of a message", max(answers), "B", None, "for everybody"),
        Figure(
            "entry of 100 bytes found and sent, space of 10 kB",
            repairs[len(repairs) // 2],
            "B",
            280,
            f"digests and frames included; {repairs[0]} to {repairs[-1]} over {len(repairs)} seeds",
            rival=("Automerge, to find it", 339),
        ),
    ]
