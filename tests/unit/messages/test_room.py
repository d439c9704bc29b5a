"""Room for texts: what was acknowledged stays until it is read, whoever else writes."""

from devices.letter_net import Net
from devices.space_devices import meet

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.messages.inbox import (
    GOT_MAX,
    STRANGER_UNREAD_MAX,
    STRANGERS_GOT_MAX,
    Inbox,
    Taken,
)
from meshd.messages.window import WINDOW_MAX


def nobody(number):
    return crypto.digest(b"node %d" % number)[:10]


def camp():
    net = Net("a", "b", edges=[("a", "b", "lora")])
    net.share("a", "b")
    return net, net["a"], net["b"]


def took(inbox, node, number):
    done = []
    inbox.take(Taken(node, number, number.to_bytes(8, "big"), "x", False), 0, done.append, 0)
    return done


def texts_of(device, node):
    return [got.text for got in device.messages.inbox.texts.values() if got.node == node]


def test_texts_of_strangers_delete_no_text_of_a_friend():
    net, friend, victim = camp()
    for number in range(3):
        friend.text(victim, f"friend {number}")
        net.run(10)
    assert friend.states() == ["sent", "delivered"] * 3
    inbox = victim.messages.inbox
    for number in range(1, 300):
        took(inbox, nobody(0), number)
        took(inbox, nobody(number), 1)
    victim.run()
    told = [f"friend {number}" for number in range(3)]
    assert texts_of(victim, friend.node) == told
    assert len(texts_of(victim, nobody(0))) == STRANGER_UNREAD_MAX
    assert len(inbox.texts) == 3 + STRANGERS_GOT_MAX
    assert victim.dropped(DropReason.LETTER_FULL) == 2 * 299 - STRANGERS_GOT_MAX
    net.restart("b")
    assert texts_of(victim, friend.node) == told


def test_a_text_without_room_is_refused_before_it_is_acknowledged():
    net, friend, victim = camp()
    for number in range(1000, 1000 + GOT_MAX // 2):
        took(victim.messages.inbox, friend.node, number)
    victim.run()
    friend.text(victim, "one more")
    net.run(30)
    assert friend.states() == ["sent"] and "one more" not in texts_of(victim, friend.node)
    assert victim.dropped(DropReason.LETTER_FULL) >= 1
    net.away = {"b"}
    net.run(200)
    net.away = set()
    meet(friend, victim)
    net.run(5)
    assert friend.states() == ["sent"]
    victim.list(limit=500)
    net.run(10)
    assert "one more" in texts_of(victim, friend.node)
    meet(friend, victim)
    net.run(20)
    meet(friend, victim)
    net.run(20)
    assert friend.states()[-1] == "delivered"


def test_few_who_write_much_leave_room_for_who_writes_little():
    for member, most in ((True, GOT_MAX), (False, STRANGERS_GOT_MAX)):
        inbox = Paper(member=member).inbox
        for writer in range(4):
            for number in range(1, GOT_MAX):
                took(inbox, nobody(writer), number)
        assert len(inbox.texts) < most
        assert took(inbox, nobody(9), 1) != [], "who wrote nothing yet is heard"
        assert nobody(9) in {got.node for got in inbox.texts.values()}


class Paper:
    """A disk that keeps rows, or fails; and a context that counts nothing."""

    def __init__(self, *, member=True):
        self.rows = {}
        self.fails = False
        self.inbox = Inbox(self, self.commit, knows=lambda node: member)

    def commit(self, rows, done):
        if not self.fails:
            for row in rows:
                self.rows[row.key] = row.value
        done("the disk is full" if self.fails else "", 0)

    def emit(self, event):
        """Nobody listens."""

    def drop(self, reason):
        """Nobody counts."""

    def texts(self):
        kept = [value for key, value in self.rows.items() if key.startswith("letter/in/")]
        return sum(value is not None for value in kept)


def test_what_makes_room_stays_when_the_write_fails():
    paper = Paper()
    inbox = paper.inbox
    for number in range(GOT_MAX):
        assert took(inbox, nobody(number), 1 + number)
    for got in inbox.texts.values():
        inbox.mark(got, read=True)
    paper.fails = True
    for number in range(5):
        assert not took(inbox, nobody(3), 500 + number)
    assert len(inbox.texts) == paper.texts() == GOT_MAX and 0 in inbox.texts
    paper.fails = False
    assert took(inbox, nobody(3), 600)
    assert len(inbox.texts) == paper.texts() == GOT_MAX and 0 not in inbox.texts


def test_senders_and_their_numbers_are_known_though_a_write_failed():
    paper = Paper(member=False)
    inbox = paper.inbox
    for number in range(STRANGERS_GOT_MAX):
        assert took(inbox, nobody(number), 1)
        inbox.mark(inbox.texts[number], read=True)
    paper.fails = True
    for number in range(5):
        assert not took(inbox, nobody(1000 + number), 1)
    assert list(inbox._windows) == [nobody(number) for number in range(STRANGERS_GOT_MAX)]
    window = inbox._windows[nobody(0)]
    paper.fails = False
    for number in range(2, WINDOW_MAX + 1):
        assert took(inbox, nobody(0), number)
        inbox.mark(inbox.texts[max(inbox.texts)], read=True)
    before = window.encode()
    paper.fails = True
    assert not took(inbox, nobody(0), WINDOW_MAX + 1)
    assert len(window.encode()) == len(before)
    assert took(inbox, nobody(0), 1), "the first is still known"
