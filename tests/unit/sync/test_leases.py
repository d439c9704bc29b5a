"""Relays: granted before taken, refused when full, and counted as kept."""

from devices.sync_net import SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.core.ids import node_text
from meshd.sync.leases import GRANT_BLOCK_BYTES, LEASE_S
from meshd.wire import sync_messages as wire

KIB = 1024


def test_relay_grants_before_it_tells_its_vector():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay")
    said = [type(wire.decode(record)) for _, record in relay.sessions.sent]
    assert said.index(wire.Lease) < said.index(wire.Have)
    assert relay.messages(wire.Lease)[0] == wire.Lease(0, GRANT_BLOCK_BYTES, LEASE_S)
    assert all(have.kept for have in relay.messages(wire.Have))
    assert relay.heads() == anna.heads()


def test_what_a_relay_keeps_is_counted_as_kept():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay")
    anna.post("keep this")
    reply = anna.tell("wait", space="home", seq=anna.heads()[anna.home.author][0], kept=1)
    assert reply.value["kept_by"] == [node_text(relay.node)]
    assert reply.value["delivered_to"] == []
    assert anna.sync.statuses(net.now)[0].kept_by == 1


def test_full_relay_refuses_and_loses_nothing_that_it_kept():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay", relay_quota_bytes=4 * 80 * KIB)
    for number in range(12):
        anna.post(f"{number}" + "x" * 16 * KIB)
    net.run(30 * SECOND)
    held = sum(feed.bytes_total for feed in relay.home.feeds.values())
    assert 30 * KIB < held <= 80 * KIB
    assert relay.messages(wire.Lease)[-1].refused
    assert relay.heads()[anna.home.author][0] < anna.heads()[anna.home.author][0]
    kept = anna.tell("wait", space="home", seq=2, kept=1)
    assert kept.value["written"]
    assert [notice.kind for notice in relay.notices if notice.warning] == ["relay-full"]
    late = anna.tell("wait", space="home", seq=14, kept=1, timeout_s=2, within=5 * SECOND)
    assert late.code == 75
    relay.tell("space.relay-quota", bytes=4 * 1024 * KIB)
    net.run(30 * SECOND)
    assert relay.heads() == anna.heads()
    assert not relay.drops(DropReason.SYNC_LEASE)


def test_entries_beyond_the_lease_are_not_taken():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay", relay_quota_bytes=0)
    anna.post("no room for this")
    net.run(SECOND)
    assert relay.heads() == {}
    greedy = Puppet(net).meet(relay)
    greedy.share(relay.home)
    founding = anna.store.entries[anna.home.id, anna.home.author][1]
    greedy.say(wire.Entries(7, anna.home.author, 1, (founding,)))
    assert relay.drops(DropReason.SYNC_LEASE) == 1
    assert relay.heads() == {}


def test_grants_of_all_peers_together_stay_within_the_quota():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay", relay_quota_bytes=4 * 600 * KIB)
    for number in range(5):
        Puppet(net, f"peer {number}").meet(relay).share(relay.home)
    granted = sum(share.granted for share in relay.sync._hub.all_shares())
    assert granted + relay.sync._leases.used_bytes() <= 600 * KIB
    assert any(lease.refused for lease in relay.messages(wire.Lease))


def test_lease_ends_with_its_session_and_room_is_granted_again():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay", relay_quota_bytes=4 * 300 * KIB)
    for _ in range(10):
        net.cut(anna, relay)
        net.connect(anna, relay)
        net.run(SECOND)
    assert not relay.messages(wire.Lease)[-1].refused


def test_quota_is_shown_and_must_be_a_number():
    net = SyncNet()
    anna = net.founder()
    told = anna.tell("space.relay-quota").value
    assert told["entry_bytes"] == told["file_bytes"] == 0
    assert anna.ask("space.relay-quota", bytes="much").code == 2
    assert anna.ask("space.relay-quota", bytes=10**4000).code == 2
