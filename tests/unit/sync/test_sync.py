"""Two and more houses in dialogue: what is shared, what goes over, and how fast."""

from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.core.ids import node_text
from meshd.session.events import SessionRoom
from meshd.store.interface import StoreError, StoreFault
from meshd.sync.serving import PUSH_AHEAD_MAX
from meshd.wire import sync_messages as wire


def test_joiner_gets_everything_that_was_written_before():
    net = SyncNet()
    anna = net.founder()
    for number in range(300):
        anna.post(f"note {number}")
    net.run(SECOND)
    bert = net.joined("bert", anna)
    net.run(5 * SECOND)
    assert bert.heads() == anna.heads()
    assert "note 299" in bert.texts()


def test_note_crosses_four_hops_fast():
    net = SyncNet()
    houses = net.chain("relay", "relay", "relay", "writer")
    first, last = houses[0], houses[-1]
    assert all(house.heads() == first.heads() for house in houses)
    first.post("hello over there")
    before = last.heads()[first.home.author]
    took = net.run(SECOND, until=lambda: last.heads()[first.home.author] != before)
    assert took <= 20 * MS
    net.run(SECOND)
    assert last.texts() == ["hello over there"]


def test_own_entry_leaves_only_when_it_is_durable():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    anna.commit_us = 3 * SECOND
    anna.post("not yet")
    net.run(2 * SECOND)
    assert bert.heads() != anna.heads()
    net.run(2 * SECOND)
    assert bert.heads() == anna.heads()


def test_entry_of_another_is_passed_on_before_it_is_durable_here():
    net = SyncNet()
    anna, bert, carl = net.chain("writer", "writer")
    bert.commit_us = 60 * SECOND
    anna.post("pass it on")
    net.run(SECOND)
    assert carl.texts() == ["pass it on"]
    seq = anna.heads()[anna.home.author][0]
    told = [head for have in bert.messages(wire.Have) for head in have.heads]
    assert wire.Head(anna.home.author, seq, anna.heads()[anna.home.author][1][:8]) not in told
    net.run(60 * SECOND)
    told = [head for have in bert.messages(wire.Have) for head in have.heads]
    assert wire.Head(anna.home.author, seq, anna.heads()[anna.home.author][1][:8]) in told


def test_first_vector_is_whole_and_later_ones_name_what_changed():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    bert.post("one")
    net.run(SECOND)
    net.cut(anna, bert)
    bert.sessions.sent.clear()
    net.connect(anna, bert)
    net.run(SECOND)
    anna.post("two")
    net.run(SECOND)
    first, *later = bert.messages(wire.Have)
    assert {head.author for head in first.heads} == set(bert.home.feeds)
    assert [[head.author for head in have.heads] for have in later] == [[anna.home.author]]


def test_new_entry_is_sent_once_to_each_who_lacks_it():
    net = SyncNet()
    anna, bert, carl = net.chain("writer", "writer")
    net.connect(anna, carl)
    net.run(SECOND)
    for house in (anna, bert, carl):
        house.sessions.sent.clear()
    anna.post("to both")
    net.run(SECOND)
    sent = sum(
        len(run.entries) for house in (anna, bert, carl) for run in house.messages(wire.Entries)
    )
    assert 2 <= sent <= 4
    assert not [want for house in (bert, carl) for want in house.messages(wire.Want)]


def test_founder_is_asked_for_first():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    carl = net.joined("carl", anna)
    for house in (bert, carl):
        house.post("me too")
    net.run(SECOND)
    dora = net.joined("dora", anna)
    wants = dora.messages(wire.Want)
    assert wants[0].ranges[0].author == anna.home.founder
    assert dora.heads() == anna.heads()


def test_feed_of_an_unknown_author_is_asked_for_again_once_it_is_admitted():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    net.cut(anna, bert)
    carl = net.joined("carl", anna)
    carl.post("you do not know me yet")
    net.run(SECOND)
    feed = carl.home.feeds[carl.home.author]
    entry = carl.store.entries[carl.home.id, carl.home.author][1]
    friend = Puppet(net, "friend").meet(bert)
    friend.share(bert.home)
    friend.say(wire.Have(7, (wire.Head(carl.home.author, feed.seq, feed.hash32[:8]),)))
    friend.say(wire.Entries(7, carl.home.author, 1, (entry,), last=True), within=SECOND)
    assert bert.drops(DropReason.AUTHOR_UNKNOWN) == 1
    assert len(friend.of(wire.Want)) == 1
    admission = anna.store.entries[anna.home.id, anna.home.author]
    known = bert.heads()[anna.home.author][0]
    missing = tuple(admission[seq] for seq in range(known + 1, max(admission) + 1))
    friend.say(wire.Entries(7, anna.home.author, known + 1, missing), within=SECOND)
    assert len(friend.of(wire.Want)) == 2
    friend.say(wire.Entries(7, carl.home.author, 1, (entry,), last=True), within=SECOND)
    assert "you do not know me yet" in bert.texts()


def test_entry_that_found_no_room_is_told_of_later():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    (session,) = anna.sessions.ends
    anna.sessions.hold = True
    anna.post("no room now")
    net.run(SECOND)
    assert bert.heads() != anna.heads()
    anna.sessions.hold = False
    anna.session_event(SessionRoom(session))
    net.run(SECOND)
    assert bert.heads() == anna.heads()


def test_failed_read_is_an_answer_without_entries():
    net = SyncNet()
    anna = net.founder()
    for number in range(5):
        anna.post(f"note {number}")
    net.run(SECOND)
    net.crash(anna)
    bert = net.house("bert")
    net.connect(bert, anna)
    url = anna.tell("invite", space="home", role="writer").value["url"]
    feed = anna.store.entries[anna.home.id, anna.home.author]
    hidden = dict(feed)
    feed.clear()
    assert bert.tell("join", url=url, within=30 * SECOND).code == 75
    net.run(SECOND)
    assert bert.heads() == {}
    feed.update(hidden | feed)
    net.run(60 * SECOND)
    assert bert.heads() == anna.heads()


def test_status_says_what_is_behind_and_who_is_there():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    relay = Puppet(net).meet(bert)
    relay.share(bert.home)
    relay.say(wire.Have(7, (wire.Head(anna.home.author, 9, bytes(8)),)))
    (status,) = bert.sync.statuses(net.now)
    assert status.behind == 9 - bert.heads()[anna.home.author][0]
    assert set(status.peers) == {node_text(anna.node), node_text(relay.node)}


def own_runs(puppet, author):
    return [
        (run.first, len(run.entries)) for run in puppet.of(wire.Entries) if run.author == author
    ]


def test_entry_is_not_pushed_to_who_lacks_the_one_before():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    for number in range(3):
        bert.post(f"note {number}")
    net.run(SECOND)
    behind = Puppet(net, "behind").meet(anna)
    behind.share(anna.home)
    behind.say(wire.Have(7, (wire.Head(bert.home.author, 1, bytes(8)),)))
    bert.post("fourth")
    net.run(SECOND)
    assert own_runs(behind, bert.home.author) == []
    told = [head for have in behind.of(wire.Have) for head in have.heads]
    assert (bert.home.author, 4) in [head[:2] for head in told]


def test_nothing_is_pushed_to_who_has_not_told_its_vector():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    silent = Puppet(net, "silent").meet(anna)
    silent.share(anna.home)
    bert.post("my very first")
    net.run(SECOND)
    assert own_runs(silent, bert.home.author) == []
    anna.post("mine")
    net.run(SECOND)
    assert own_runs(silent, anna.home.author) == []


def test_pushes_end_when_nobody_acknowledges_them():
    net = SyncNet()
    anna = net.founder()
    silent = Puppet(net, "silent").meet(anna)
    silent.share(anna.home)
    silent.say(wire.Have(7, (wire.Head(anna.home.author, 1, bytes(8)),)))
    for number in range(3 * PUSH_AHEAD_MAX):
        anna.post(f"note {number}")
        net.run(10 * MS)
    pushed = sum(count for _, count in own_runs(silent, anna.home.author))
    assert PUSH_AHEAD_MAX <= pushed <= PUSH_AHEAD_MAX + 1
    silent.say(wire.Have(7, (wire.Head(anna.home.author, pushed + 1, bytes(8)),)))
    silent.say(wire.Want(7, (wire.Range(anna.home.author, pushed + 2, 1000),)), within=SECOND)
    got = sum(count for _, count in own_runs(silent, anna.home.author))
    assert got == 3 * PUSH_AHEAD_MAX


def test_failed_commit_is_made_good_on_the_open_session():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    bert.commit_us = 100 * MS
    for number in range(5):
        anna.post(f"note {number}")
    net.run(20 * MS)
    assert bert.heads() == anna.heads()
    bert.store.fail_next = StoreError(StoreFault.FULL, "no space left", remedy="")
    net.run(30 * SECOND)
    assert bert.heads() == anna.heads()
    assert bert.home.feeds[anna.home.author].durable_seq == anna.heads()[anna.home.author][0]
