"""Written, kept by N, delivered: said only when it is so."""

from devices.sync_net import SECOND, Puppet, SyncNet

from meshd.core.ids import node_text
from meshd.wire import sync_messages as wire


def own_seq(house):
    return house.heads()[house.home.author][0]


def test_delivered_is_said_when_a_member_holds_it_durably():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    bert.commit_us = 3 * SECOND
    anna.post("hello")
    ticket = anna.ask("wait", space="home", seq=own_seq(anna), delivered=True)
    net.run(2 * SECOND)
    assert bert.heads() == anna.heads()
    assert ticket not in anna.replies
    net.run(3 * SECOND)
    assert anna.replies[ticket].value["delivered_to"] == [node_text(bert.node)]


def test_relay_is_nobody_to_whom_a_note_is_delivered():
    net = SyncNet()
    anna = net.founder()
    net.joined("relay", anna, role="relay")
    anna.post("hello")
    reply = anna.tell(
        "wait", space="home", seq=own_seq(anna), delivered=True, timeout_s=5, within=9 * SECOND
    )
    assert reply.code == 75
    assert "kept by 1, delivered to 0" in reply.error
    assert (len(reply.reached["kept_by"]), reply.reached["delivered_to"]) == (1, [])


def test_relay_that_says_member_is_believed_neither():
    net = SyncNet()
    anna = net.founder()
    relay = net.joined("relay", anna, role="relay")
    net.cut(anna, relay)
    anna.post("hello")
    net.run(SECOND)
    liar = Puppet(net, "liar", identity=relay.identity).meet(anna)
    liar.share(anna.home)
    stranger = Puppet(net, "stranger").meet(anna)
    stranger.share(anna.home)
    seq, running = anna.heads()[anna.home.author]
    head = wire.Head(anna.home.author, seq, running[:8])
    liar.say(wire.Have(7, (head,)))
    stranger.say(wire.Have(7, (head,)), wire.Have(7, (head,), kept=True))
    assert anna.sync._deliveries.of(anna.home.id, anna.home.author, seq) == ((), ())
    liar.say(wire.Have(7, (head,), kept=True))
    held = anna.sync._deliveries.of(anna.home.id, anna.home.author, seq)
    assert held == ((relay.node,), ())
    assert anna.home.acks.kept_by(anna.home.author, seq) == 1


def test_message_is_delivered_across_relays():
    net = SyncNet()
    houses = net.chain("relay", "relay", "writer")
    first, last = houses[0], houses[-1]
    net.run(5 * SECOND)
    posted = first.tell("post", space="home", text="for you", to=node_text(last.node))
    seq = posted.value["seq"]
    args = {"delivered": True, "to": node_text(last.node), "timeout_s": 30}
    reply = first.tell("wait", space="home", seq=seq, within=40 * SECOND, **args)
    assert reply.value["delivered_to"] == [node_text(last.node)]


def test_waiting_for_one_node_asks_for_a_session_with_it():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    net.cut(anna, bert)
    anna.post("hello")
    net.routed = True
    reply = anna.tell(
        "wait", space="home", seq=own_seq(anna), delivered=True, to=node_text(bert.node)
    )
    assert reply.value["delivered_to"] == [node_text(bert.node)]
    assert bert.node in anna.sessions.wanted
    net.run(SECOND)
    assert bert.node in anna.sessions.unwanted


def test_note_across_a_relay_is_delivered_by_a_session_with_a_member():
    net = SyncNet()
    anna, relay, bert = net.chain("relay", "writer")
    net.routed = True
    anna.post("hello")
    net.run(SECOND)
    assert bert.heads() == anna.heads() == relay.heads()
    reply = anna.tell("wait", space="home", seq=own_seq(anna), delivered=True)
    assert reply.value["delivered_to"] == [node_text(bert.node)]
    net.run(SECOND)
    assert anna.sessions.wanted == anna.sessions.unwanted


def test_wrong_arguments_are_explained():
    net = SyncNet()
    anna = net.founder()
    for args in (
        {"space": "nowhere", "seq": 1, "kept": 1},
        {"space": "home", "seq": 99, "kept": 1},
        {"space": "home", "seq": "one", "kept": 1},
        {"space": "home", "seq": 1},
        {"space": "home", "seq": 1, "kept": -1},
        {"space": "home", "seq": 1, "kept": 1, "timeout_s": 0},
        {"space": "home", "seq": 1, "delivered": True, "to": "nobody"},
    ):
        error = anna.ask("wait", **args)
        assert not isinstance(error, int), args
        assert error.text
