"""Membership records of forked feeds: known everywhere, whichever branch a node follows."""

from copy import deepcopy
from functools import partial

import pytest
from devices.sync_net import SECOND, Puppet, SyncNet

from meshd.core.drops import DropReason
from meshd.space.feed import Accepted, Duplicate
from meshd.sync import branches
from meshd.wire import sync_messages as wire


def forked_admin():
    """Bert, an admin, invites on one branch of his feed and posts on the other; all are apart.

    Anna, the owner, holds the branch with the invitation and builds on it; carl holds the other.
    """
    net = SyncNet()
    anna = net.founder()
    carl = net.joined("carl", anna)
    bert = net.joined("bert", anna, role="admin")
    bert.post("shared")
    net.run(SECOND)
    for house in (bert, carl):
        net.cut(anna, house)
    saved = deepcopy((bert.store.metas, bert.store.entries, bert.store.membership))
    invite(bert)
    net.run(SECOND)
    net.connect(bert, anna)
    net.run(2 * SECOND)
    invite(anna)
    anna.post("on bert's invitation")
    net.run(SECOND)
    net.crash(bert)
    bert.store.metas, bert.store.entries, bert.store.membership = saved
    net.crash(bert)
    bert.post("of the twin")
    net.run(SECOND)
    author = bert.home.author
    net.connect(bert, carl)
    net.run(2 * SECOND)
    net.cut(bert, carl)
    return net, anna, carl, author


def invite(house):
    assert house.tell("invite", space="home", role="reader").value


def digests(*houses):
    return {house.home.log.digest() for house in houses}


def test_what_builds_on_a_record_of_the_other_branch_reaches_everybody():
    net, anna, carl, author = forked_admin()
    net.connect(anna, carl)
    net.run(20 * SECOND)
    assert all(house.home.feeds[author].frozen for house in (anna, carl))
    assert "on bert's invitation" in carl.texts()
    assert len(digests(anna, carl)) == 1
    invite(anna)
    anna.post("and on")
    net.run(5 * SECOND)
    assert "and on" in carl.texts()


def test_record_of_the_other_branch_is_passed_on_and_survives_a_restart():
    net, anna, carl, author = forked_admin()
    net.connect(anna, carl)
    net.run(20 * SECOND)
    net.crash(carl)
    net.cut(anna, carl)
    assert len(digests(anna, carl)) == 1 and carl.home.aside[author]
    eve = net.house("eve")
    net.connect(eve, carl)
    url = anna.tell("invite", space="home", role="reader").value["url"]
    net.connect(anna, carl)
    net.run(5 * SECOND)
    net.cut(anna, carl)
    assert eve.tell("join", url=url, within=20 * SECOND).value
    net.run(20 * SECOND)
    assert len(digests(carl, eve)) == 1 and eve.home.feeds[author].frozen
    assert "on bert's invitation" in eve.texts()


def test_damaged_row_of_another_branch_is_left_out():
    net, anna, carl, _author = forked_admin()
    net.connect(anna, carl)
    net.run(20 * SECOND)
    (key,) = [key for key in carl.store.metas if key.startswith("aside/")]
    data = bytearray(carl.store.metas[key])
    data[60] ^= 1
    carl.store.metas[key] = bytes(data)
    carl.store.metas["aside/" + carl.home.id.hex() + "/zz/00"] = b"junk"
    net.cut(anna, carl)
    net.crash(carl)
    assert not carl.home.aside
    net.connect(anna, carl)
    net.run(20 * SECOND)
    assert carl.home.aside
    net.crash(carl)
    assert len(digests(anna, carl)) == 1, "what builds on it counts again"


def test_only_signed_records_of_a_forked_feed_are_kept_aside():
    net, anna, carl, author = forked_admin()
    home, taken = carl.home, partial(carl.spaces.accept_aside, done=lambda why, now: None)
    record = anna.store.entries[home.id, author][2]
    post = carl.store.entries[home.id, author][2]
    assert taken(home, author, record) is DropReason.FEED_FROZEN, "no fork is proven yet"
    net.connect(anna, carl)
    net.run(20 * SECOND)
    home.aside.clear()
    assert taken(home, author, post) is DropReason.FEED_FROZEN
    assert taken(home, author, b"junk") is DropReason.ENTRY_MALFORMED
    assert taken(home, anna.home.author, record) is DropReason.FEED_FROZEN
    assert taken(home, author, record[:-1] + bytes([record[-1] ^ 1])) == Duplicate(2)


@pytest.mark.parametrize("most", [0, 1])
def test_records_kept_aside_are_bounded(monkeypatch, most):
    net, anna, carl, _author = forked_admin()
    monkeypatch.setattr("meshd.space.other_branches.ASIDE_MAX", most)
    net.connect(anna, carl)
    net.run(20 * SECOND)
    assert sum(map(len, carl.home.aside.values())) == most
    assert len(digests(anna, carl)) == 2 - most


def test_records_that_wait_for_their_past_are_bounded(monkeypatch):
    net, anna, carl, author = forked_admin()
    net.connect(anna, carl)
    net.run(20 * SECOND)
    monkeypatch.setattr(branches, "WAITING_MAX", 3)
    part = carl.sync._forks.branches
    bearer = Puppet(net).meet(carl)
    bearer.share(carl.home)
    space = carl.home
    answers = [DropReason.MEMBERSHIP_MISSING] * 8 + [Accepted(9)] * 9
    monkeypatch.setattr(carl.spaces, "accept_aside", lambda *_: answers.pop(0))
    for number in range(8):
        bearer.say(wire.Entries(7, author, 9, (bytes([number]),)))
    assert len(part._waiting) == 3
    part.membership_changed(space, net.now)
    assert not part._waiting


def test_peer_that_shows_a_fork_again_and_again_is_told_once():
    net, anna, carl, author = forked_admin()
    net.connect(anna, carl)
    net.run(20 * SECOND)
    proof = anna.sync._forks._proofs[anna.home.id, author]
    bearer = Puppet(net).meet(anna)
    bearer.share(anna.home)
    for _ in range(5):
        bearer.say(wire.Fork(7, author, *proof))
    (told,) = [each for each in bearer.of(wire.Entries) if each.author == author]
    assert told.first == 2
