"""What radios know of how far a space is, for `status`.

Enters: the wants and words of each radio. Leaves: statuses of spaces. Must not know: sessions.
"""

from collections.abc import Iterable
from dataclasses import replace

from meshd.core.snapshot import SpaceStatus
from meshd.space.space import Space
from meshd.sync.air.acks import FEW
from meshd.sync.air.link import AirLink


def told_of(space: Space, status: SpaceStatus, links: Iterable[AirLink]) -> SpaceStatus:
    """Return a space's status with what is wanted and said by radio.

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
    )
