"""Which removals stand: a function of removals alone, and of who let whom in.

Enters: right removals of a set. Leaves: those that stand. A closing statement saves what was
written and who was let in; it never saves power (decision 0005), so no text can change this.
"""

from collections.abc import Iterable

from models.membership import Past, grants
from models.records import REMOVALS, Admit, Entries, Entry, Found, Rank, Remove, Succeed


def power(entry: Entry, past: Past) -> tuple[Rank, bool]:
    """Return the rank behind an act, and whether a recovery key did it."""
    key = entry.act.old if isinstance(entry.act, Succeed) else entry.author
    known = past(entry)
    rank = known.rank(key)
    return Rank.OWNER if rank is None else rank, key in known.recovery


def hits(removal: Entry, entry: Entry, past: Past, before: dict[Entry, Entries]) -> bool:
    """Tell whether a removal takes an act's power: its author went, unknown to the remover.

    A mightier act is not hit: rank first, and a phrase before the devices of its person. An
    heir's first entry is an act of the key that it succeeds.
    """
    if entry in before[removal] or removal in before[entry] or removal == entry:
        return False
    act = removal.act
    assert isinstance(act, REMOVALS)
    keys = {entry.author} | ({entry.act.old} if isinstance(entry.act, Succeed) else set())
    people = {past(entry).person(key) for key in keys}
    named = any(pin.feed in keys for pin in act.pins)
    whole = isinstance(act, Remove) and act.person in people
    mine, theirs = power(removal, past), power(entry, past)
    same = past(removal).person(removal.author) in people
    weaker = mine[1] < theirs[1] if same else mine[0] < theirs[0]
    return (named or whole) and not weaker


def disarms(removal: Entry, entry: Entry, past: Past, before: dict[Entry, Entries]) -> bool:
    """Tell whether a removal hits an act, or every admission on which its power rests."""
    if hits(removal, entry, past, before):
        return True
    if entry in before[removal] or isinstance(entry.act, Found):
        return False
    grounds = [each for each in past(entry).valid if grants(each) == entry.author]
    if isinstance(entry.act, Admit):
        grounds = [each for each in past(entry).valid if each.name == entry.act.invite]
    return bool(grounds) and all(disarms(removal, each, past, before) for each in grounds)


def standing(removals: Iterable[Entry], past: Past, before: dict[Entry, Entries]) -> list[Entry]:
    """Return the removals that stand among right ones.

    One that disarms another voids it, unless they disarm each other, in a ring of two or more: then
    both stand. Rings that nothing outside disarms are settled first; the rest is looked at again.
    """
    left = sorted(removals, key=lambda entry: entry.name)
    edges = {r: [o for o in left if o != r and disarms(r, o, past, before)] for r in left}
    stand: list[Entry] = []
    while left:
        reach = {removal: _reach(removal, edges, left) for removal in left}
        first = [r for r in left if all(o in reach[r] for o in left if r in reach[o])]
        void = {o for r in first for o in edges[r] if o not in first}
        stand += first
        left = [removal for removal in left if removal not in first and removal not in void]
    return stand


def _reach(start: Entry, edges: dict[Entry, list[Entry]], left: list[Entry]) -> set[Entry]:
    found: set[Entry] = set()
    waiting = [start]
    while waiting:
        for other in edges[waiting.pop()]:
            if other in left and other not in found:
                found.add(other)
                waiting.append(other)
    return found
