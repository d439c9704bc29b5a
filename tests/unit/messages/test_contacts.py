"""Whose key is tried: keys that somebody ground for a friend's short address hide no friend."""

from types import SimpleNamespace

import pytest

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.ids import OPEN_MESH_ID
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import Pairwise
from meshd.messages.contacts import LEARNT_MAX, SAME_MAX, Contacts, Opened
from meshd.wire.letters import Text

OWN = crypto.digest(b"own")
SHORT = b"ab"


class Someone:
    """A device whose NodeId begins as a test wants: grinding takes seconds."""

    def __init__(self, number, short=SHORT):
        self.seed = crypto.digest(b"seed %d" % number)
        self.public = crypto.sign_public(self.seed)
        self.node = short + crypto.digest(self.public)[:8]

    def seals(self, number=1):
        there = Pairwise(self.seed, OPEN_MESH_ID).with_device(crypto.sign_public(OWN)).there
        return pairwise.seal(there, Text(number, "hello").encode())

    def said(self):
        return SimpleNamespace(node=self.node, public=self.public)


def contacts(members=(), heard=()):
    def known(group):
        return lambda short: [(one.node, one.public) for one in group if one.node[:2] == short]

    return Contacts(OWN, OPEN_MESH_ID, known=(known(members), known(heard)))


def attack(table, count=20):
    for number in range(100, 100 + count):
        assert table.learn(Someone(number).said())


@pytest.mark.parametrize("how", ["member", "heard", "used", "new"])
def test_ground_keys_hide_no_friend(how):
    friend = Someone(1)
    beside = [Someone(number) for number in range(50, 58)]
    groups = {"member": ([friend], beside), "heard": ([], [*beside[:7], friend])}
    table = contacts(*groups.get(how, ([], beside)))
    if how == "used":
        table.learn(friend.said())
        assert isinstance(table.open(SHORT, friend.seals()), Opened)
    attack(table)
    if how == "new":
        assert table.open(SHORT, friend.seals()) is DropReason.LETTER_STRANGER
        table.learn(friend.said())
    for number in range(2, 5):
        opened = table.open(SHORT, friend.seals(number))
        assert isinstance(opened, Opened) and opened.node == friend.node
    attack(table)
    assert isinstance(table.open(SHORT, friend.seals(9)), Opened)


def test_only_what_was_opened_keeps_a_key():
    table, old = contacts(), Someone(1, b"old"[:2])
    table.learn(old.said())
    for number in range(LEARNT_MAX):
        assert table.pair(old.node) is not None
        table.open(old.node[:2], b"opens with no key at all")
        table.learn(Someone(number + 100, number.to_bytes(2, "big")).said())
    assert table.pair(old.node) is None
    assert len(table) == LEARNT_MAX


def test_keys_of_one_short_address_have_an_end():
    table = contacts()
    for number in range(10):
        one = Someone(number)
        table.learn(one.said())
        table.opened(one.node)
    attack(table)
    assert len(table) == 2 * SAME_MAX
    assert table.pair(Someone(9).node) is not None
    table.forget(Someone(9).node)
    assert table.pair(Someone(9).node) is None
