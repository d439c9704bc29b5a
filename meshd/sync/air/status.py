"""What radios know of how far a space is, for `status`.

Enters: the wants and words of each radio. Leaves: statuses of spaces. Must not know: sessions.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

from meshd.core.snapshot import SpaceStatus
from meshd.core.spans import span
from meshd.space.space import Space
from meshd.sync.air.acks import FEW
from meshd.sync.air.link import AirLink
from meshd.sync.air.long import LongEntries
from meshd.sync.files.air.rule import bytes_text
from meshd.wire.air_entry import THIN_MAX, thin_length

_AFTER = "what you write next comes after it"
_BEFORE = (
    "what you wrote before is on its way in pieces; "
    "a call for help is shown ahead of it, all else after it"
)


def told_of(
    space: Space, status: SpaceStatus, links: Iterable[AirLink], waits: tuple[str, ...]
) -> SpaceStatus:
    """Return a space's status with what is wanted and said by radio, and what is on its way.

    By LoRa only a few members say what they hold: in larger spaces nobody's word is missed.
    """
    lacks: dict[bytes, int] = {}
    unlike: set[bytes] = set()
    working = [link for link in links if link.up]
    for link in working:
        for voice in (link.near, link.far):
            for author, count in voice.wants.behind(space.id).items():
                lacks[author] = max(lacks.get(author, 0), count)
        unlike |= link.near.talk.unlike(space)
    silent = working and not status.peers and len(space.log.authors()) > FEW
    return replace(
        status,
        behind=max(status.behind, sum(lacks.values())),
        unheld=0 if silent else status.unheld,
        unlike=len(unlike),
        waits=(*(status.waits or ()), *waits) or None,
    )


class Written(NamedTuple):
    """An own entry: its number, and the bytes of its payload."""

    seq: int
    payload: int


def post_waits(
    space: Space,
    written: Written,
    links: Iterable[AirLink],
    *,
    served: Collection[bytes],
    long: LongEntries,
    now: int,
) -> str:
    """Say how an own text goes that is too long to go at once; "" for any other.

    Of a short one it is said what goes before it.

    `served`: who shares the space by a session.
    """
    near = {member.node for member in space.members()}
    ways: list[tuple[int, str]] = []
    why = ""
    for link in links:
        size = thin_length(*written)
        fits = size <= THIN_MAX and long.fits(link, written.seq, size, now)
        if fits or not link.up or set(link.neighbours).issubset(served):
            continue
        if not near.intersection(link.neighbours) and not link.near.talk.shares(space.id, now):
            most = "2 kB" if size > THIN_MAX else f"less than {bytes_text(size)} at its setting"
            why = why or f"nobody who hears {link.name} shares the space, and others pass on {most}"
        elif (took_us := long.time_us(link.name, size, now)) is None:
            why = why or f"{bytes_text(size)} are too much for {link.name} at its setting"
        else:
            ways.append((took_us, link.name))
    if not ways and not why and long.gives(space):
        return _BEFORE
    if not ways:
        return f"waits for WiFi: {why}; {_AFTER}" if why else ""
    took_us, name = min(ways)
    took = span(max(took_us // 1_000_000, 1))
    return f"goes by LoRa in pieces, {took} at least on {name}; {_AFTER}"
