"""The membership log: what holds, what does not, and why order does not matter."""

import itertools

import pytest
from devices.membership_records import (
    SPACE,
    Person,
    admit,
    found,
    frontier,
    invite,
    revoke,
    succeed,
)

from meshd.core.drops import DropReason
from meshd.space import membership
from meshd.space.membership import HEIRS_MAX, MembershipLog, recompute
from meshd.wire import membership as wire
from meshd.wire.membership import Rank

INVALID, MISSING = DropReason.MEMBERSHIP_INVALID, DropReason.MEMBERSHIP_MISSING


@pytest.fixture
def people():
    return {name: Person(name) for name in ("anna", "ben", "carl", "dora", "eve")}


@pytest.fixture
def log(people):
    return MembershipLog(SPACE, people["anna"].author)


def add(log, *records):
    return [log.add(record) for record in records]


def test_founder_invites_and_a_member_admits(people, log):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start, uses=2)
    first = admit(anna, ben, link, link)
    second = admit(ben, carl, link, first)
    assert add(log, start, link, first, second) == [None] * 4
    assert [log.rank(person.author) for person in (anna, ben, carl)] == [
        Rank.OWNER,
        Rank.WRITER,
        Rank.WRITER,
    ]
    assert log.rank(people["eve"].author) is None
    assert log.admitted_by(link.digest) == {ben.author, carl.author}
    assert log.add(second) is None and len(log.records) == 4


def test_admission_that_knew_the_revocation_is_invalid_everywhere(people, log):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start, uses=9)
    first = admit(anna, ben, link, link)
    end = revoke(anna, link, first)
    assert add(log, start, link, first, end) == [None] * 4
    assert log.add(admit(ben, carl, link, end)) is INVALID


def test_admission_concurrent_with_the_revocation_is_valid_everywhere(people):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start, uses=9)
    first = admit(anna, ben, link, link)
    end, late = revoke(anna, link, first), admit(ben, carl, link, first)
    for order in ([end, late], [late, end]):
        log = MembershipLog(SPACE, anna.author)
        assert add(log, start, link, first, *order) == [None] * 5
        assert log.rank(carl.author) is Rank.WRITER and log.is_revoked(link.digest)


def test_one_admitter_cannot_use_an_invitation_up_twice(people, log):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start)
    first = admit(anna, ben, link, link)
    knowing, hiding = admit(anna, carl, link, first), admit(anna, carl, link, link)
    assert add(log, start, link, first, knowing, hiding) == [None, None, None, INVALID, INVALID]


def test_what_is_not_known_yet_is_held(people, log):
    anna, ben = people["anna"], people["ben"]
    start = found(anna)
    link = invite(anna, start)
    assert add(log, link, start, link) == [MISSING, None, None]
    assert log.add(admit(ben, people["carl"], link, admit(anna, ben, link, link))) is MISSING


@pytest.mark.parametrize("rank", list(Rank)[:4])
def test_what_each_rank_may_do(people, log, rank):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start, rank=rank)
    other = invite(anna, link, key="other", rank=Rank.READER)
    first = admit(anna, ben, link, other)
    assert add(log, start, link, other, first) == [None] * 4
    may_admit = log.add(admit(ben, carl, other, first, key="other"))
    assert may_admit is (None if rank >= Rank.READER else INVALID)
    heads = [signed for signed in log.records if signed.digest in log.frontier(ben.author)]
    may_invite = log.add(invite(ben, *heads, key="third", rank=Rank.READER))
    assert may_invite is (None if rank >= Rank.ADMIN else INVALID)
    heads = [signed for signed in log.records if signed.digest in log.frontier(ben.author)]
    may_revoke = log.add(revoke(ben, other, *heads))
    assert may_revoke is (None if rank >= Rank.ADMIN else INVALID)


def test_records_of_strangers_and_liars_are_invalid(people, log):
    anna, ben, eve = people["anna"], people["ben"], people["eve"]
    start = found(anna)
    link = invite(anna, start)
    assert add(log, start, link) == [None, None]
    forged = admit(anna, ben, link, link, key="not the key")
    self_made = admit(anna, ben, link, link, rank=Rank.ADMIN)
    no_consent = admit(anna, ben, link, link)
    no_consent = no_consent._replace(record=no_consent.record._replace(consent=bytes(64)))
    table = [
        found(eve),
        found(anna),
        invite(eve, link),
        admit(eve, eve, link, link),
        forged,
        self_made,
        no_consent,
        revoke(anna, start, link),
        admit(anna, ben, start._replace(record=link.record), link),
        succeed(eve, people["carl"], link),
        succeed(eve, anna, link),
    ]
    assert table[-1].seq > 1
    assert add(log, *table) == [INVALID] * len(table)
    assert log.digest() == recompute(SPACE, anna.author, [start, link])[0].digest()


def test_founding_comes_first_or_never(people, log):
    late = found(people["anna"])._replace(seq=2)
    assert log.add(late) is INVALID


def test_successor_has_the_rank_of_the_old_key_and_goes_on(people, log):
    anna, new, ben = people["anna"], people["dora"], people["ben"]
    start = found(anna)
    takes_over = succeed(new, anna, start)
    link = invite(new, takes_over)
    assert add(log, start, takes_over, link, admit(new, ben, link, link)) == [None] * 4
    assert log.rank(new.author) is Rank.OWNER and log.is_superseded(anna.author)
    again = succeed(new, anna, start)
    assert log.add(again._replace(seq=1)) is INVALID
    assert log.add(succeed(people["carl"], people["eve"], start)) is INVALID


def test_frontier_stays_short_and_names_the_own_record(people, log):
    anna = people["anna"]
    start = found(anna)
    link = invite(anna, start, uses=100)
    admins = [Person(f"admin {number}") for number in range(30)]
    power = invite(anna, link, key="power", rank=Rank.ADMIN, uses=100)
    records = [start, link, power]
    for admin in admins:
        records.append(admit(anna, admin, power, records[-1], key="power"))
    assert add(log, *records) == [None] * len(records)
    heads = [invite(admin, records[-1], key=f"of {n}") for n, admin in enumerate(admins)]
    assert add(log, *heads) == [None] * 30
    for admin, own in zip(admins, heads, strict=True):
        chosen = log.frontier(admin.author)
        assert len(chosen) == wire.FRONTIER_MAX and own.digest in chosen
        assert list(chosen) == sorted(chosen)
    named = [head for head in heads if head.digest in log.frontier(anna.author)]
    assert log.add(invite(anna, records[-1], *named[1:], key="next")) is None


def test_frontier_before_a_fork_leaves_the_branch_out(people, log):
    anna, ben = people["anna"], people["ben"]
    start = found(anna)
    link = invite(anna, start, uses=9)
    first = admit(anna, ben, link, link)
    assert add(log, start, link, first) == [None] * 3
    assert log.frontier_before(anna.author, 3) == frontier(link)
    assert log.frontier_before(anna.author, 2) == frontier(start)
    assert log.frontier_before(ben.author, 1) == frontier(first)
    assert log.frontier_before(anna.author, 1) == frontier(first)


def test_log_is_bounded(people, log, monkeypatch):
    monkeypatch.setattr(membership, "RECORDS_MAX", 2)
    anna = people["anna"]
    start = found(anna)
    link = invite(anna, start)
    assert add(log, start, link) == [None, None]
    assert log.add(revoke(anna, link, link)) is DropReason.MEMBERSHIP_FULL
    assert len(log.records) == 2


def test_recompute_tells_what_does_not_hold(people):
    anna, eve = people["anna"], people["eve"]
    start = found(anna)
    lie = invite(eve, start)
    log, left = recompute(SPACE, anna.author, [lie, start])
    assert left == [lie] and log.records == [start]


def test_heirs_of_one_admission_are_few(people, log):
    anna, ben = people["anna"], people["ben"]
    start = found(anna)
    link = invite(anna, start)
    last = admit(anna, ben, link, link)
    assert add(log, start, link, last) == [None] * 3
    heirs = [ben, *(Person(f"heir {number}") for number in range(HEIRS_MAX + 1))]
    for old, new in itertools.pairwise(heirs[:-1]):
        last = succeed(new, old, last)
        assert log.add(last) is None
        assert log.origin(new.author) == ben.author
    assert log.add(succeed(heirs[-1], heirs[-2], last)) is INVALID
    assert log.add(succeed(Person("late"), ben, last)) is INVALID
    assert log.heirs(ben.author) == HEIRS_MAX


def test_relay_names_no_heir(people, log):
    anna, ben = people["anna"], people["ben"]
    start = found(anna)
    link = invite(anna, start, rank=Rank.RELAY)
    first = admit(anna, ben, link, link)
    assert add(log, start, link, first) == [None] * 3
    assert log.add(succeed(people["carl"], ben, first)) is INVALID


def test_one_key_is_admitted_once_by_an_admitter(people, log):
    anna, ben = people["anna"], people["ben"]
    start = found(anna)
    link = invite(anna, start, uses=9)
    first = admit(anna, ben, link, link)
    assert add(log, start, link, first) == [None] * 3
    assert log.add(admit(ben, ben, link, first)) is INVALID


def test_nobody_builds_on_the_succession_of_another(people, log):
    anna, ben, carl = people["anna"], people["ben"], people["carl"]
    start = found(anna)
    link = invite(anna, start)
    first = admit(anna, ben, link, link)
    heir = succeed(carl, ben, first)
    assert add(log, start, link, first, heir) == [None] * 4
    assert log.frontier(anna.author) == frontier(first)
    assert log.frontier(carl.author) == frontier(heir)
