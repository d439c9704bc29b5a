"""The inbox: fair turns, bounded memory, patience with a few mistakes only."""

from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.session.events import RecordReceived
from meshd.sync.intake import INBOX_BYTES_MAX, INBOXES_BYTES_MAX, MALFORMED_MAX
from meshd.wire import entry
from meshd.wire import sync_messages as wire


def forged(space, author, count):
    """A run of entries that look right and whose signatures do not hold."""
    good = entry.Head(
        32,
        0,
        space.keys.author_id(author),
        space.feeds[author].seq + 1,
        0,
        space.epoch_id,
        bytes(8),
        space.feeds[author].hash32[:8],
        bytes(8),
    )
    body = entry.pack_body(b"", bytes(16))
    data = entry.Entry(good, body, entry.hash_body(body), bytes(64)).encode()
    return wire.Entries(7, author, good.seq, (data,) * count)


def member_and_mallory():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    bert.post("first")
    net.run(SECOND)
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    return net, anna, bert, mallory


def test_flood_of_forged_entries_starves_nobody():
    net, anna, bert, mallory = member_and_mallory()
    junk = forged(anna.home, bert.home.author, 1)
    for _ in range(1500):
        mallory.say(junk, within=0)
    bert.post("in between")
    before = anna.heads()
    took = net.run(SECOND, until=lambda: anna.heads() != before)
    assert took <= 20 * MS
    assert mallory.house.sync._intake._turns
    net.run(SECOND)
    assert anna.texts() == ["first", "in between"]
    assert anna.drops(DropReason.ENTRY_SIGNATURE) > 10


def test_large_messages_cost_more_of_a_slice():
    net, anna, _, mallory = member_and_mallory()
    heads = tuple(wire.Head(number.to_bytes(32), 1, bytes(8)) for number in range(680))
    for _ in range(20):
        mallory.say(wire.Have(7, heads), within=0)
    before = net.now
    (peer,) = [peer for peer in anna.sync._hub.peers.values() if peer.node == mallory.node]
    net.run(SECOND, until=lambda: peer.session and not peer.inbox and net.now > before + 2 * MS)
    assert net.now - before >= 8 * MS


def test_forged_entry_is_refused_and_its_peer_put_aside():
    _net, anna, bert, mallory = member_and_mallory()
    before = anna.heads()
    mallory.say(forged(anna.home, bert.home.author, 3), within=SECOND)
    assert anna.drops(DropReason.ENTRY_SIGNATURE) == 1
    assert anna.drops(DropReason.SYNC_GAP) == 2
    assert anna.drops(DropReason.SYNC_STALLED) == 1
    assert anna.heads() == before


def test_peer_that_overflows_its_inbox_is_disconnected():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    junk = forged(anna.home, anna.home.author, 200)
    (peer,) = anna.sync._hub.peers.values()
    for _ in range(INBOX_BYTES_MAX // len(junk.encode()) + 20):
        net.at(net.now, anna.session_event, RecordReceived(peer.session, junk.encode()))
    net.run(20 * MS)
    assert anna.drops(DropReason.SYNC_INBOX_FULL) >= 1
    assert anna.sessions.closed[0][1] == "floods"
    assert not anna.sync._intake._turns


def test_all_inboxes_together_are_bounded_and_the_fullest_goes():
    net = SyncNet()
    anna = net.founder()
    junk = forged(anna.home, anna.home.author, 200).encode()
    each = INBOX_BYTES_MAX // len(junk) - 10
    for number in range(8):
        Puppet(net, f"peer {number}").meet(anna)
    for number, peer in enumerate(tuple(anna.sync._hub.peers.values())):
        for _ in range(each + number):
            net.at(net.now, anna.session_event, RecordReceived(peer.session, junk))
    net.run(1)
    assert anna.drops(DropReason.SYNC_INBOX_FULL) >= 1
    held = sum(peer.inbox_bytes for peer in anna.sync._hub.peers.values())
    assert held <= INBOXES_BYTES_MAX
    assert held == anna.sync._intake._bytes
    assert anna.sessions.closed


def test_peer_that_talks_nonsense_is_disconnected_after_a_while():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(*[b"\x02short"] * (MALFORMED_MAX - 1))
    assert not anna.sessions.closed
    mallory.say(b"\x02short")
    assert anna.drops(DropReason.SYNC_MALFORMED) == MALFORMED_MAX
    assert anna.sessions.closed


def test_file_messages_go_to_files():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(b"\x21for files")
    assert [seen[0] for seen in anna.files.seen][-1] == "record"


def test_peer_that_takes_no_control_messages_is_disconnected():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.share(anna.home)
    anna.sessions.hold = True
    ranges = (wire.Range(bytes(32), 1, 1),)
    for _ in range(300):
        mallory.say(wire.Probe(7, bytes(32), 1), wire.Want(7, ranges), within=MS)
    net.run(SECOND)
    assert anna.drops(DropReason.SYNC_SLOW) >= 1
    assert anna.sessions.closed[0][1] == "takes nothing"
