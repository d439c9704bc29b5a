"""Replicas that keep the rules, and what a thief can sign, for driving the models.

A replica takes entries in any order. Its own view is that of the set it holds and of nothing else.
What it has applied and would now have to un-apply it names in a closing statement, in the same
step (decision 0005): so to whoever it reaches nothing applied is ever un-applied.
"""

from models.history import forked_at, pasts
from models.membership import View
from models.records import Act, Entries, Entry, Head, Note, Post, Remove
from models.validity import view


def write(key: str, known: Entries, act: Act, *, closing: tuple[Head, ...] = (), **how) -> Entry:
    """Sign an entry with `key` on the end of its feed in `known`.

    How: `hide` are entries that the author feigns not to know, `alone` is for recovery keys.
    """
    known -= frozenset(how.get("hide", ()))
    whole = pasts(known)
    feed = [entry for entry in whole if entry.author == key and entry.seq]
    last = max(feed, key=lambda entry: (entry.seq, entry.name), default=None)
    records = [entry for entry in whole if entry.is_record]
    covered = frozenset().union(*(whole[entry] for entry in records))
    knows = tuple(sorted(entry.name for entry in records if entry not in covered))
    seq, prev = (last.seq + 1, last.name) if last else (1, "")
    if how.get("alone"):
        seq, prev = 0, ""
    return Entry(key, seq, prev, knows, act, closing, how.get("salt", 0))


def heads(entries: Entries, feed: str) -> tuple[Head, ...]:
    """Return the ends of a feed's branches; a place before its first entry when there is none."""
    mine = [entry for entry in entries if entry.author == feed and entry.seq]
    ends = [entry.head for entry in mine if entry.name not in {each.prev for each in mine}]
    return tuple(sorted(ends)) or (Head(feed, 0, ""),)


class Replica:
    """One honest device."""

    def __init__(self, key: str, entries: Entries = frozenset()) -> None:
        self.key = key
        self.entries: Entries = frozenset()
        self.applied: set[Entry] = set()
        self.take(entries)

    @property
    def view(self) -> View:
        """What this replica shows."""
        return view(self.entries)

    @property
    def is_member(self) -> bool:
        """Whether it has a seat in its own view; only then it closes and writes."""
        return self.key in self.view.seats and self.key not in self.forked

    @property
    def forked(self) -> set[str]:
        """Feeds of which it holds a fork proof."""
        return set(forked_at(self.entries))

    def write(self, act: Act) -> Entry:
        """Append an entry of one's own."""
        entry = write(self.key, self.entries, act)
        self.take({entry})
        return entry

    def take(self, entries) -> None:
        """Take entries in one step, and close what would otherwise be un-applied."""
        self.entries |= frozenset(entries)
        lost = {entry for entry in self.applied - self.view.valid if saves(entry)}
        if lost and self.is_member:
            feeds = sorted({entry.author for entry in lost})
            kept = frozenset(self.applied)
            closing = tuple(head for feed in feeds for head in heads(kept, feed) if head.seq)
            closing += tuple(sorted(entry.head for entry in lost if entry.seq == 0))
            self.entries |= {write(self.key, self.entries, Note(), closing=closing)}
        self.applied = set(self.view.valid)


def saves(entry: Entry) -> bool:
    """Tell whether a closing statement can save an entry: what was written and who was let in."""
    return not isinstance(entry.act, Remove)


def texts(entries) -> set[Entry]:
    """Return the posts among entries."""
    return {entry for entry in entries if isinstance(entry.act, Post)}
