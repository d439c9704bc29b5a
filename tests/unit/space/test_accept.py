"""What a space accepts, and the named reason for everything that it refuses."""

import copy

import pytest
from devices.space_devices import SECOND, Device, founder, join, joined, meet

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError
from meshd.space import entries
from meshd.space import invitations as joins
from meshd.space import space as space_module
from meshd.space.entries import Draft, Place
from meshd.space.feed import Accepted, Duplicate, EntryApplied, EntryDurable, Forked
from meshd.space.membership import (
    decode_record,
    device_statement,
    successor_statement,
)
from meshd.space.record import decode_space, fork_key, space_key, unpack_fork
from meshd.store.interface import StoreError, StoreFault
from meshd.wire import entry as wire
from meshd.wire import invitation as wire_invitation
from meshd.wire import membership as wire_membership
from meshd.wire.entry import Kind
from meshd.wire.membership import Successor
from meshd.wire.payload import Post


@pytest.fixture
def pair():
    anna = founder()
    ben = joined("ben", anna)
    meet(anna, ben)
    return anna, ben


def forge(device, *, seq=None, running=None, kind=Kind.POST, clear=b"", payload=b"x", seed=None):
    """Sign an entry with a device's own key, at any place, outside its feed."""
    space = device.space()
    feed = space.feeds.get(space.author)
    place = Place(
        (feed.seq if feed else 0) + 1 if seq is None else seq,
        (feed.hash32 if feed else space.first_running(space.author))
        if running is None
        else running,
        space.log.digest(),
        1,
    )
    seed = seed or space.record().seed
    return entries.write(space.keys, space.id, seed, place=place, draft=Draft(kind, clear, payload))


def accept(device, author, entry):
    data = entry if isinstance(entry, bytes) else entry.encode()
    result = device.spaces.accept(device.space(), author, data, device.now)
    device.run()
    return result


def resign(entry, device, **changes):
    """Change fields of an entry's head and sign it again."""
    space = device.space()
    head = entry.head._replace(**changes)
    statement = wire.statement(space.id, space.author, head, entry.body_hash)
    return entry._replace(head=head, signature=crypto.sign(space.record().seed, statement))


def test_entry_is_accepted_once(pair):
    anna, ben = pair
    entry = forge(ben)
    author, space = ben.space().author, anna.space().id
    anna.events.clear()
    assert accept(anna, author, entry) == Accepted(1)
    assert anna.events == [
        EntryApplied(space, author, 1, entry.encode()),
        EntryDurable(space, author, 1, False),
    ]
    assert accept(anna, author, entry) == Duplicate(1)


def test_every_refusal_has_its_name(pair):
    anna, ben = pair
    author = ben.space().author
    good = forge(ben)
    table = [
        (b"junk", DropReason.ENTRY_MALFORMED),
        (good._replace(signature=bytes(64)), DropReason.ENTRY_SIGNATURE),
        (good.erased(), DropReason.ENTRY_ERASED),
        (resign(good, ben, author_id=bytes(4)), DropReason.ENTRY_AUTHOR),
        (resign(good, ben, epoch_id=bytes(4)), DropReason.EPOCH_UNKNOWN),
        (resign(good, ben, seq=3), DropReason.ENTRY_GAP),
        (resign(good, ben, seq=0xFFFFFFFF), DropReason.ENTRY_GAP),
        (resign(good, ben, prev=bytes(8)), DropReason.FORK_SUSPECTED),
        (forge(ben, kind=9), DropReason.ENTRY_KIND),
        (forge(ben, kind=Kind.INVITE, clear=b"junk"), DropReason.ENTRY_MALFORMED),
    ]
    before = anna.space().feeds.copy(), anna.space().log.digest()
    for entry, reason in table:
        assert accept(anna, author, entry) is reason
    assert (anna.space().feeds, anna.space().log.digest()) == before
    assert accept(anna, author, good) == Accepted(1)


def test_entry_of_a_stranger_waits_for_its_admission(pair):
    anna, ben = pair
    carl = joined("carl", anna)
    carl.ask("post", space="home", text="I am new")
    author = carl.space().author
    data = carl.store.entries[carl.space().id, author][1]
    assert accept(ben, author, data) is DropReason.AUTHOR_UNKNOWN
    meet(anna, ben)
    assert accept(ben, author, data) == Accepted(1)
    assert carl.texts() == ben.texts() == ["I am new"]


def test_reader_may_not_post_and_says_so():
    anna = founder()
    rita = joined("rita", anna, role="reader")
    with pytest.raises(RequestError, match="reader"):
        rita.ask("post", space="home", text="I may not")
    assert accept(anna, rita.space().author, forge(rita)) is DropReason.ENTRY_RIGHT


def test_kind_of_a_later_version_is_carried(pair):
    anna, ben = pair
    assert accept(anna, ben.space().author, forge(ben, kind=200)) == Accepted(1)
    assert anna.log() == []


def test_feeds_are_bounded(pair, monkeypatch):
    anna, ben = pair
    monkeypatch.setattr(space_module, "FEEDS_MAX", len(anna.space().feeds))
    assert accept(anna, ben.space().author, forge(ben)) is DropReason.FEEDS_FULL
    assert len(anna.space().feeds) == 1


def test_store_that_failed_takes_nothing_until_it_is_reopened(pair):
    anna, ben = pair
    heads = anna.space().feeds[anna.space().author].seq
    anna.store.fail_next = StoreError(StoreFault.FULL, "no space left on the card", remedy="")
    reply = anna.ask("post", space="home", text="lost?")
    assert "no space left" in reply.error and reply.value is None
    assert anna.space().feeds[anna.space().author].seq == heads
    anna.ask("post", space="home", text="kept")
    meet(anna, ben)
    assert anna.texts() == ben.texts() == ["kept"]


def test_between_failure_and_reopening_all_is_refused(pair):
    anna, ben = pair
    anna.held = True
    anna.ask("post", space="home", text="one")
    anna.spaces.commit_failed(anna.waiting[0].number, "the card is gone", anna.now)
    assert accept(anna, ben.space().author, forge(ben)) is DropReason.STORE_CLOSED
    with pytest.raises(RequestError, match="reopened"):
        anna.ask("post", space="home", text="two")
    assert anna.spaces.joins.answer(b"", 1, 0) is DropReason.STORE_CLOSED


def test_late_word_of_an_old_failure_closes_nothing(pair):
    anna, _ = pair
    anna.held = True
    anna.ask("post", space="home", text="one")
    number = anna.waiting[0].number
    anna.spaces.reload(anna.store.reopen(), anna.now)
    anna.waiting.clear()
    anna.spaces.commit_failed(number, "the card is gone", anna.now)
    anna.held = False
    assert anna.ask("post", space="home", text="two").value["seq"] == 4
    assert anna.texts() == ["two"]


# --- forks ----------------------------------------------------------------------------------------


def fork_of(ben, *texts):
    return [forge(ben, payload=Post(text).encode()).encode() for text in texts]


def test_conflict_at_the_head_is_suspected_and_proven(pair):
    anna, ben = pair
    space, author = anna.space(), ben.space().author
    mine, theirs = fork_of(ben, "yes", "no")
    assert accept(anna, author, mine) == Accepted(1)
    assert accept(anna, author, theirs) is DropReason.FORK_SUSPECTED
    assert not space.feeds[author].frozen
    assert anna.spaces.fork(space, author, 1, mine, theirs, now=0) is None
    anna.run()
    assert space.feeds[author].frozen
    assert unpack_fork(anna.store.metas[fork_key(space.id, author)]) == (1, mine, theirs)
    notice = anna.kinds("fork")[0]
    assert (
        notice.warning
        and notice.fields["node"]
        == anna.ask("space.members", space="home").value["members"][1]["node"]
    )
    assert Forked(space.id, author, 1) in anna.events
    assert anna.spaces.statuses()[0].forks == (notice.fields["node"],)
    following = forge(ben, seq=2, running=space.feeds[author].hash32)
    assert accept(anna, author, following) is DropReason.FEED_FROZEN
    anna.start()
    assert anna.space().feeds[author].frozen


def test_fork_that_is_not_proven_changes_nothing(pair):
    anna, ben = pair
    space, author = anna.space(), ben.space().author
    mine, theirs = fork_of(ben, "yes", "no")
    flipped = theirs[:-1] + bytes([theirs[-1] ^ 1])
    for seq, first, second in [
        (1, mine, mine),
        (1, mine, flipped),
        (2, mine, theirs),
        (1, b"junk", theirs),
    ]:
        refused = anna.spaces.fork(space, author, seq, first, second, now=0)
        assert refused is DropReason.FORK_UNPROVEN
    assert author not in space.feeds


def roll_back(device, texts_after):
    """Write more, then put the store back to what it held before; return what was lost."""
    saved = copy.deepcopy(device.store)
    for text in texts_after:
        device.ask("post", space="home", text=text)
    space, lost = device.space(), device.store
    device.store = saved
    return space.author, lost.entries[space.id, space.author]


def test_rolled_back_feed_is_noticed_and_a_new_one_takes_over(pair):
    anna, ben = pair
    old, lost = roll_back(ben, ["one", "two"])
    for data in [lost[1], lost[2]]:
        assert isinstance(accept(anna, old, data), Accepted)
    ben.start()
    assert accept(ben, old, lost[2]) is DropReason.ENTRY_GAP
    assert ben.space().author != old and ben.kinds("feed-restarted")
    meet(anna, ben)
    ben.ask("post", space="home", text="three")
    meet(anna, ben)
    assert sorted(anna.texts()) == sorted(ben.texts()) == ["one", "three", "two"]
    members = anna.ask("space.members", space="home").value["members"]
    known = {(member["author"], member["current"]) for member in members if member["name"] == "ben"}
    assert known == {(old.hex(), False), (ben.space().author.hex(), True)}
    ben.start()
    assert ben.space().author != old and ben.space().role == "writer"


@pytest.mark.parametrize("written_more", [4, 6])
def test_new_feed_after_a_rollback_builds_on_nothing_that_others_may_never_get(pair, written_more):
    anna, ben = pair
    old, lost = roll_back(anna, [f"lost {number}" for number in range(written_more)])
    first = min(seq for seq in lost if seq not in anna.store.entries[anna.space().id, old])
    for seq in range(first, first + written_more):
        assert isinstance(accept(ben, old, lost[seq]), Accepted)
    anna.start()
    for _ in range(3):
        anna.ask("invite", space="home")
    evidence = lost[max(lost)]
    assert accept(anna, old, evidence) in (DropReason.FORK_SUSPECTED, DropReason.ENTRY_GAP)
    new = anna.space().author
    assert new != old
    anna.ask("post", space="home", text="by the new feed")
    for data in anna.store.entries[anna.space().id, new].values():
        assert isinstance(accept(ben, new, data), Accepted)
    assert "by the new feed" in ben.texts()


def test_own_entry_after_our_head_is_taken_back_and_the_feed_changes(pair):
    _, ben = pair
    old, lost = roll_back(ben, ["one"])
    ben.start()
    assert accept(ben, old, lost[1]) == Accepted(1)
    assert ben.space().author != old and ben.texts() == ["one"]


def test_claim_of_a_later_own_number_needs_our_signature(pair):
    _, ben = pair
    space = ben.space()
    forged = forge(ben, seq=9)._replace(signature=bytes(64))
    assert accept(ben, space.author, forged) is DropReason.ENTRY_SIGNATURE
    assert not ben.kinds("feed-restarted")


def test_twin_of_this_device_leads_to_a_new_feed(pair):
    anna, ben = pair
    twin = forge(ben, payload=b"by the twin")
    ben.ask("post", space="home", text="by us")
    old = ben.space().author
    assert accept(ben, old, twin) is DropReason.FORK_SUSPECTED
    assert ben.space().author != old
    mine = ben.store.entries[ben.space().id, old][1]
    assert ben.spaces.fork(ben.space(), old, 1, mine, twin.encode(), now=0) is None
    assert accept(anna, old, twin) == Accepted(1)
    refused = meet(anna, ben)
    assert set(refused) <= {DropReason.FORK_SUSPECTED, DropReason.FEED_FROZEN}
    ben.ask("post", space="home", text="still a member")
    meet(anna, ben)
    assert "still a member" in anna.texts()


def test_after_a_fork_the_new_feed_builds_on_nothing_that_others_may_lack(pair):
    anna, ben = pair
    old = anna.space().author
    twin = forge(anna, payload=b"by the twin")
    assert accept(ben, old, twin) == Accepted(4)
    anna.ask("invite", space="home")
    assert accept(anna, old, twin) is DropReason.FORK_SUSPECTED
    assert anna.space().author != old
    anna.ask("post", space="home", text="still here")
    meet(anna, ben)
    assert ben.texts() == ["by the twin", "still here"]
    assert ben.space().log.rank(anna.space().author) == 4


def test_proof_of_an_own_fork_leads_to_a_feed_that_the_other_branch_takes(pair):
    anna, ben = pair
    old = anna.space().author
    twin = forge(anna, payload=b"by the twin").encode()
    assert accept(ben, old, twin) == Accepted(4)
    for _ in range(2):
        anna.ask("invite", space="home")
    mine = anna.store.entries[anna.space().id, old][4]
    assert anna.spaces.fork(anna.space(), old, 4, mine, twin, now=0) is None
    anna.run()
    anna.ask("post", space="home", text="still here")
    meet(anna, ben)
    assert ben.texts() == ["by the twin", "still here"]


def test_successor_needs_the_old_key(pair):
    anna, ben = pair
    seed = bytes(31) + b"s"
    space, author = anna.space(), crypto.sign_public(seed)
    record = Successor(space.log.frontier(author), ben.space().author, 0, bytes(32), b"")
    statement = successor_statement(space.id, author, record)
    for signer, wanted in [(seed, DropReason.MEMBERSHIP_INVALID), (None, Accepted(1))]:
        signature = crypto.sign(signer or ben.space().record().seed, statement)
        clear = record._replace(signature=signature).encode()
        running = space.first_running(author)
        entry = forge(
            ben, seq=1, running=running, kind=Kind.SUCCESSOR, clear=clear, payload=b"", seed=seed
        )
        assert accept(anna, author, entry) == wanted
    assert space.log.rank(author) == space.log.rank(ben.space().author)


def test_heirs_that_know_nothing_of_each_other_crowd_nobody_out(pair, monkeypatch):
    anna, ben = pair
    space, old = anna.space(), ben.space()
    results = []
    for number in range(12):
        seed = bytes(31) + bytes([number])
        author = crypto.sign_public(seed)
        record = Successor(space.log.frontier(author), old.author, 0, bytes(32), b"")
        statement = successor_statement(space.id, author, record)
        clear = record._replace(signature=crypto.sign(old.record().seed, statement)).encode()
        running = space.first_running(author)
        entry = forge(
            ben, seq=1, running=running, kind=Kind.SUCCESSOR, clear=clear, payload=b"", seed=seed
        )
        results.append(accept(anna, author, entry))
    assert results == [Accepted(1)] * 8 + [DropReason.FEEDS_FULL] * 4
    monkeypatch.setattr(space_module, "FEEDS_MAX", 3)
    carl = joined("carl", anna)
    carl.ask("post", space="home", text="there is room for me")
    meet(carl, anna)
    assert "there is room for me" in anna.texts()


# --- what is kept ---------------------------------------------------------------------------------


def test_keys_are_in_no_repr(pair):
    anna, _ = pair
    space = anna.space()
    key = space_key(space.id)
    record = decode_space(key, anna.store.metas[key])
    assert record == space.record()
    shown = repr(record) + repr(space.keys) + str(vars(anna.spaces)) + repr(anna.identity)
    for secret in (record.epoch_key, record.seed, record.fetch, anna.identity.device_seed):
        assert secret.hex() not in shown and repr(secret) not in shown


def test_damaged_rows_are_told_and_the_rest_lives_on(pair):
    anna, _ = pair
    anna.ask("space.create", name="other")
    damaged = anna.spaces.find("other")
    anna.store.metas[space_key(damaged.id)] = b'{"version":0}'
    head = next(key for key in anna.store.metas if key.startswith(f"head/{anna.space().id.hex()}"))
    anna.store.metas[head] = b"?"
    anna.start()
    anna.run()
    assert [space.name for space in anna.spaces.all()] == ["home"]
    assert anna.kinds("space-damaged") and anna.kinds("feed-damaged")
    codes = {problem.code for problem in anna.spaces.told()}
    assert codes == {"space-damaged", "space-lost", "feed-damaged"}
    assert all(problem.remedy for problem in anna.spaces.told())


@pytest.mark.parametrize("part", ["name", "value"])
def test_every_flipped_bit_of_a_space_record_is_told(pair, part):
    anna, _ = pair
    key = space_key(anna.space().id)
    value = anna.store.metas.pop(key)
    for place in range(0, len(key if part == "name" else value), 7):
        name, data = bytearray(key.encode()), bytearray(value)
        (name if part == "name" else data)[place] ^= 1
        anna.store.metas[name.decode()] = bytes(data)
        anna.start()
        codes = {problem.code for problem in anna.spaces.told()}
        assert codes >= {"space-damaged", "space-lost"} and anna.spaces.all() == []
        del anna.store.metas[name.decode()]


def test_space_record_without_its_digest_is_told(pair):
    anna, _ = pair
    key = space_key(anna.space().id)
    anna.store.metas[key] = anna.store.metas[key].rpartition(b"\n")[0]
    anna.start()
    codes = {problem.code for problem in anna.spaces.told()}
    assert codes == {"space-damaged", "space-lost"} and anna.spaces.all() == []


def test_space_whose_record_is_gone_is_joined_again_over_its_old_entries(pair):
    anna, ben = pair
    ben.ask("post", space="home", text="before")
    meet(anna, ben)
    del ben.store.metas[space_key(ben.space().id)]
    ben.start()
    assert [problem.code for problem in ben.spaces.told()] == ["space-lost"]
    join(ben, anna, anna.ask("invite", space="home", role="writer").value["url"])
    meet(anna, ben)
    ben.ask("post", space="home", text="again")
    meet(anna, ben)
    assert sorted(anna.texts()) == sorted(ben.texts()) == ["again", "before"]


def test_device_statement_ties_the_card_to_the_space(pair):
    anna, ben = pair
    member = next(m for m in anna.space().members() if m.name == "ben")
    assert member.device_public == ben.identity.public and member.node == ben.identity.node
    assert device_statement(anna.space().id, member.author).endswith(member.author)


def test_only_the_receiver_sends_a_receipt(pair):
    anna, ben = pair
    carl = joined("carl", anna)
    meet(anna, ben, carl)
    anna.ask("post", space="home", text="for ben", to="ben")
    meet(anna, ben, carl)
    carl.wait(5 * SECOND)
    assert carl.space().author not in carl.space().feeds


def test_receipt_for_what_had_the_number_before_the_card_was_put_back_delivers_nothing(pair):
    anna, ben = pair
    saved = copy.deepcopy(anna.store)
    old = anna.ask("post", space="home", text="first", to="ben").value["seq"]
    meet(anna, ben)
    ben.wait(5 * SECOND)
    receipt = ben.store.entries[ben.space().id, ben.space().author][1]
    anna.store = saved
    anna.start()
    assert anna.ask("post", space="home", text="second", to="ben").value["seq"] == old
    dropped = anna.ctx.drops.total(DropReason.FORK_SUSPECTED)
    assert accept(anna, ben.space().author, receipt) == Accepted(1)
    anna.run()
    assert anna.log()[-1]["text"] == "second" and anna.log()[-1]["delivered"] is False
    assert not anna.kinds("delivered")
    assert anna.ctx.drops.total(DropReason.FORK_SUSPECTED) == dropped + 1


def test_receipt_for_an_own_entry_that_is_not_here_is_a_sign_of_a_card_that_was_put_back(pair):
    anna, ben = pair
    saved = copy.deepcopy(anna.store)
    anna.ask("post", space="home", text="first", to="ben")
    meet(anna, ben)
    ben.wait(5 * SECOND)
    receipt = ben.store.entries[ben.space().id, ben.space().author][1]
    anna.store = saved
    anna.start()
    assert accept(anna, ben.space().author, receipt) == Accepted(1)
    anna.run()
    assert anna.ctx.drops.total(DropReason.FORK_SUSPECTED) == 1 and not anna.kinds("delivered")


def test_card_that_an_admitter_made_up_names_nobody(pair):
    anna, ben = pair
    space, carl = anna.space(), Device("carl")
    url = anna.ask("invite", space="home").value["url"]
    request = wire_invitation.decode_request(carl.spaces.joins.start(url, "carl").request)
    draft = joins.admit(space, request, None).draft
    true = wire_membership.decode_member_card(draft.payload)
    author = decode_record(Kind.ADMIT, draft.clear).author
    false = joins.member_card(space.id, author, ben.identity, "ben")
    for card in (false, true._replace(signature=false.signature), true._replace(name="x")):
        forged = founder("anna")
        forged.store = copy.deepcopy(anna.store)
        forged.start()
        forged.spaces.append(forged.space(), draft._replace(payload=card.encode()), 0)
        named = next(m for m in forged.space().members() if m.author == author)
        assert (named.name, named.node) == (
            ("x", carl.identity.node) if card.name == "x" else ("", b"")
        )


def test_device_that_did_not_sign_is_not_named(pair):
    anna, _ = pair
    space = anna.space()
    card = joins.member_card(space.id, bytes(32), anna.identity, "liar")
    space._cards._learn(b"a" * 32, card, bytes(32))
    assert space.node_of(b"a" * 32) == b""


def test_receipts_wait_a_second_and_travel_together(pair):
    anna, ben = pair
    for text in ("one", "two", "three"):
        anna.ask("post", space="home", text=text, to="ben")
    meet(anna, ben)
    ben.wait(SECOND - 1)
    assert ben.space().author not in ben.space().feeds
    ben.start()
    ben.wait(SECOND)
    assert ben.space().feeds[ben.space().author].seq == 1
    ben.wait(5 * SECOND)
    assert ben.space().feeds[ben.space().author].seq == 1 and not ben.space().mail.due
    meet(anna, ben)
    assert [entry["delivered"] for entry in anna.log()] == [True, True, True]
