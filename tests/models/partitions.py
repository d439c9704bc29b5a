"""Small worlds for the models: honest replicas in partitions, and thieves who sign what they like.

Every step is a few small integers, so that Hypothesis can choose, shrink and play it again; the
salts of all entries are a parameter, so that a play can be compared with its ground twin.
"""

from models.history import pasts
from models.records import (
    REMOVALS,
    AddDevice,
    Admit,
    Entry,
    Found,
    Invite,
    Post,
    Promote,
    Rank,
    Recover,
    Remove,
    Rotate,
    Succeed,
)
from models.replica import Replica, heads, saves, write
from models.validity import view

CAST = {"anna": "Anna", "ben": "Ben", "carl": "Carl", "dora": "Dora", "eve": "Eve"}
RANKS = {"Ben": Rank.ADMIN, "Carl": Rank.ADMIN, "Dora": Rank.WRITER, "Eve": Rank.READER}


def beginning(salt=0):
    """Return the records of a space of five: an owner, two admins, a writer, a reader."""
    known = frozenset()

    def sign(act):
        nonlocal known
        entry = write("anna", known, act, salt=salt)
        known |= {entry}
        return entry

    sign(Found("Anna", "!Anna"))
    for person, rank in RANKS.items():
        invite = sign(Invite(rank))
        sign(Admit(person, person.lower(), invite.name, f"!{person}"))
    return known


WHAT = (
    *("post", "remove", "expel", "invite", "admit", "promote", "device", "recover", "rotate"),
    *("merge", "merge", "merge", "merge", "thief", "thief", "thief"),
)
"""What a step may be; merging and stealing are frequent."""


class World:
    """Replicas of the cast; `created` has all entries signed after the beginning, in order."""

    def __init__(self, salts=(0,)):
        self.salts = salts
        self.start = beginning(salts[0])
        self.replicas = {key: Replica(key, self.start) for key in CAST}
        self.created: list[Entry] = []
        self.shrunk: list[str] = []

    def step(self, what, one, two, three):
        """Do a step; numbers are taken modulo what there is."""
        replica = pick(list(self.replicas.values()), one)
        if what == "merge":
            self.merge(replica, pick(list(self.replicas.values()), two), three)
        elif what == "thief":
            self.steal(replica, two, three)
        elif what == "recover":
            self.recover(replica, pick([*sorted(RANKS), "Anna"], two))
        elif replica.is_member:
            act = self.act(what, replica, two, three)
            if act is not None:
                self.give(replica, {self.sign(replica.key, replica.entries, act)})

    def act(self, what, replica, two, three):
        """Return something that the author of an entry may want."""
        view = replica.view
        devices = sorted(view.seats) + sorted(view.gone)
        target = pick(devices or [replica.key], two)
        fresh = f"{replica.key}-{len(self.created)}"
        if what == "post":
            return Post(pick([("text",), ("text", "rules"), ("rules",)], three))
        if what == "remove":
            return Remove(heads(replica.entries, target))
        if what == "expel":
            person = view.person(target)
            keys = [key for key in devices if view.person(key) == person]
            pins = tuple(pin for key in keys for pin in heads(replica.entries, key))
            return Remove(pins, person)
        if what == "invite":
            return Invite(pick(list(Rank)[:5], two))
        if what == "admit":
            known = view.valid
            links = sorted(each.head for each in known if isinstance(each.act, Invite))
            link = pick(links, two).name if links else ""
            return Admit(fresh.title(), fresh, link, "!" + fresh.title())
        if what == "promote":
            people = sorted(view.ranks) or [""]
            return Promote(pick(people, two), pick(list(Rank)[:5], three))
        if what == "device":
            return AddDevice(fresh)
        if what == "succeed":
            return Succeed(replica.key)
        return Rotate() if what == "rotate" else None

    def recover(self, replica, person):
        """Use a phrase on a replica's data: a new device comes in, all others of the person go."""
        view = replica.view
        lost = [key for key, who in sorted(view.seats.items()) if who == person]
        pins = tuple(pin for key in lost for pin in heads(replica.entries, key))
        act = Recover(f"{person.lower()}-{len(self.created)}", pins)
        entry = self.sign(f"!{person}", replica.entries, act, alone=True)
        self.give(replica, {entry})
        self.replicas.setdefault(act.device, Replica(act.device, replica.entries))

    def steal(self, replica, two, three, *, key=None, hidden=None):
        """Sign with the key of any device, feigning not to know some of what it knows.

        `hidden` is an entry that it always feigns not to know.
        """
        known = replica.entries
        key = key or pick(sorted({entry.author for entry in known if entry.seq}), two)
        last = [e for e in self.created if e in pasts(known)][three % 7 :] if three % 2 else []
        gaps = {hidden, *last}
        hide = {e for e in known if e in gaps or gaps & pasts(known).get(e, frozenset())}
        forged = Replica(key)
        forged.entries = known - hide
        acts = ["post", "remove", "expel", "admit", "device", "promote", "invite", "succeed"]
        act = self.act(pick(acts, two + three), forged, three, two)
        if act is None:
            return None
        closing = ()
        if three % 3 == 0:
            closing = tuple(h for k in sorted(forged.view.gone) for h in heads(known, k) if h.seq)
        if isinstance(act, Succeed):
            key = f"{key}-{len(self.created)}"
        entry = self.sign(key, known, act, hide=hide, closing=closing)
        self.give(replica, {entry})
        return entry

    def merge(self, replica, other, three):
        """One replica takes what another has: all, or the first few that it lacks."""
        lacks = [e for e in self.created if e in other.entries and e not in replica.entries]
        part = lacks[: three % 5 + 1] if three % 2 else lacks
        for entry in part[:: -1 if three % 4 > 1 else 1]:
            self.give(replica, {entry})

    def meet(self):
        """Let all take everything, until nothing moves."""
        while True:
            everything = frozenset(self.created) | self.start
            behind = [r for r in self.replicas.values() if not everything <= r.entries]
            for replica in behind:
                self.give(replica, everything)
            if not behind:
                return

    def final(self):
        """Return the view of all that was ever signed."""
        return view(frozenset(self.created) | self.start)

    def sign(self, key, known, act, **how):
        how.setdefault("salt", self.salts[len(self.created) % len(self.salts)])
        entry = write(key, known, act, **how)
        if entry not in self.created:
            self.created.append(entry)
        return entry

    def give(self, replica, entries):
        """Hand over entries; note what a member had to un-apply, and what it wrote by itself."""
        before = {entry for entry in replica.applied if saves(entry)}
        replica.take(entries)
        own = sorted(replica.entries - set(self.created) - self.start, key=lambda e: e.seq)
        self.created += own
        if replica.is_member and not before <= replica.applied:
            self.shrunk.append(f"{replica.key} lost {before - replica.applied}")


def pick(choices, number):
    """Return one of the choices."""
    return choices[number % len(choices)]


def removals(entries):
    """Return the removals among entries."""
    return [entry for entry in entries if isinstance(entry.act, REMOVALS)]
