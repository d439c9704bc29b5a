"""Two histories of one feed, over LoRa alone: found, proven, told to all; and their author goes on.

`Camp` joins its hosts by WiFi once; afterwards only radios are left.
"""

from copy import deepcopy

import pytest
from devices.letter_net import told_texts
from radios.camp import MINUTE, Camp

from meshd.core.ids import node_text
from meshd.messages.letter import State
from meshd.simulation.world import SECOND


def own(host):
    (space,) = host.node.spaces.all()
    return space


def frozen(host, author):
    return own(host).feeds[author].frozen


def all_know(camp, author, limit_s, numbers=None):
    """Return after how many seconds all have the proof."""
    hosts = [camp.hosts[number] for number in numbers or range(len(camp.hosts))]
    begin = camp.world.now
    done = camp.world.run_until(
        lambda: all(frozen(host, author) for host in hosts), limit_s * SECOND
    )
    assert done, [frozen(host, author) for host in hosts]
    return (camp.world.now - begin) / SECOND


def comes(camp, text, numbers, limit_s):
    """Return after how many seconds all these hosts have a text."""
    for waited_s in range(0, limit_s, 5):
        if all(text in camp.texts(number) for number in numbers):
            return waited_s
        camp.run(5)
    raise AssertionError([camp.texts(number) for number in numbers])


def on_air(camp, since):
    return sum(size for _, size, _ in camp.sent[since:])


def rolled_back(camp, before="x", after="y", *, away=2):
    """Ada's card is put back: all but `away` hold `before`, and Ada and `away` hold `after`."""
    ada, *others = camp.hosts
    apart = others.pop(away - 1)
    disk = deepcopy(ada.store)
    author = own(ada).author
    apart.crash()
    camp.post(0, before)
    camp.run(2 * MINUTE)
    for host in (ada, *others):
        host.crash()
    ada.store = disk
    ada.start()
    apart.start()
    camp.run(MINUTE)
    camp.post(0, after)
    camp.run(2 * MINUTE)
    for host in others:
        host.start()
    return author


def states_alike(camp):
    states = [host.node.air._states[own(host).id].now for host in camp.hosts]
    return all(state == states[0] for state in states)


def copied(camp, of=0, to=3):
    """Make a host a copy of another: its card with all that is on it."""
    copy, host = camp.hosts[to], camp.hosts[of]
    copy.crash()
    copy.identity = host.identity
    copy.store = deepcopy(host.store)
    copy.start()


def test_card_put_back_its_author_begins_anew_and_all_get_what_he_writes():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    author = rolled_back(camp)
    camp.run(30)
    before = len(camp.sent)
    camp.post(0, "z")
    assert all_know(camp, author, 5 * MINUTE) < 30
    assert on_air(camp, before) < 1_000
    assert own(camp.hosts[0]).author != author
    camp.post(0, "after it")
    assert comes(camp, "after it", (1, 2), 60) <= 10
    assert camp.world.notices("feed-restarted")
    (told,) = camp.hosts[0].node.snapshot(camp.hosts[0].now).problems
    assert told.code == "feed-restarted" and "camp" in told.text and told.remedy
    camp.run(10 * MINUTE)
    assert states_alike(camp)
    before = len(camp.sent)
    camp.run(60 * MINUTE)
    assert on_air(camp, before) < 1_500


def test_a_message_behind_a_fork_is_sent_anew_and_shown_once():
    """Ada writes to Cleo on a branch that Cleo, who is off, will never take."""
    camp = Camp(3)
    camp.run(10 * MINUTE)
    ada, ben, cleo = camp.hosts
    disk = deepcopy(ada.store)
    ada.request("post", space="camp", text="x")
    camp.run(3 * MINUTE)
    ada.crash()
    cleo.crash()
    ben.crash()
    ada.store = disk
    ada.start()
    camp.run(MINUTE)
    ada.request("message", node=node_text(cleo.node.id), text="are you there?")
    camp.run(5 * MINUTE)
    (letter,) = ada.node.messages.outbox.waiting()
    assert letter.entry is not None
    before = letter.entry
    ben.start()
    camp.run(10 * MINUTE)
    assert frozen(ada, before[1])
    cleo.start()
    camp.run(30 * MINUTE)
    assert told_texts(cleo.notices, cleo.node.messages) == ["are you there?"]
    assert letter.state is State.DELIVERED


def test_two_branches_are_found_though_nobody_writes():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    author = rolled_back(camp)
    assert all_know(camp, author, 20 * MINUTE) < 5 * MINUTE
    camp.post(0, "after it")
    comes(camp, "after it", (1, 2), 60)


def test_of_long_branches_the_first_difference_is_found():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    ada, ben, cleo = camp.hosts
    disk, author = deepcopy(ada.store), own(ada).author
    first = own(ada).feeds[author].seq + 1
    cleo.crash()
    for number in range(30):
        camp.post(0, f"x {number}")
        camp.run(20)
    camp.run(5 * MINUTE)
    assert own(ben).feeds[author].seq == first + 29
    ada.crash()
    ben.crash()
    ada.store = disk
    ada.start()
    cleo.start()
    camp.run(MINUTE)
    for number in range(20):
        camp.post(0, f"y {number}")
        camp.run(20)
    camp.run(2 * MINUTE)
    ben.start()
    all_know(camp, author, 20 * MINUTE)
    proofs = {host.node.sync.proof(own(host).id, author)[0] for host in camp.hosts}
    assert proofs == {first}
    camp.post(0, "after it")
    comes(camp, "after it", (1, 2), 60)


@pytest.mark.parametrize("far", [False, True])
def test_copied_card_with_both_copies_running(far):
    """In one place, or each in earshot of another member, who hear each other later."""
    camp = Camp(4, without=(3,))
    camp.run(10 * MINUTE)
    ada, _, _, copy = camp.hosts
    author = own(ada).author
    if far:
        camp.apart((0, 3), (0, 2), (3, 1), (1, 2))
    copied(camp)
    camp.run(2 * MINUTE)
    camp.post(0, "of the one")
    camp.post(3, "of the other")
    if far:
        camp.run(2 * MINUTE)
        camp.together((1, 2))
    all_know(camp, author, 20 * MINUTE)
    assert own(ada).author != own(copy).author
    camp.post(0, "the one goes on")
    camp.post(3, "the other goes on")
    comes(camp, "the one goes on", (1, 2), 20 * MINUTE)
    comes(camp, "the other goes on", (1, 2), 20 * MINUTE)


def test_a_fork_on_purpose_is_known_to_all_within_a_minute():
    """Mallory tells each of two members another text, and writes on."""
    camp = Camp(4, without=(3,))
    camp.run(10 * MINUTE)
    author = own(camp.hosts[0]).author
    copied(camp)
    camp.apart((0, 2), (3, 1), (0, 3), (1, 2))
    camp.run(MINUTE)
    camp.post(0, "sold to Ben")
    camp.post(3, "sold to Cleo")
    camp.run(MINUTE)
    camp.hosts[3].crash()
    camp.together((1, 2))
    camp.run(11 * MINUTE)
    assert all(frozen(camp.hosts[number], author) for number in (1, 2))
    texts = camp.texts(1), camp.texts(2)
    assert texts == (["sold to Ben"], ["sold to Cleo"])


@pytest.mark.parametrize("stranger", [False, True])
def test_a_relay_between(stranger):
    """The branches are told through another member, or through somebody without the space."""
    camp = Camp(3, line=True, without=(1,) if stranger else ())
    camp.run(20 * MINUTE)
    ada = camp.hosts[0]
    disk, author = deepcopy(ada.store), own(ada).author
    camp.post(0, "x")
    camp.run(5 * MINUTE)
    assert "x" in camp.texts(2)
    ada.crash()
    ada.store = disk
    ada.start()
    camp.run(2)
    camp.post(0, "y")
    camp.run(5 * MINUTE)
    camp.post(0, "z")
    numbers = (0, 2) if stranger else (0, 1, 2)
    all_know(camp, author, 10 * MINUTE, numbers)
    camp.post(0, "after it")
    comes(camp, "after it", numbers[1:], 5 * MINUTE)


def test_entries_in_pieces_behind_a_fork():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    author = rolled_back(camp, camp.letters(4_000), camp.letters(4_000))
    camp.post(0, camp.letters(20_000))
    camp.post(0, "behind it")
    before = len(camp.sent)
    all_know(camp, author, 20 * MINUTE)
    assert on_air(camp, before) < 5_000
    text = camp.letters(4_000)
    camp.post(0, text)
    camp.post(0, "after it")
    comes(camp, text, (1, 2), 10 * MINUTE)
    comes(camp, "after it", (1, 2), MINUTE)
    camp.run(10 * MINUTE)
    before = len(camp.sent)
    camp.run(60 * MINUTE)
    assert on_air(camp, before) < 1_500
