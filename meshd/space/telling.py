"""What people are told of a space: its status, and why an own entry was refused.

Enters: a space. Leaves: snapshot values and request errors. Holds no state.
"""

from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.core.ids import encode_text, node_text
from meshd.core.snapshot import SpaceStatus
from meshd.space.space import Space


def refused(space: Space, reason: DropReason) -> RequestError:
    """Return what a person is told when an own entry cannot be appended."""
    name = space.name or space.text_id[:8]
    if space.rank is None:
        return RequestError(
            f"this node has not yet heard that it was let into {name}",
            code=Exit.TEMPORARY,
            remedy="wait until it has synced with a member",
        )
    if reason in (DropReason.ENTRY_RIGHT, DropReason.MEMBERSHIP_INVALID):
        return RequestError(
            f"this node is {space.role} in {name} and may not do that",
            code=Exit.DENIED,
            remedy="ask an admin of the space",
        )
    return RequestError(f"{name} refuses the entry: {reason.value}")


def status_of(space: Space) -> SpaceStatus:
    """Return what a snapshot shows of a space, as far as this folder knows it."""
    own = space.feeds.get(space.author)
    return SpaceStatus(
        space=space.text_id,
        name=space.name or None,
        role=space.role,
        feeds=len(space.feeds),
        entries=sum(feed.seq for feed in space.feeds.values()),
        behind=0,
        bytes=sum(feed.bytes_total for feed in space.feeds.values()),
        forks=tuple(
            node_text(space.node_of(author)) or encode_text(author)
            for author, feed in sorted(space.feeds.items())
            if feed.frozen
        ),
        kept_by=space.acks.kept_by(space.author, own.seq) if own and own.seq else 0,
        unheld=space.acks.unheld(space.author, own.seq) if own else 0,
    )
