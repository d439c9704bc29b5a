"""A neighbour's word that it holds an own entry: who may say it, and for what it counts."""

from copy import deepcopy

from devices.air_net import MINUTE
from devices.sync_net import SECOND

from meshd.core.ids import node_text
from meshd.space.feed import RECENT
from meshd.sync.air.acks import PEERS_MAX, WAITING_MAX, Acks
from meshd.wire.air_messages import AirHeld
from meshd.wire.lora_payload import Sub


def newest(house):
    return house.home.author, house.home.feeds[house.home.author].seq


def holders(house):
    return sorted(house.home.acks.holders(*newest(house)))


def word(house, feed):
    """Return what a house would say of a feed."""
    acks = Acks(house.spaces)
    acks.plan("l0", feed, 0)
    return acks.build("l0", 0)


def test_post_counts_as_delivered_when_a_neighbour_proved_that_it_has_it(net):
    net.anna.post("hello")
    ticket = net.anna.ask("wait", space="home", seq=newest(net.anna)[1], delivered=True)
    net.run(MINUTE)
    assert net.anna.replies[ticket].value["delivered_to"]
    (held,) = net.named("HELD")
    assert held.size <= 30
    assert holders(net.anna) == [net.ben.node]


def test_one_word_stands_for_all_that_came_meanwhile(net):
    for number in range(5):
        net.anna.post(f"text {number}")
    net.run(MINUTE)
    assert holders(net.anna) == [net.ben.node]
    assert len(net.named("HELD")) == 1


def test_word_of_another_node_or_of_more_counts_for_nothing(net):
    cleo = net.joined("cleo", net.anna)
    net.cut(cleo, net.anna)
    net.run(MINUTE)
    net.loss = 1.0
    net.anna.post("hello")
    net.run(SECOND)
    author, seq = newest(net.anna)
    mine = word(net.ben, (net.ben.home.id, author))
    assert mine.seq < seq
    for body, node in (
        (mine.encode(), cleo.node),
        (mine._replace(seq=seq).encode(), net.ben.node),
        (AirHeld(seq, bytes(8)).encode(), net.ben.node),
        (AirHeld(2**32 - 1, mine.mac).encode(), net.ben.node),
    ):
        net.anna.hear_local(node, Sub.HELD, body)
    assert holders(net.anna) == []
    net.anna.hear_local(net.ben.node, Sub.HELD, mine.encode(), trusted=False)
    assert sorted(net.anna.home.acks.holders(author, mine.seq)) == sorted((net.ben.node, cleo.node))


def test_relay_without_a_lease_gives_no_word(net):
    relay = net.joined("relay", net.anna, role="relay")
    net.cut(relay, net.anna)
    net.apart(net.anna, net.ben)
    net.run(5 * MINUTE)
    begin = net.now
    net.anna.post("hello")
    net.run(MINUTE)
    assert relay.heads() == net.anna.heads()
    assert not net.named("HELD", since=begin)


def test_in_a_large_space_only_the_receiver_of_a_message_says_that_it_has_it(net, monkeypatch):
    monkeypatch.setattr("meshd.sync.air.acks.FEW", 1)
    net.anna.post("for all")
    net.run(MINUTE)
    assert not net.named("HELD")
    net.anna.tell("post", space="home", to=node_text(net.ben.node), text="for you")
    net.run(MINUTE)
    assert len(net.named("HELD")) == 1


def test_tables_have_an_end(net):
    acks = Acks(net.ben.spaces)
    for number in range(300):
        acks.plan("l0", (b"s", b"%d" % number), 0)
        acks._pairs._key(b"h", b"a", b"%032d" % number)
    assert len(acks._due) == WAITING_MAX
    assert len(acks._pairs._shared) == PEERS_MAX


def test_a_recorded_word_proves_nothing_of_what_a_card_that_was_put_back_wrote_anew(net):
    before = deepcopy(net.anna.store)
    net.anna.post("first")
    net.run(MINUTE)
    assert holders(net.anna) == [net.ben.node]
    author, seq = newest(net.anna)
    recorded = word(net.ben, (net.ben.home.id, author)).encode()
    net.apart(net.anna, net.ben)
    net.anna.store = before
    net.anna.boot()
    net.anna.post("second")
    net.run(MINUTE)
    assert newest(net.anna) == (author, seq), "another entry under the same number"
    net.anna.hear_local(net.ben.node, Sub.HELD, recorded)
    assert holders(net.anna) == []


def test_a_word_counts_though_more_was_written_and_after_a_start_for_the_last_entry(net):
    net.anna.post("first")
    net.run(MINUTE)
    author, seq = newest(net.anna)
    recorded = word(net.ben, (net.ben.home.id, author)).encode()
    net.apart(net.anna, net.ben)
    net.anna.boot()
    assert not net.anna.home.acks.holders(author, seq)
    net.anna.hear_local(net.ben.node, Sub.HELD, recorded)
    assert list(net.anna.home.acks.holders(author, seq)) == [net.ben.node]
    home = net.anna.home
    for number in range(RECENT):
        assert home.feeds[author].digest_at(seq), number
        net.anna.post(f"text {number}")
    feed = home.feeds[author]
    assert not feed.digest_at(seq) and not feed.digest_at(0) and not feed.digest_at(feed.seq + 1)
    assert feed.digest_at(feed.seq) == feed.digest
