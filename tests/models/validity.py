"""What of a set of entries is valid: a function of signed records alone.

Enters: a set of entries, all signatures good. Leaves: a `View`: what is valid, held (nothing is
dropped silently: each with its reason) or refused, who is in, which removals stand. Knows no clock,
no order of arrival and no observer.
"""

from functools import cache

from models.history import below, forked_at, index, pasts
from models.membership import Past, View, grants, may
from models.records import (
    REMOVALS,
    Admit,
    Entries,
    Entry,
    Found,
    Invite,
    Post,
    Promote,
    Rank,
    Remove,
    Succeed,
)
from models.standing import hits, power, standing


@cache
def view(entries: Entries) -> View:
    """Judge a set of entries."""
    seen = View(entries)
    before = pasts(entries)
    past: Past = lambda entry: view(before[entry])  # noqa: E731
    right: list[Entry] = []
    for entry in index(entries).values():
        if entry not in before:
            _hold(seen, entry, "its past is missing")
        elif reason := may(entry, past(entry)):
            seen.refused.add(entry)
            seen.why[entry] = reason
        else:
            right.append(entry)
    removals = [entry for entry in right if isinstance(entry.act, REMOVALS)]
    seen.standing = standing(removals, past, before)
    loose = {entry for entry in right if _is_loose(entry, seen, past)}
    sound = least_fixed_point(right, loose, seen)
    for entry in right:
        if entry in seen.standing or (entry in sound and not isinstance(entry.act, Remove)):
            seen.valid.add(entry)
        elif entry in removals:
            _hold(seen, entry, "a removal pins its author, or who let the author in")
        else:
            _hold(seen, entry, "above a pin" if entry in loose else "rests on what is held")
    _seat(seen, past, before)
    return seen


def _hold(seen: View, entry: Entry, reason: str) -> None:
    seen.held.add(entry)
    seen.why[entry] = reason


def least_fixed_point(right: list[Entry], loose: set[Entry], seen: View) -> set[Entry]:
    """Return what holds by itself, or by what holds: never two that only name each other."""
    sound: set[Entry] = set()
    moved = True
    while moved:
        moved = False
        for entry in right:
            if entry not in sound and _holds(entry, loose, sound, seen):
                sound.add(entry)
                moved = True
    return sound


def _holds(entry: Entry, loose: set[Entry], sound: set[Entry], seen: View) -> bool:
    if entry in loose and not is_closed(entry, sound, seen.entries):
        return False
    if isinstance(entry.act, Post):  # what depends on a refused update is held
        if not {*entry.act.needs} <= {each.name for each in sound}:
            return False
    if isinstance(entry.act, Found):
        return True
    if entry.seq == 0:  # the seat that a phrase gave can be saved, its removals cannot
        return entry in seen.standing or is_closed(entry, sound, seen.entries)
    kept = {each for each in sound if each in pasts(seen.entries)[entry]}
    if isinstance(entry.act, Admit) and entry.act.invite not in {each.name for each in kept}:
        return False
    key = entry.act.old if isinstance(entry.act, Succeed) else entry.author
    return any(grants(each) == key for each in kept)


def is_closed(entry: Entry, sound: set[Entry], entries: Entries) -> bool:
    """Tell whether a closing statement that holds names an entry, or one above it."""
    heads = (head for each in sound for head in each.closing)
    return any(below(head, entry, entries) for head in heads)


def _is_loose(entry: Entry, seen: View, past: Past) -> bool:
    """Tell whether an entry is above the pin of a removal that stands, or of a fork."""
    if entry.seq and entry.seq >= forked_at(seen.entries).get(entry.author, entry.seq + 1):
        return True
    return any(_pins(removal, entry, seen, past) for removal in seen.standing)


def _pins(removal: Entry, entry: Entry, seen: View, past: Past) -> bool:
    act, before = removal.act, pasts(seen.entries)
    assert isinstance(act, REMOVALS)
    if entry.seq == 0 or entry == removal:
        return False
    pinned = [pin for pin in act.pins if pin.feed == entry.author]
    if pinned:
        return not any(below(pin, entry, seen.entries) for pin in pinned)
    inherits = isinstance(entry.act, Succeed) and hits(removal, entry, past, before)
    whole = isinstance(act, Remove) and act.person and hits(removal, entry, past, before)
    return bool(inherits or whole)


def _seat(seen: View, past: Past, before: dict[Entry, Entries]) -> None:
    """Fill in who is in, with what rank, after all removals that stand."""
    invites = {each.name: each.act for each in seen.valid if isinstance(each.act, Invite)}
    seen.expelled = {e.act.person for e in seen.standing if isinstance(e.act, Remove)} - {""}
    for entry in sorted(seen.valid, key=lambda entry: (len(before[entry]), entry.name)):
        act, known = entry.act, past(entry)
        rank = Rank.RELAY
        if isinstance(act, Found):
            person, rank = act.person, Rank.OWNER
            seen.recovery[act.recovery] = person
        elif isinstance(act, Admit):
            person, rank = act.person, invites[act.invite].rank
            seen.recovery |= {act.recovery: person} if act.recovery else {}
        elif isinstance(act, Promote):
            person, rank = act.person, act.rank
        elif not grants(entry):
            continue
        else:
            person = known.person(act.old if isinstance(act, Succeed) else entry.author) or ""
        seen.ranks[person] = max(rank, seen.ranks.get(person, Rank.RELAY))
        if device := grants(entry):
            went = any(_takes(removal, entry, person, past) for removal in seen.standing)
            (seen.gone if went else seen.seats)[device] = person


def _takes(removal: Entry, entry: Entry, person: str, past: Past) -> bool:
    """Tell whether a removal takes the seat that an entry gave."""
    act = removal.act
    assert isinstance(act, REMOVALS)
    if any(pin.feed == grants(entry) for pin in act.pins):
        return True
    whole = isinstance(act, Remove) and act.person == person
    return whole and not (entry.seq == 0 and power(entry, past) > power(removal, past))
