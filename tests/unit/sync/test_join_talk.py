"""Joining: who answers, who wins, and what a person is told."""

import pytest
from devices.sync_net import MS, SECOND, WALL_S, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.space import invitations
from meshd.space.invitations import REFUSALS
from meshd.sync.join_talk import _CODES, JOINS_MAX, TOKENS_MAX
from meshd.wire import sync_messages as wire
from meshd.wire.invitation import decode_request


def invite(house, **args):
    return house.tell("invite", space="home", **({"role": "writer"} | args)).value


def test_member_admits_while_the_inviter_is_away():
    net = SyncNet()
    anna = net.founder()
    bert = net.joined("bert", anna)
    url = invite(anna)["url"]
    net.run(SECOND)
    net.cut(anna, bert)
    carl = net.house("carl")
    net.connect(carl, bert)
    reply = carl.tell("join", url=url, within=20 * SECOND)
    assert reply.value["name"] == "home"
    net.run(SECOND)
    assert carl.heads() == bert.heads()
    assert carl.home.rank is not None


def test_join_is_answered_only_when_the_admission_is_durable():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    anna.commit_us = 5 * SECOND
    carl = net.house("carl")
    net.connect(carl, anna)
    ticket = carl.ask("join", url=url)
    net.run(4 * SECOND)
    assert not anna.messages(wire.Joined)
    net.run(4 * SECOND)
    assert carl.replies[ticket].value


def test_hinted_node_is_reached_by_a_routed_session():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    net.routed = True
    carl = net.house("carl")
    assert carl.tell("join", url=url, within=20 * SECOND).value
    assert carl.sessions.wanted == [anna.node]
    assert carl.sessions.unwanted == [anna.node]


def test_nobody_in_reach_ends_the_join_in_time():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    reply = carl.tell("join", url=url, within=30 * SECOND)
    assert reply.code == 5 and reply.remedy.startswith("try again near a member")
    assert net.now >= 20 * SECOND
    assert carl.sessions.wanted == carl.sessions.unwanted


def test_inviter_whom_only_lora_reaches_is_told_at_once():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    carl.sessions.thin.add(anna.node)
    before = net.now
    error = carl.ask("join", url=url)
    assert error.code == 5 and "nobody is let in by LoRa" in error.text
    assert "tcp://HOST:6697" in error.remedy and net.now == before
    assert not carl.sessions.wanted


def test_join_over_a_session_beside_lora_waits_for_nothing():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    net.connect(carl, anna)
    carl.sessions.thin.add(anna.node)
    assert carl.tell("join", url=url, within=20 * SECOND).value["name"] == "home"
    assert carl.progress == []


def test_join_with_strangers_near_says_what_it_waits_for_and_goes_on():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    net.connect(carl, net.house("stranger"))
    carl.sessions.thin.add(anna.node)
    ticket = carl.ask("join", url=url)
    net.run(SECOND)
    assert [one.what for one in carl.progress] == [
        "waits for a member by WiFi or cable: only LoRa reaches who invites,"
        " and nobody is let into a space by LoRa"
    ]
    net.run(30 * SECOND)
    assert carl.replies[ticket].code == 6
    net.connect(carl, anna)
    assert carl.tell("join", url=url, within=20 * SECOND).value["name"] == "home"


def test_revoked_invitation_is_denied_at_once():
    net = SyncNet()
    anna = net.founder()
    made = invite(anna)
    assert anna.tell("invite.revoke", space="home", invite=made["invite"]).value
    carl = net.house("carl")
    net.connect(carl, anna)
    before = net.now
    reply = carl.tell("join", url=made["url"], within=20 * SECOND)
    assert reply.code == 6
    assert "revoked" in reply.error
    assert anna.drops(DropReason.INVITE_REVOKED) == 1
    assert net.now - before < SECOND


def test_used_invitation_is_denied():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna, uses=1)["url"]
    for name, code in (("carl", 0), ("dora", 6)):
        house = net.house(name)
        net.connect(house, anna)
        reply = house.tell("join", url=url, within=20 * SECOND)
        assert reply.code == code
    assert "used" in reply.error


def test_stranger_who_does_not_know_the_invitation_does_not_end_the_join():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl, stranger = net.house("carl"), net.house("stranger")
    net.connect(carl, stranger)
    ticket = carl.ask("join", url=url)
    net.run(5 * SECOND)
    assert ticket not in carl.replies
    assert stranger.drops(DropReason.INVITE_UNKNOWN) == 1
    net.connect(carl, anna)
    net.run(SECOND)
    assert carl.replies[ticket].value


def test_refusals_of_several_nodes_become_one_error():
    net = SyncNet()
    anna = net.founder()
    made = invite(anna)
    assert anna.tell("invite.revoke", space="home", invite=made["invite"]).value
    carl, stranger = net.house("carl"), net.house("stranger")
    net.connect(carl, stranger)
    net.connect(carl, anna)
    reply = carl.tell("join", url=made["url"], within=30 * SECOND)
    assert reply.code == 6
    assert "revoked" in reply.error and "does not know" in reply.error


def test_requests_of_one_session_are_limited():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    for number in range(TOKENS_MAX + 3):
        mallory.say(wire.Join(number, bytes(300)), within=MS * 2)
    assert anna.drops(DropReason.JOIN_LIMITED) == 3
    assert not anna.sync._joins._admissions
    net.run(2 * SECOND)
    mallory.say(wire.Join(99, bytes(300)))
    assert anna.drops(DropReason.JOIN_LIMITED) == 3


def test_one_link_is_asked_with_once_at_a_time():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    first = carl.ask("join", url=url)
    assert "already" in carl.ask("join", url=url).text
    net.connect(carl, anna)
    net.run(SECOND)
    assert carl.replies[first].value
    assert "already" in carl.ask("join", url=url).text


def test_every_reason_to_refuse_has_its_code():
    assert set(REFUSALS) == set(_CODES)
    assert len(set(_CODES.values())) == len(_CODES)


def test_answer_that_nobody_asked_for_is_dropped():
    net = SyncNet()
    anna = net.founder()
    mallory = Puppet(net).meet(anna)
    mallory.say(wire.Joined(5, 0, b"come in"))
    assert anna.drops(DropReason.SYNC_UNASKED) == 1


def test_forged_admission_does_not_end_the_join():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna)["url"]
    carl = net.house("carl")
    ticket = carl.ask("join", url=url)
    mallory = Puppet(net).meet(carl)
    (ask,) = mallory.of(wire.Join)
    mallory.say(wire.Joined(ask.number, 0, bytes(200)))
    assert ticket not in carl.replies
    net.connect(carl, anna)
    net.run(SECOND)
    assert carl.replies[ticket].value


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({}, 2),
        ({"url": 5}, 2),
        ({"url": "meshd:join/nonsense"}, 2),
        ({"url": "meshd:join/abc", "timeout_s": -1}, 2),
        ({"url": "meshd:join/abc", "timeout_s": "long"}, 2),
    ],
)
def test_wrong_arguments_are_explained(args, code):
    net = SyncNet()
    error = net.house("carl").ask("join", **args)
    assert error.code == code


def test_joins_under_way_are_bounded():
    net = SyncNet()
    carl = net.house("carl")
    errors = []
    for number in range(JOINS_MAX + 1):
        anna = net.house(f"anna {number}")
        assert anna.tell("space.create", name="home").value
        errors.append(carl.ask("join", url=invite(anna)["url"]))
    assert [error for error in errors if not isinstance(error, int)] == errors[-1:]


def test_same_link_asked_again_after_a_lost_answer_still_works():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna, uses=1)["url"]
    carl = net.house("carl")
    net.connect(carl, anna, delay_us=100 * MS)
    ticket = carl.ask("join", url=url)
    net.run(150 * MS)
    net.cut(carl, anna)
    net.run(30 * SECOND)
    assert carl.replies[ticket].code == 5
    net.connect(carl, anna)
    assert carl.tell("join", url=url, within=20 * SECOND).value


def test_busy_member_is_asked_again():
    net = SyncNet()
    anna, bert = net.house("anna"), net.house("bert")
    net.connect(anna, bert)
    tickets = []
    for number in range(TOKENS_MAX + 2):
        assert anna.tell("space.create", name=f"space {number}").value
        url = anna.tell("invite", space=f"space {number}", role="reader").value["url"]
        tickets.append(bert.ask("join", url=url))
    net.run(SECOND)
    assert sum(ticket in bert.replies for ticket in tickets) == TOKENS_MAX
    net.run(9 * SECOND)
    assert all(bert.replies[ticket].value for ticket in tickets)


def test_refusal_of_a_stranger_destroys_nothing_and_is_named_as_his():
    net = SyncNet()
    anna = net.founder()
    url = invite(anna, uses=1)["url"]
    carl = net.house("carl")
    net.connect(carl, anna)
    mallory = Puppet(net).meet(carl)
    anna.commit_us = 3 * SECOND
    ticket = carl.ask("join", url=url)
    net.run(SECOND)
    net.cut(carl, anna)
    (ask,) = mallory.of(wire.Join)
    mallory.say(wire.Joined(ask.number, _CODES[DropReason.INVITE_REVOKED], b""))
    assert ticket not in carl.replies
    net.run(30 * SECOND)
    reply = carl.replies[ticket]
    assert "a node nearby says" in reply.error and "safe" in reply.remedy
    net.connect(carl, anna)
    assert carl.tell("join", url=url, within=20 * SECOND).value


@pytest.mark.parametrize("restart", [False, True])
def test_false_welcome_is_not_believed_and_the_join_goes_on(restart):
    net = SyncNet()
    anna = net.founder()
    bad = net.joined("bad", anna, role="reader")
    url = invite(anna)["url"]
    net.run(SECOND)
    carl = net.house("carl")
    mallory = Puppet(net, identity=bad.identity).meet(carl)
    ticket = carl.ask("join", url=url)
    net.run(50 * MS)
    (ask,) = mallory.of(wire.Join)
    admission = invitations.admit(bad.home, decode_request(ask.request), WALL_S)
    mallory.say(wire.Joined(ask.number, 0, admission.answer))
    net.run(30 * SECOND)
    assert carl.replies[ticket].code == 75 and "has not arrived" in carl.replies[ticket].error
    net.cut(carl, mallory)
    if restart:
        net.crash(carl)
    net.connect(carl, anna)
    net.run(SECOND)
    assert carl.home.rank is not None and isinstance(carl.post("in"), int)
    assert not carl.sync._joins._underway and not carl.spaces.joins.all()
