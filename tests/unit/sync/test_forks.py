"""Forks: one feed, two histories; found, proven, passed on, and grown no more."""

from copy import deepcopy

from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.store.interface import StoreError, StoreFault
from meshd.wire import sync_messages as wire


def twins(shared=3, own=2, other=4):
    """A net where anna holds one branch of bert's feed and carl the other; all are apart."""
    net = SyncNet()
    anna = net.founder()
    carl = net.joined("carl", anna)
    bert = net.joined("bert", anna)
    for number in range(shared):
        bert.post(f"shared {number}")
    net.run(SECOND)
    for house in (bert, carl):
        net.cut(anna, house)
    saved = deepcopy((bert.store.metas, bert.store.entries))
    for number in range(own):
        bert.post(f"mine {number}")
    net.run(SECOND)
    net.connect(bert, anna)
    net.run(2 * SECOND)
    net.crash(bert)
    bert.store.metas, bert.store.entries = saved
    net.crash(bert)
    for number in range(other):
        bert.post(f"twin {number}")
    net.run(SECOND)
    net.connect(bert, carl)
    net.run(2 * SECOND)
    net.cut(bert, carl)
    author = bert.home.author
    assert anna.heads()[author] != carl.heads()[author]
    return net, anna, bert, carl, author


def check_frozen(houses, author, fork):
    for house in houses:
        assert house.home.feeds[author].frozen
        (notice,) = [notice for notice in house.notices if notice.kind == "fork"]
        assert notice.fields["seq"] == fork


def test_branches_of_different_length_are_found_and_frozen():
    net, anna, _bert, carl, author = twins()
    net.connect(anna, carl)
    net.run(10 * SECOND)
    check_frozen((anna, carl), author, 4)
    before = anna.heads()[author], carl.heads()[author]
    net.run(60 * SECOND)
    assert (anna.heads()[author], carl.heads()[author]) == before


def test_branches_of_one_length_are_found_by_their_hash():
    net, anna, _bert, carl, author = twins(shared=40, own=3, other=3)
    net.connect(anna, carl)
    net.run(10 * SECOND)
    check_frozen((anna, carl), author, 41)


def test_proof_goes_round_and_the_twin_starts_anew():
    net, anna, bert, carl, author = twins()
    dora = net.joined("dora", anna)
    net.connect(anna, carl)
    net.run(10 * SECOND)
    net.connect(bert, carl)
    net.run(10 * SECOND)
    check_frozen((anna, bert, carl, dora), author, 4)
    assert bert.home.author != author
    bert.post("after the fork")
    net.run(10 * SECOND)
    for house in (anna, carl, dora):
        assert "after the fork" in house.texts()


def test_fork_whose_freezing_could_not_be_kept_is_frozen_again_and_writing_goes_on():
    """A failed commit forgets proof and new key; peers show a proof once (space hunt, seed 10)."""
    net, anna, bert, carl, author = twins()
    net.connect(anna, carl)
    net.run(10 * SECOND)
    bert.commit_us = SECOND
    net.connect(bert, carl)
    net.run(5 * SECOND, until=lambda: bert.home.feeds[author].frozen)
    bert.store.fail_next = StoreError(StoreFault.FULL, "full", remedy="")
    net.run(20 * SECOND)
    assert bert.home.feeds[author].frozen and bert.home.author != author
    bert.post("after the fork")
    net.run(10 * SECOND)
    assert all("after the fork" in house.texts() for house in (anna, carl))


def test_newcomer_gets_what_was_written_before_and_the_proof():
    net, anna, _bert, carl, author = twins()
    net.connect(anna, carl)
    net.run(10 * SECOND)
    dora = net.joined("dora", anna)
    net.run(10 * SECOND)
    check_frozen((dora,), author, 4)
    assert dora.heads()[author] == anna.heads()[author]


def test_proof_is_passed_on_after_a_restart_too():
    net, anna, _bert, carl, author = twins()
    net.connect(anna, carl)
    net.run(10 * SECOND)
    net.crash(anna)
    dora = net.house("dora")
    net.connect(dora, anna)
    url = anna.tell("invite", space="home", role="writer").value["url"]
    assert dora.tell("join", url=url, within=20 * SECOND).value
    net.run(10 * SECOND)
    check_frozen((dora,), author, 4)


def test_other_entry_under_a_known_number_starts_a_search():
    net, anna, _, carl, author = twins(own=2, other=2)
    seq = anna.heads()[author][0]
    twin = carl.store.entries[carl.home.id, author][seq]
    bearer = Puppet(net).meet(anna)
    bearer.share(anna.home)
    bearer.say(wire.Entries(7, author, seq, (twin,)))
    assert anna.drops(DropReason.FORK_SUSPECTED) == 1
    while (probe := bearer.of(wire.Probe)[-1]) and not anna.home.feeds[author].frozen:
        entry = carl.store.entries[carl.home.id, author][probe.seq]
        bearer.say(wire.Probed(7, author, probe.seq, entry))
    check_frozen((anna,), author, 4)
    assert bearer.of(wire.Fork)


def test_fork_below_a_last_entry_that_fits_both_branches_is_found():
    net, anna, _, carl, author = twins(own=2, other=2)
    bearer = Puppet(net).meet(anna)
    bearer.share(anna.home)
    seq = anna.heads()[author][0]
    bearer.say(wire.Have(7, (wire.Head(author, seq, b"elsewher"),)))
    bearer.say(wire.Probed(7, author, seq, anna.store.entries[anna.home.id, author][seq]))
    while (probe := bearer.of(wire.Probe)[-1]) and not anna.home.feeds[author].frozen:
        entry = carl.store.entries[carl.home.id, author][probe.seq]
        bearer.say(wire.Probed(7, author, probe.seq, entry))
    check_frozen((anna,), author, 4)


def test_frozen_feed_is_asked_for_no_more():
    net, anna, _, carl, author = twins()
    net.connect(anna, carl)
    net.run(10 * SECOND)
    anna.sessions.sent.clear()
    carl.sessions.sent.clear()
    bearer = Puppet(net).meet(anna)
    bearer.share(anna.home)
    bearer.say(wire.Have(7, (wire.Head(author, 99, bytes(8)),)), within=600 * SECOND)
    assert not bearer.of(wire.Want)
    assert not anna.messages(wire.Want) and not carl.messages(wire.Want)


def test_proof_that_proves_nothing_changes_nothing():
    net = SyncNet()
    anna = net.founder()
    anna.post("one")
    net.run(SECOND)
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    entry = anna.store.entries[anna.home.id, anna.home.author][2]
    mallory.say(
        wire.Fork(7, anna.home.author, 2, entry, entry),
        wire.Fork(7, anna.home.author, 2, entry, b"junk" * 50),
        wire.Fork(7, bytes(32), 2, entry, entry),
    )
    assert anna.drops(DropReason.FORK_UNPROVEN) == 2
    assert not anna.home.feeds[anna.home.author].frozen


def test_wrong_hash_alone_freezes_nothing():
    net = SyncNet()
    anna = net.founder()
    anna.post("one")
    net.run(SECOND)
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    author = anna.home.author
    mallory.say(wire.Have(7, (wire.Head(author, 2, b"other123"),)))
    (probe,) = mallory.of(wire.Probe)
    entry = anna.store.entries[anna.home.id, author][2]
    mallory.say(wire.Probed(7, author, probe.seq, entry[:-1] + b"?"), within=SECOND)
    mallory.say(*(wire.Probed(7, author, seq, b"junk" * 50) for seq in (1, 2)), within=SECOND)
    net.run(60 * SECOND)
    assert not anna.home.feeds[author].frozen
    assert len(anna.sync._forks._searches) == 0


def test_probes_are_answered_a_few_at_a_time():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    anna.read_us = SECOND
    for _ in range(40):
        mallory.say(wire.Probe(7, anna.home.author, 1), within=MS)
    assert anna.drops(DropReason.SYNC_TABLE_FULL) > 0
    net.run(10 * SECOND)
    assert 0 < len(mallory.of(wire.Probed)) < 40
    mallory.say(wire.Probe(7, anna.home.author, 99))
    assert mallory.of(wire.Probed)[-1].entry == b""


def test_answer_to_no_probe_is_dropped():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    mallory.say(wire.Probed(7, anna.home.author, 1, b"entry"))
    assert anna.drops(DropReason.SYNC_UNASKED) == 1
