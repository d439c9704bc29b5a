"""Who shares what: tags prove a key, strangers learn a count."""

from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.sync.greeting import NUMBERS_MAX
from meshd.wire import sync_messages as wire


def test_stranger_learns_only_how_many_spaces_there_are():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(wire.Hello(bytes(16)), wire.SpaceTags((wire.SpaceTag(0, b"guess" * 3 + b"!"),)))
    (tags,) = mallory.of(wire.SpaceTags)
    assert len(tags.tags) == 1
    assert anna.home.id[:4] not in tags.encode()
    mallory.say(wire.Want(0, (wire.Range(anna.home.author, 1, 10),)))
    assert len(mallory.heard) == 2
    assert anna.drops(DropReason.SYNC_UNSHARED) == 1


def test_tag_changes_with_every_session():
    net = SyncNet()
    anna = net.founder()
    seen = set()
    for _ in range(3):
        mallory = Puppet(net).meet(anna)
        mallory.say(wire.Hello(bytes(16)))
        seen.add(mallory.of(wire.SpaceTags)[0].tags[0].tag)
        net.cut(anna, mallory)
    assert len(seen) == 3


def test_tag_that_was_sent_back_proves_nothing():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(wire.Hello(bytes(16)))
    mallory.say(mallory.of(wire.SpaceTags)[0])
    assert not mallory.of(wire.Have)


def test_peer_with_the_fetch_key_is_told_the_vector():
    net = SyncNet()
    anna = net.founder()
    relay = Puppet(net).meet(anna)
    relay.share(anna.home)
    (have,) = relay.of(wire.Have)
    assert [head.seq for head in have.heads] == [1]


def test_space_made_later_is_announced_on_open_sessions():
    net = SyncNet()
    anna, bert = net.founder("anna"), net.house("bert")
    net.connect(anna, bert)
    net.run(SECOND)
    assert not anna.messages(wire.Have)
    assert bert.tell("space.create", name="attic").value
    net.run(SECOND)
    assert [len(tags.tags) for tags in bert.messages(wire.SpaceTags)] == [1]


def test_order_of_the_greeting_is_kept():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(wire.SpaceTags((wire.SpaceTag(0, bytes(16)),)))
    assert anna.drops(DropReason.SYNC_ORDER) == 1
    mallory.say(wire.Hello(bytes(16)), wire.Hello(bytes(16)))
    assert anna.drops(DropReason.SYNC_ORDER) == 2


def test_announced_spaces_of_one_peer_are_bounded():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(wire.Hello(bytes(16)))
    for start in range(0, NUMBERS_MAX + 100, 100):
        tags = (wire.SpaceTag(start + place, bytes(16)) for place in range(100))
        mallory.say(wire.SpaceTags(tuple(tags)), within=MS * 20)
    assert anna.drops(DropReason.SYNC_TABLE_FULL) > 0
    (peer,) = anna.sync._hub.peers.values()
    assert len(peer.numbers) == NUMBERS_MAX


def test_idle_session_sends_nothing():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    net.run(10 * SECOND)
    before = len(anna.sessions.sent) + len(bert.sessions.sent)
    net.run(600 * SECOND)
    assert len(anna.sessions.sent) + len(bert.sessions.sent) == before
