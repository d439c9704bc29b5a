"""What is told of routes over LoRa while others in earshot tell the same."""

from pytest import mark
from radios.talk import RULES, S, Talker, node

from meshd.routing.lora.gain import FEW
from meshd.wire.lora_routes import UNREACHABLE, NamedEntry, Routes

OWN, B, C, D, E = 1, 2, 3, 4, 5
HOP = RULES.hop_cost
MINUTE = 60 * S


def names(teller, *rows, seqno=0):
    """Return an item of a neighbour that hears this node: (number, metric)."""
    more = tuple(NamedEntry(node(n), 4, metric, heard=False) for n, metric in rows)
    return Routes(seqno, named=(NamedEntry(node(OWN), 0, HOP, heard=True), *more))


def among(*peers, hear=None):
    """Return a node in earshot of these, of whom B tells of D."""
    talker = Talker(OWN)
    talker.lora.gain.hear = hear
    for peer in peers:
        talker.lora.heard(node(peer), 10.0, 0)
        talker.lora.learn(node(peer), names(peer, *[(D, 2 * HOP)] * (peer == B)), 0)
    return talker


def told(talker, until_us):
    """Let time pass; return how often D was told of, with its last metric."""
    said = []
    while (now := talker.lora.due_us()) < until_us:
        talker.at(now)
        routes = talker.lora.build(now, 200)
        if routes is not None:
            said += [e.metric for e in routes.named if e.node == node(D)]
            said += [e.metric for e in routes.entries if e.short == node(D)[:2]]
    return len(said), said[-1] if said else None


def test_what_a_listener_did_not_tell_is_told_twice():
    assert told(among(B, C, E), 3 * MINUTE) == (2, 3 * HOP)


@mark.parametrize(("theirs", "times"), [(4 * HOP, 0), (4 * HOP + HOP // 2, 2)])
def test_what_all_listeners_told_is_not_told_again(theirs, times):
    talker = among(B, C, E)
    for peer in (C, E):
        talker.lora.learn(node(peer), names(peer, (D, theirs)), S)
    assert told(talker, 3 * MINUTE)[0] == times


def test_who_hears_one_that_told_it_does_not_lack_it():
    pairs = {(node(C)[:2], node(B)[:2]), (node(E)[:2], node(B)[:2])}
    assert told(among(B, C, E, hear=lambda one, other: (one, other) in pairs), 3 * MINUTE)[0] == 0
    pairs.pop()
    assert told(among(B, C, E, hear=lambda one, other: (one, other) in pairs), 3 * MINUTE)[0] == 2


def test_who_hears_the_node_itself_does_not_lack_it():
    talker = among(B, C, E, hear=lambda one, other: other == node(D)[:2])
    assert told(talker, 3 * MINUTE)[0] == 0


def test_what_was_left_out_comes_in_its_turn():
    talker = among(B, C, E, hear=lambda one, other: True)
    assert told(talker, 3 * MINUTE)[0] == 0
    assert told(talker, 15 * MINUTE)[0] == 1


def test_once_the_start_is_over_all_that_is_news_is_told():
    talker = among(B, C, E, hear=lambda one, other: True)
    told(talker, 60 * MINUTE)
    talker.lora.learn(node(C), names(C, (D, HOP)), 60 * MINUTE)
    assert told(talker, 64 * MINUTE)[1] == 2 * HOP


def test_where_few_listen_all_is_told():
    talker = among(*(B, C)[:FEW], hear=lambda one, other: True)
    assert told(talker, 3 * MINUTE)[0] == 2


def test_a_way_that_is_lost_or_longer_is_told_to_who_may_go_by_it():
    talker = among(B, C, E)
    told(talker, 60 * MINUTE)
    talker.lora.learn(node(C), names(C, (D, 4 * HOP)), 60 * MINUTE)
    talker.lora.learn(node(E), names(E, (D, 3 * HOP)), 60 * MINUTE)
    longer = names(B, (D, 4 * HOP), seqno=1)
    longer = longer._replace(named=tuple(e._replace(seqno=5) for e in longer.named))
    talker.lora.learn(node(B), longer, 60 * MINUTE)
    assert told(talker, 64 * MINUTE) == (1, 5 * HOP)
    talker.lora.learn(node(B), names(B, (D, UNREACHABLE), seqno=2), 64 * MINUTE)
    assert told(talker, 66 * MINUTE)[1] == UNREACHABLE
