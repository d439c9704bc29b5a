"""Tables that a peer can make grow: each is filled here, and says what goes."""

import pytest
from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.crypto import digest
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError
from meshd.sync import wants
from meshd.sync.delivery import WAITS_MAX, Waiting
from meshd.sync.forks import FRUITLESS_MAX, PROOFS_MAX, SEARCHES_MAX, WAITING_MAX
from meshd.sync.hub import OUTBOX_BYTES_MAX, PEER_THEIRS_MAX
from meshd.sync.join_talk import ADMISSIONS_MAX
from meshd.sync.recent import RECENT_BYTES_MAX, Recent
from meshd.sync.wants import STRANGERS_MAX
from meshd.wire import sync_messages as wire


def test_recent_entries_are_bounded_in_bytes_oldest_first():
    recent = Recent()
    for seq in range(1, 200):
        recent.put(b"space", b"author", seq, bytes(10_000))
    assert len(recent) == RECENT_BYTES_MAX // 10_000
    assert recent.run(b"space", b"author", 1, 3) == ()
    assert len(recent.run(b"space", b"author", 190, 300)) == 10


def test_recent_entry_replaces_another_of_its_name():
    recent = Recent()
    recent.put(b"space", b"author", 1, b"branch that was lost")
    recent.put(b"space", b"author", 1, b"branch that is held")
    assert recent.run(b"space", b"author", 1, 1) == (b"branch that is held",)


def test_callers_that_wait_are_bounded():
    net = SyncNet()
    deliveries = net.founder().sync._deliveries
    for ticket in range(WAITS_MAX):
        assert deliveries.wait(Waiting(ticket, b"space", b"author", 1, 1, None), SECOND)
    with pytest.raises(RequestError):
        deliveries.wait(Waiting(WAITS_MAX, b"space", b"author", 1, 1, None), SECOND)


def test_windows_of_strangers_are_bounded_and_keep_no_admitted_author_waiting():
    net = SyncNet()
    anna = net.founder()
    for place in range(8):
        peer = Puppet(net, f"peer {place}").meet(anna)
        peer.share(anna.home)
        authors = (bytes([place + 1]) * 31 + bytes([number]) for number in range(100))
        peer.say(wire.Have(7, tuple(wire.Head(author, 9, bytes(8)) for author in authors)))
    assert len(anna.sync._wants) == STRANGERS_MAX
    bert = Puppet(net, "bert").meet(anna)
    bert.share(anna.home)
    bert.say(wire.Have(7, (wire.Head(anna.home.author, 9, bytes(8)),)))
    assert [want.ranges[0].author for want in bert.of(wire.Want)] == [anna.home.author]


def many_feeds(count):
    """A space with some members' feeds, and a peer that shares it."""
    net = SyncNet()
    anna = net.founder()
    url = anna.tell("invite", space="home", role="writer", uses=count).value["url"]
    for number in range(count):
        house = net.house(f"member {number}")
        net.connect(house, anna)
        assert house.tell("join", url=url, within=9 * SECOND).value
        net.run(SECOND)
        house.post("one")
        house.post("two")
        net.run(SECOND)
        net.cut(house, anna)
        del net.houses[house.name]
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    return net, anna, mallory


def test_windows_of_all_peers_are_bounded_but_for_the_first_of_each(monkeypatch):
    net, anna, mallory = many_feeds(7)
    monkeypatch.setattr(wants, "WANTS_MAX", 4)
    authors = sorted(anna.home.feeds)
    mallory.say(wire.Have(7, tuple(wire.Head(author, 99, bytes(8)) for author in authors)))
    assert len(anna.sync._wants) == 4
    bert = Puppet(net, "bert").meet(anna)
    bert.share(anna.home)
    bert.say(wire.Have(7, tuple(wire.Head(author, 99, bytes(8)) for author in authors)))
    assert sum(len(want.ranges) for want in bert.of(wire.Want)) == 1
    assert len(anna.sync._wants) == 5


def test_strangers_have_equal_parts_of_their_windows():
    net = SyncNet()
    anna = net.founder()
    peers = [Puppet(net, f"peer {place}").meet(anna) for place in range(4)]
    for place, peer in enumerate(peers):
        peer.share(anna.home)
        authors = (bytes([place + 1]) * 31 + bytes([number]) for number in range(100))
        peer.say(wire.Have(7, tuple(wire.Head(author, 9, bytes(8)) for author in authors)))
    asked = [sum(len(want.ranges) for want in peer.of(wire.Want)) for peer in peers]
    assert asked == [STRANGERS_MAX // 4] * 4


def test_searches_for_forks_are_bounded_and_given_up():
    net, anna, mallory = many_feeds(SEARCHES_MAX + 3)
    heads = (
        wire.Head(author, feed.seq, b"elsewhere"[:8]) for author, feed in anna.home.feeds.items()
    )
    mallory.say(wire.Have(7, tuple(heads)))
    assert len(anna.sync._forks._searches) == SEARCHES_MAX
    net.run(60 * SECOND)
    assert not anna.sync._forks._searches


def test_search_that_failed_is_not_begun_again_at_once():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    head = wire.Head(anna.home.author, 1, b"elsewher")
    for _ in range(20):
        mallory.say(wire.Have(7, (head,)), wire.Probed(7, anna.home.author, 1, b""))
    assert len(mallory.of(wire.Probe)) == 1
    net.run(60 * SECOND)
    mallory.say(wire.Have(7, (head,)))
    assert len(mallory.of(wire.Probe)) == 2


def test_feeds_whose_search_failed_are_bounded():
    net = SyncNet()
    forks = net.founder().sync._forks
    for number in range(FRUITLESS_MAX + 5):
        forks._pause((b"space", bytes([number])), 0)
    assert len(forks._fruitless) == FRUITLESS_MAX


def test_proofs_that_wait_for_their_feed_are_bounded():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    for number in range(WAITING_MAX + 5):
        author = bytes(31) + bytes([number])
        head = wire.Head(author, 9, bytes(8))
        mallory.say(wire.Have(7, (head,)), wire.Fork(7, author, 5, b"one", b"other"), within=MS * 3)
    assert len(anna.sync._forks._waiting) == WAITING_MAX
    assert anna.drops(DropReason.SYNC_TABLE_FULL) == 5
    net.cut(anna, mallory)
    assert not anna.sync._forks._waiting


def test_proofs_to_pass_on_are_bounded():
    net = SyncNet()
    anna = net.founder()
    forks = anna.sync._forks
    for number in range(PROOFS_MAX + 5):
        forks._keep((anna.home.id, bytes([number])), (1, b"one", b"other"))
    assert len(forks._proofs) == PROOFS_MAX
    assert (anna.home.id, bytes([0])) not in forks._proofs


def test_admissions_that_wait_for_the_disk_are_bounded():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    (peer,) = anna.sync._hub.peers.values()
    anna.sync._joins._admissions = {token: (peer, token) for token in range(ADMISSIONS_MAX)}
    mallory.say(wire.Join(1, bytes(300)))
    assert anna.drops(DropReason.JOIN_LIMITED) == 1
    net.cut(anna, mallory)
    assert not anna.sync._joins._admissions


def test_vectors_of_all_spaces_of_a_peer_are_bounded():
    net = SyncNet()
    anna = net.house("anna")
    for number in range(6):
        assert anna.tell("space.create", name=f"space {number}").value
    mallory = Puppet(net).meet(anna)
    (hello,) = mallory.of(wire.Hello)
    mallory.say(wire.Hello(bytes(16)))
    for number, space in enumerate(anna.spaces.all()):
        text = mallory.identity.public + bytes(16) + anna.identity.public + hello.nonce
        tag = digest(text, key=space.fetch_key, size=16, person=b"meshd-space-tag")
        mallory.say(wire.SpaceTags((wire.SpaceTag(number, tag),)))
        for start in range(0, 2400, 600):
            authors = ((start + place).to_bytes(32) for place in range(600))
            heads = (wire.Head(author, 1, bytes(8)) for author in authors)
            mallory.say(wire.Have(number, tuple(heads)), within=30 * MS)
    (peer,) = anna.sync._hub.peers.values()
    assert sum(len(share.theirs) for share in peer.shares.values()) == PEER_THEIRS_MAX
    assert len(peer.shares) == 6


def test_messages_that_wait_for_room_are_bounded_in_bytes():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    (peer,) = anna.sync._hub.peers.values()
    anna.sessions.hold = True
    for _ in range(OUTBOX_BYTES_MAX // 30_000 + 2):
        anna.sync._hub.send(peer, wire.Join(1, bytes(30_000)), net.now)
    assert peer.outbox_bytes <= OUTBOX_BYTES_MAX
    assert anna.drops(DropReason.SYNC_SLOW) >= 1
    assert mallory.session
