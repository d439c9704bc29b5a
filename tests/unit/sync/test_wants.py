"""Claims and wants: what a peer says moves nothing, what it sends does."""

from devices.sync_net import MS, SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.sync.hub import THEIRS_MAX
from meshd.sync.serving import SERVING_MAX
from meshd.sync.wants import PEER_WANTS_MAX, STALL_US, WINDOW_ENTRIES
from meshd.wire import sync_messages as wire


def house_and_relay(posts=1):
    net = SyncNet()
    anna = net.founder()
    for number in range(posts):
        anna.post(f"note {number}")
    net.run(SECOND)
    relay = Puppet(net).meet(anna)
    relay.share(anna.home)
    return net, anna, relay


def test_claim_of_four_billion_entries_asks_for_one_window():
    net, anna, relay = house_and_relay()
    relay.say(wire.Have(7, (wire.Head(anna.home.author, 2**32, bytes(8)),)), within=SECOND)
    (want,) = relay.of(wire.Want)
    assert want.ranges == (wire.Range(anna.home.author, 3, WINDOW_ENTRIES),)
    assert anna.heads()[anna.home.author][0] == 2
    assert anna.sync.statuses(net.now)[0].behind <= 1 << 16


def test_claim_that_is_not_kept_is_put_aside_longer_each_time():
    net, anna, relay = house_and_relay()
    relay.say(wire.Have(7, (wire.Head(anna.home.author, 2**32, bytes(8)),)))
    net.run(STALL_US * 2)
    assert anna.drops(DropReason.SYNC_STALLED) == 1
    assert anna.sync.statuses(net.now)[0].behind == 0
    net.run(600 * SECOND)
    first_ten_minutes = len(relay.of(wire.Want))
    assert 3 <= first_ten_minutes <= 10
    net.run(3600 * SECOND)
    assert len(relay.of(wire.Want)) - first_ten_minutes <= 13


def test_empty_answer_ends_the_claim_at_once():
    _net, anna, relay = house_and_relay()
    relay.say(wire.Have(7, (wire.Head(anna.home.author, 9, bytes(8)),)))
    relay.say(wire.Entries(7, anna.home.author, 3, (), last=True))
    assert anna.drops(DropReason.SYNC_STALLED) == 1


def test_wants_of_one_peer_are_bounded():
    _net, _anna, relay = house_and_relay()
    heads = [wire.Head(place.to_bytes(32), 50, bytes(8)) for place in range(1, 600)]
    relay.say(wire.Have(7, tuple(heads)))
    asked = sum(len(want.ranges) for want in relay.of(wire.Want))
    assert asked == PEER_WANTS_MAX


def test_vector_of_one_peer_is_bounded_and_known_feeds_go_first():
    _net, anna, relay = house_and_relay()
    for start in range(1, THEIRS_MAX + 600, 600):
        heads = (wire.Head(place.to_bytes(32), 5, bytes(8)) for place in range(start, start + 600))
        relay.say(wire.Have(7, tuple(heads)))
    (share,) = anna.sync._hub.all_shares()
    assert len(share.theirs) == THEIRS_MAX
    assert anna.drops(DropReason.SYNC_TABLE_FULL) > 0
    relay.say(
        wire.Have(
            7, (wire.Head(anna.home.author, 2, anna.home.feeds[anna.home.author].hash32[:8]),)
        )
    )
    assert anna.home.author in share.theirs
    assert len(share.theirs) == THEIRS_MAX


def test_another_peer_is_asked_when_the_first_stalls():
    net, anna, relay = house_and_relay()
    bert = net.joined("bert", anna)
    net.run(SECOND)
    net.cut(anna, bert)
    bert.post("kept from you")
    net.run(SECOND)
    feed = bert.home.feeds[bert.home.author]
    relay.say(wire.Have(7, (wire.Head(bert.home.author, feed.seq, feed.hash32[:8]),)))
    assert relay.of(wire.Want)
    net.connect(anna, bert)
    net.run(STALL_US * 2)
    assert anna.heads() == bert.heads()


def test_range_beyond_what_is_held_is_answered_with_what_there_is():
    _net, anna, relay = house_and_relay(posts=5)
    relay.say(wire.Want(7, (wire.Range(anna.home.author, 4, 1000),)))
    entries = relay.of(wire.Entries)
    assert sum(len(run.entries) for run in entries) == 3
    assert [run.last for run in entries][-1]
    relay.say(wire.Want(7, (wire.Range(anna.home.author, 4000, 10),)))
    assert relay.of(wire.Entries)[-1] == wire.Entries(0, anna.home.author, 4000, (), last=True)


def test_answers_that_wait_for_one_peer_are_bounded():
    _net, anna, relay = house_and_relay(posts=5)
    ranges = (wire.Range(anna.home.author, 1, 3),) * (SERVING_MAX * 2)
    anna.read_us = SECOND
    relay.say(wire.Want(7, ranges), wire.Want(7, ranges))
    (peer,) = anna.sync._hub.peers.values()
    assert len(peer.serving) <= SERVING_MAX
    assert anna.drops(DropReason.SYNC_TABLE_FULL) >= 1


def test_entry_that_does_not_follow_is_asked_for_in_order():
    net, anna, _relay = house_and_relay(posts=5)
    bert = net.house("bert")
    net.connect(bert, anna)
    url = anna.tell("invite", space="home", role="writer").value["url"]
    assert bert.tell("join", url=url, within=20 * SECOND).value
    net.cut(bert, anna)
    have = dict(bert.heads())
    (share_author,) = [anna.home.author]
    net.run(SECOND)
    anna.post("six")
    anna.post("seven")
    net.run(SECOND)
    carrier = Puppet(net, "carrier").meet(bert)
    carrier.share(bert.home)
    seq = anna.heads()[share_author][0]
    data = anna.store.entries[anna.home.id, share_author][seq]
    carrier.say(wire.Entries(7, share_author, seq, (data,)))
    assert bert.drops(DropReason.SYNC_GAP) == 1
    (want,) = carrier.of(wire.Want)
    assert want.ranges[0].first == have.get(share_author, (0,))[0] + 1


def test_own_feed_ahead_counts_only_with_the_signed_entry():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    bert.post("before")
    net.run(SECOND)
    saved = dict(bert.store.metas), {key: dict(feed) for key, feed in bert.store.entries.items()}
    bert.post("forgotten by the card")
    net.run(SECOND)
    net.cut(anna, bert)
    bert.store.metas, bert.store.entries = saved
    old = bert.home.author
    net.crash(bert)
    relay = Puppet(net).meet(bert)
    relay.share(bert.home)
    relay.say(wire.Have(7, (wire.Head(old, 2**40, bytes(8)),)), within=SECOND)
    assert bert.home.author == old
    net.connect(anna, bert)
    net.run(30 * SECOND)
    assert bert.home.author != old
    assert anna.heads() == bert.heads()
    assert "forgotten by the card" in bert.texts()
    bert.post("after")
    net.run(5 * SECOND)
    assert "after" in anna.texts()


def test_window_of_a_slow_peer_goes_on():
    net, anna, _ = house_and_relay(posts=400)
    bert = net.house("bert")
    net.connect(bert, anna, delay_us=300 * MS)
    url = anna.tell("invite", space="home", role="reader").value["url"]
    assert bert.tell("join", url=url, within=20 * SECOND).value
    net.run(10 * SECOND)
    assert bert.heads() == anna.heads()
    assert not bert.drops(DropReason.SYNC_STALLED)
