"""The membership and the forks that meshd has now, driven beside the models with the same records.

They overlap in: founding, invitations, admissions, succession, rights by causal past, what is held
until its past is here, forks found by heads. Removal, rank order and closing statements are models
only: version 0 has none of them.
"""

from copy import deepcopy

import pytest
from devices.membership_records import SPACE, Person, admit, found, invite, succeed
from devices.space_devices import Device, founder, joined, meet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models.forks import compare
from models.membership import View
from models.records import FOUNDER, Admit, Entry, Found, Invite, Post, Rank, Succeed
from models.validity import view

from meshd.space.feed import Accepted
from meshd.space.membership import MembershipLog, recompute
from meshd.wire.membership import Rank as WireRank

NUMBER = st.integers(0, 59)
WHAT = st.sampled_from(["invite", "invite", "admit", "admit", "admit", "succeed"])
STEPS = st.lists(st.tuples(WHAT, NUMBER, NUMBER, NUMBER), max_size=14)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
RANKS = [rank for rank in Rank if rank <= Rank.ADMIN]


class Both:
    """The same records twice: signed for meshd, and as entries of the model."""

    def __init__(self):
        self.people = {FOUNDER: Person(FOUNDER)}
        self.pairs = []
        self.last = {}
        self.keep(FOUNDER, found(self.people[FOUNDER]), Found("Anna", "!Anna"), [])

    def keep(self, who, signed, act, known):
        before = self.last.get(who)
        knows = tuple(sorted(entry.name for _, entry in known))
        entry = Entry(who, signed.seq, before.name if before else "", knows, act)
        self.last[who] = entry
        self.pairs.append((signed, entry))

    def step(self, what, one, two, three):
        """Let anybody, member or not, sign something that knows its own last record and others.

        Nobody builds on what is refused: version 0 would wait for it for ever, the model would not.
        """
        who = sorted(self.people)[one % len(self.people)]
        other = sorted(self.people)[three % len(self.people)]
        person = self.people[who]
        good = view(frozenset(entry for _, entry in self.pairs)).valid
        known = [pair for pair in self.pairs if pair[1] == self.last.get(who)]
        if known and known[0][1] not in good:
            return
        near = self.pairs[two % len(self.pairs) :][:2]
        known += [pair for pair in near if pair not in known and pair[1] in good]
        signed = [each for each, _ in known]
        links = [p for p in self.pairs if isinstance(p[1].act, Invite) and p[1] in good]
        if what == "invite":
            rank = RANKS[three % len(RANKS)]
            record = invite(person, *signed, rank=WireRank(rank), uses=99)
            self.keep(who, record, Invite(rank), known)
        elif what == "admit" and links:
            link = links[two % len(links)]
            known += [link] * (link not in known)
            fresh = self.join()
            record = admit(person, self.people[fresh], link[0], *(each for each, _ in known))
            self.keep(who, record, Admit(fresh, fresh, link[1].name), known)
        elif what == "succeed":
            fresh = self.join()
            record = succeed(self.people[fresh], self.people[other], *signed)
            self.keep(fresh, record, Succeed(other), known)

    def join(self):
        name = f"p{len(self.people)}"
        self.people[name] = Person(name)
        return name

    def agree(self, log: MembershipLog, seen: View):
        """Compare what holds and what rank it gives."""
        holds = {signed.digest for signed in log.records}
        for signed, entry in self.pairs:
            if entry in seen.entries:
                assert (signed.digest in holds) == (entry in seen.valid), entry
        for name, person in self.people.items():
            if name != FOUNDER or seen.valid:  # version 0 takes the founder's rank from the genesis
                assert log.rank(person.author) == seen.rank(name), name


@given(STEPS, st.randoms(use_true_random=False))
@QUICK
def test_membership_of_version_0_is_that_of_the_model(steps, random):
    both = Both()
    for step in steps:
        both.step(*step)
    random.shuffle(both.pairs)
    part = both.pairs[: random.randrange(len(both.pairs) + 1)]
    for pairs in (part, both.pairs):
        log, _ = recompute(SPACE, both.people[FOUNDER].author, [each for each, _ in pairs])
        both.agree(log, view(frozenset(entry for _, entry in pairs)))


@given(STEPS, st.randoms(use_true_random=False))
@QUICK
def test_version_0_un_applies_nothing_as_records_arrive(steps, random):
    both = Both()
    for step in steps:
        both.step(*step)
    random.shuffle(both.pairs)
    log = MembershipLog(SPACE, both.people[FOUNDER].author)
    for at in range(len(both.pairs)):
        moved = True
        while moved:
            count = len(log.records)
            for signed, _ in both.pairs[: at + 1]:
                log.add(signed)
            moved = len(log.records) > count
        both.agree(log, view(frozenset(entry for _, entry in both.pairs[: at + 1])))


@pytest.mark.parametrize("common, one, other", [(0, 1, 1), (1, 3, 2), (2, 2, 4)])
def test_fork_of_version_0_is_found_and_neither_branch_grows(common, one, other):
    """With real entries the model finds the same proof, and holds what version 0 refuses."""
    anna = founder()
    ben = joined("ben", anna)
    for number in range(common):
        ben.ask("post", space="home", text=f"common {number}")
    meet(anna, ben)
    twin = Device("ben", store=deepcopy(ben.store))
    author, space = ben.space().author, anna.space()
    ends = []
    for device, count in ((ben, one), (twin, other)):
        for number in range(count):
            device.ask("post", space="home", text=f"{len(ends)} {number}")
        ends.append([data for who, data in device.entries(device.space()) if who == author])
    branches = [as_model(space, author, end) for end in ends]
    found_at = compare(*branches).proof.one.seq
    assert found_at == common + 1
    taken = [anna.spaces.accept(space, author, data, 0) for data in ends[0][common:]]
    assert all(isinstance(each, Accepted) for each in taken)
    proof = ends[0][common], ends[1][common]
    assert anna.spaces.fork(space, author, found_at, *proof, now=0) is None
    more = ends[0] + ends[1]
    assert not any(isinstance(anna.spaces.accept(space, author, d, 0), Accepted) for d in more)
    assert space.feeds[author].frozen and space.feeds[author].seq == common + one


def as_model(space, author, run):
    """Return a run of real entries as entries of the model: what they sign is their salt."""
    known = []
    for data in run:
        digest = int.from_bytes(space.entry_digest(author, data)[:8], "big")
        before = known[-1].name if known else ""
        known.append(Entry("ben", len(known) + 1, before, (), Post(), salt=digest))
    return known
