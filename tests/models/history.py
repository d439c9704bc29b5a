"""How entries hang together: what an entry's past is, where feeds fork, what is below a place.

Enters: a set of entries. Leaves: pasts, forks, and the relation of an entry to a head. Nothing but
what an entry links to, its feed and the records it knows, is ever judged with it.
"""

from functools import cache

from models.records import Entries, Entry, Head


@cache
def index(entries: Entries) -> dict[str, Entry]:
    """Return the entries by name."""
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}


@cache
def pasts(entries: Entries) -> dict[Entry, Entries]:
    """Return each entry whose past is all here, with that past."""
    known = index(entries)
    found: dict[Entry, Entries] = {}
    waiting = list(known.values())
    while waiting:
        later = []
        for entry in waiting:
            linked = [known.get(name) for name in entry.links]
            if all(link in found for link in linked):
                before = [found[link] | {link} for link in linked if link is not None]
                found[entry] = frozenset().union(*before)
            else:
                later.append(entry)
        if len(later) == len(waiting):
            break
        waiting = later
    return found


@cache
def forked_at(entries: Entries) -> dict[str, int]:
    """Return the forked feeds with the number of their first difference."""
    seen: dict[tuple[str, int], Entry] = {}
    forks: dict[str, int] = {}
    for entry in index(entries).values():
        other = seen.setdefault((entry.author, entry.seq), entry)
        if entry.seq and other != entry:
            forks[entry.author] = min(entry.seq, forks.get(entry.author, entry.seq))
    return forks


def below(head: Head, entry: Entry, entries: Entries) -> bool:
    """Tell whether `entry` is at or below a place in its feed, as far as can be known.

    The entry at that place may not be here: then numbers decide, but not across a fork.
    """
    if head.feed != entry.author or entry.seq > head.seq:
        return False
    known = index(entries)
    at = known.get(head.name)
    if at is None or at not in pasts(entries):
        forks = forked_at(entries)
        return entry.seq < head.seq and entry.seq < forks.get(entry.author, head.seq)
    while at is not None and at.seq > entry.seq:
        at = known.get(at.prev)
    return at == entry
