"""Forks: how two replicas find one, what proves it, what a bare claim changes.

Enters: what two replicas hold of one feed, or a neighbour's claim. Leaves: a proof of two signed
entries, or nothing. What becomes of the branches is in `validity.py`: a fork pins its feed at the
last common entry, and closing statements say which ends had been applied.
"""

from typing import NamedTuple

from models.history import forked_at, pasts
from models.records import Entries, Entry, Head


class Proof(NamedTuple):
    """Two signed entries with one author and one number that differ."""

    one: Entry
    other: Entry

    def holds(self) -> bool:
        """Tell whether this proves a fork; who relays it need not be believed."""
        one, other = self
        same = one.author == other.author and one.seq == other.seq > 0
        return same and one.name != other.name


class Found(NamedTuple):
    """A proof, and how many entries were compared until it was found."""

    proof: Proof
    compared: int


def branch(entries: Entries, feed: str) -> list[Entry]:
    """Return the branch that a replica follows: that of the longest, then smallest, end."""
    mine = [each for each in pasts(entries) if each.author == feed and each.seq]
    if not mine:
        return []
    by_name = {each.name: each for each in mine}
    end: Entry | None = min(mine, key=lambda each: (-each.seq, each.name))
    found = []
    while end is not None:
        found.append(end)
        end = by_name.get(end.prev)
    return found[::-1]


def vector(entries: Entries) -> dict[str, Head]:
    """Return the head of every feed: what HAVE says, number and running hash."""
    feeds = sorted({each.author for each in entries if each.seq})
    return {feed: branch(entries, feed)[-1].head for feed in feeds if branch(entries, feed)}


def compare(mine: list[Entry], theirs: list[Entry]) -> Found | None:
    """Find where two branches part, by halves: equal running hashes fix all that came before."""
    low, high = 0, min(len(mine), len(theirs))
    compared = 1
    if not high or mine[high - 1] == theirs[high - 1]:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        compared += 1
        if mine[middle - 1] == theirs[middle - 1]:
            low = middle
        else:
            high = middle
    return Found(Proof(mine[high - 1], theirs[high - 1]), compared)


def exchange(mine: Entries, theirs: Entries) -> list[Proof]:
    """Return the forks that two replicas find by comparing heads, and all that one of them knew.

    A shorter head is compared where the longer feed has that number, never by number alone.
    """
    known = [known_proof(each, feed) for each in (mine, theirs) for feed in forked_at(each)]
    feeds = vector(mine).keys() & vector(theirs).keys()
    found = [compare(branch(mine, feed), branch(theirs, feed)) for feed in sorted(feeds)]
    return known + [each.proof for each in found if each]


def known_proof(entries: Entries, feed: str) -> Proof:
    """Return the proof of a fork of which both entries are held."""
    seq = forked_at(entries)[feed]
    one, other, *_ = sorted(
        (each for each in entries if (each.author, each.seq) == (feed, seq)),
        key=lambda each: each.name,
    )
    return Proof(one, other)


def must_begin_anew(own: Head, claimed: int, shown: Entry | None) -> bool:
    """Tell whether a device must start a new feed, after a neighbour's claim about its own.

    A bare claim of a higher number changes nothing; only an entry that it signed itself does.
    """
    if shown is None or shown.author != own.feed or shown.seq != claimed:
        return False
    return shown.seq > own.seq or (shown.seq == own.seq and shown.name != own.name)
