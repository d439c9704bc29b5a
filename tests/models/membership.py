"""Who may do what: rights are judged by what an entry's author knew.

Enters: an entry and the `View` of all that it knew. Leaves: "" or the reason why it is refused for
good; the order of members. An entry's past never changes, so neither does this verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from models.history import forked_at, pasts
from models.records import (
    FOUNDER,
    GRANTS,
    AddDevice,
    Admit,
    Entries,
    Entry,
    Found,
    Invite,
    Note,
    Post,
    Promote,
    Rank,
    Recover,
    Remove,
    Rotate,
    Succeed,
)

AREAS = {"text": Rank.WRITER, "rules": Rank.ADMIN}


@dataclass
class View:
    """What a set of entries amounts to, whoever looks, in whatever order it came."""

    entries: Entries
    valid: set[Entry] = field(default_factory=set)
    why: dict[Entry, str] = field(default_factory=dict)
    held: set[Entry] = field(default_factory=set)
    refused: set[Entry] = field(default_factory=set)
    standing: list[Entry] = field(default_factory=list)
    seats: dict[str, str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    expelled: set[str] = field(default_factory=set)
    ranks: dict[str, Rank] = field(default_factory=dict)
    recovery: dict[str, str] = field(default_factory=dict)

    @property
    def forked(self) -> dict[str, int]:
        """Return the forked feeds, with the number of the first difference."""
        return forked_at(self.entries)

    def person(self, key: str) -> str | None:
        """Return who stands behind a device, past or present, or a recovery key."""
        return self.seats.get(key) or self.gone.get(key) or self.recovery.get(key)

    def rank(self, key: str) -> Rank | None:
        """Return what a key may do now (rank belongs to persons)."""
        if (person := self.recovery.get(key)) is not None:
            founder = any(isinstance(e.act, Found) and e.act.person == person for e in self.valid)
            if founder:
                return Rank.TOP
            return None if person in self.expelled else self.ranks.get(person)
        return self.ranks.get(self.seats.get(key, ""))


Past = Callable[[Entry], View]
"""What the author of an entry knew when it wrote it."""


def may(entry: Entry, known: View) -> str:
    """Judge an entry by what its author knew: "" when it is right, else why not, for good."""
    act, rank = entry.act, known.rank(entry.author)
    if isinstance(act, Found):
        return "" if entry.author == FOUNDER and not known.entries else "not the founder"
    if isinstance(act, Succeed):
        if entry.seq != 1 or known.person(entry.author):
            return "no new key"
        rank = known.rank(act.old)
        return "" if rank and act.old in known.seats else "no right to hand on"
    if rank is None:
        return "removed" if entry.author in known.gone else "not a member"
    if (entry.author in known.recovery) != (entry.seq == 0):
        return "recovery keys have no feed"
    if isinstance(act, Post):
        return _may_post(entry, act, rank)
    return "" if _may_act(entry, known, rank) else "no right"


def _may_post(entry: Entry, act: Post, rank: Rank) -> str:
    if (act.client or entry.author) != entry.author:
        return "foreign client id"  # refused before it touches the document
    refused = [area for area in act.touches if rank < AREAS[area]]
    return "refused whole" if refused else ""  # mixed updates too


def _may_act(entry: Entry, known: View, rank: Rank) -> bool:
    act, person = entry.act, known.person(entry.author)
    match act:
        case Invite() | Promote():
            fits = isinstance(act, Invite) or act.person in known.ranks
            return rank >= Rank.ADMIN and act.rank <= min(rank, Rank.OWNER) and fits
        case Admit():
            invite = next((each for each in known.valid if each.name == act.invite), None)
            new = not known.person(act.device) and act.person not in known.ranks
            return rank >= Rank.READER and new and isinstance(getattr(invite, "act", None), Invite)
        case AddDevice():
            return rank >= Rank.READER and not known.person(act.device)
        case Recover():
            own = rank is Rank.TOP or all(known.person(pin.feed) == person for pin in act.pins)
            new = not known.person(act.device)
            return entry.author in known.recovery and new and own
        case Remove():
            named = [known.person(pin.feed) for pin in act.pins] + [act.person] * bool(act.person)
            able = all(each == person or _outranks(rank, known.ranks.get(each)) for each in named)
            phrases = any(pin.feed in known.recovery for pin in act.pins)
            return bool(named) and able and not phrases and rank >= Rank.READER
        case Rotate():
            return rank >= Rank.ADMIN
        case Note():
            return rank >= Rank.READER
    return False


def _outranks(mine: Rank, theirs: Rank | None) -> bool:
    """Equals may remove each other."""
    return theirs is not None and mine >= max(theirs, Rank.ADMIN)


def grants(entry: Entry) -> str:
    """Return the key that an entry lets in, or ""."""
    act = entry.act
    if isinstance(act, Admit | AddDevice | Recover):
        return act.device
    return entry.author if isinstance(act, GRANTS) else ""


def precedence(view: View) -> list[str]:
    """Return the members' devices in order: rank, admission order, key.

    Admission order is an extension of "was known at the admission of": of those whose past has been
    taken, the mightiest goes first, then the smallest key. As a comparison of two it would not be
    transitive. The key decides only between admissions that did not know each other.
    """
    before = pasts(view.entries)
    letting = [e for e in view.valid if grants(e) in view.seats]
    order: list[str] = []
    while letting:
        free = [e for e in letting if not any(other in before[e] for other in letting)]
        first = min(free, key=lambda e: (-view.ranks[view.seats[grants(e)]], grants(e)))
        letting = [e for e in letting if e != first and grants(e) != grants(first)]
        order.append(grants(first))
    return sorted(order, key=lambda device: (-view.ranks[view.seats[device]], order.index(device)))
