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


def entry_fields(space: Space, author: bytes, seq: int) -> dict[str, object]:
    """Return what a notice says of an entry: where it is, and whose."""
    fields: dict[str, object] = {"space": space.text_id, "author": author.hex(), "seq": seq}
    node = space.node_of(author)
    return fields | ({"node": node_text(node)} if node else {})


def early_calls(space: Space) -> tuple[str, ...]:
    """Say who called for help ahead of what came before it."""
    return tuple(
        f"{space.person_of(author) or author.hex()[:8]} calls for help: `meshd log` shows it "
        f"{_FORKED if author in space.log.forked else _AHEAD}"
        for author in space.early
    )


_AHEAD = "ahead of its order, since what was written before it is not here yet"
_FORKED = "until its author goes on in a new feed, since this one was forked"


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
        waits=early_calls(space) or None,
    )


def mail_damaged(space: Space) -> str:
    """Return what `status` says while the mail of a space is made anew."""
    return f"what is under way in {space.name} is damaged: it is made anew from its entries"


def found(spaces: list[Space], text: str) -> Space:
    """Return the one that people mean by a name, or by the beginning of an id.

    Raises: RequestError when there is none, or more than one.
    """
    named = [space for space in spaces if space.name == text]
    start = text.lower().replace("-", "")
    begin = [space for space in spaces if start and space.text_id.startswith(start)]
    meant = named or begin
    if len(meant) == 1:
        return meant[0]
    known = ", ".join(map(_called, spaces))
    if meant:
        raise RequestError(
            f"{text!r} means {len(meant)} spaces", remedy=f"use more of the id: {known}"
        )
    remedy = (
        f"known spaces: {known}"
        if known
        else "join one by the link that a member gives you: meshd join LINK; "
        "or make one: meshd space create NAME"
    )
    raise RequestError(f"no space {text!r} here", code=Exit.NOT_FOUND, remedy=remedy)


def _called(space: Space) -> str:
    """Return how people may call a space; a relay does not learn its name."""
    short = space.text_id[:8]
    if space.carries_only:
        return f"{short} (this node is a relay of it: it can neither read nor write there)"
    return f"{space.name or '?'} ({short})"
