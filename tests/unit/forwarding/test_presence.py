"""To whom echoes are sent, how often, and when a frame goes for that alone."""

from itertools import pairwise

import pytest

from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.presence import (
    ALWAYS,
    ASK_AIRTIMES,
    ASK_LEAST_US,
    ASKS,
    BURST,
    ECHO_US,
    FEW,
    OWN_FRAMES,
    RIDE_US,
    ROWS_MAX,
    SELDOM,
    SOON,
    STRANGE_RIDERS,
    STRANGE_US,
    STRANGERS_MAX,
    UNANSWERED,
    WORD_AIRTIMES,
    Air,
    Presence,
    Words,
)

WORD_US = 150_000
AIR = Air(WORD_US, 360_000_000, lambda us, now, why: True)
AGAIN_US = max(ASK_AIRTIMES * WORD_US, ASK_LEAST_US)
NODE = b"ab345678.."
S = 1_000_000


def made():
    neighbours = Neighbours(b"me")
    return neighbours, Presence(neighbours, lambda low, high: high, AIR)


def words(presence, now):
    return presence.words(now, echoes=24, asks=8)


def listed(neighbours, node=NODE):
    """The neighbour says that it hears this node."""
    neighbours.heard(node[:2], 0.0, 0)
    neighbours.told(node[:2], (b"me",), node)


def test_who_does_not_list_this_node_gets_an_echo_soon():
    _, presence = made()
    presence.heard(NODE, b"tag1", S)
    due_us = presence.due_us
    assert S < due_us <= 2 * S
    assert not presence.speaks(due_us - 1) and presence.speaks(due_us)
    assert words(presence, due_us).echoes == ((NODE, b"tag1"),)


def test_who_lists_this_node_gets_none():
    neighbours, presence = made()
    listed(neighbours)
    presence.heard(NODE, b"tag1", S)
    assert presence.due_us is None and words(presence, S) == Words((), ())


def test_who_has_restarted_gets_some_again():
    neighbours, presence = made()
    listed(neighbours)
    presence.heard(NODE, b"tag1", S, anew=True)
    assert words(presence, S).echoes == ((NODE, b"tag1"),)
    assert neighbours.listeners == ()


def test_an_echo_that_would_come_too_late_is_not_sent():
    _, presence = made()
    presence.heard(NODE, b"tag1", S)
    assert words(presence, S + ECHO_US + 1).echoes == ()


def test_for_who_never_lists_this_node_a_few_frames_go_and_then_echoes_ride_ever_more_seldom():
    _, presence = made()
    now, alone, rode = 0, 0, 0
    for number in range(100):
        now += 100 * S
        presence.heard(NODE, b"%04d" % number, now)
        alone += presence.speaks(now + 90 * S)
        told = words(presence, now + 90 * S)
        rode += bool(told.echoes)
        presence.said(told, now + 90 * S, listed=True)
    assert alone == OWN_FRAMES
    assert ALWAYS <= rode <= ALWAYS + (100 - ALWAYS) // SELDOM + 1


def test_an_invented_crowd_gets_frames_at_a_bounded_rate_and_holds_so_many_places():
    _, presence = made()
    now, spoken = 0, 0
    for number in range(1000):
        presence.heard(b"%010d" % number, b"tag1", now)
        now = max(now, presence.due_us or 0)
        spoken += presence.speaks(now)
    assert spoken <= BURST + now / (WORD_AIRTIMES * WORD_US) + 1
    assert len(presence._rows) <= ROWS_MAX


def asked_at(presence, until_us):
    """Let time pass; return when strangers were asked, each pump a moment after what was due."""
    asked = []
    while due := [at for at in (presence.due_us, presence.ask_us) if at is not None]:
        now = min(due)
        if now > until_us:
            break
        presence.loaded(0.0, now)
        if presence.speaks(now):
            told = words(presence, now)
            asked += [now] * len(told.strangers)
            presence.said(told, now, listed=True)
    return asked


def test_a_stranger_is_asked_again_once_its_beacon_had_time_to_come_and_ever_more_seldom():
    _, presence = made()
    presence.stranger(NODE[:2], 0)
    asked = asked_at(presence, STRANGE_US)
    assert len(asked) == ASKS
    for number, (at, later) in enumerate(pairwise(asked)):
        assert 0 <= later - at - (AGAIN_US << number) <= 2 * S
    assert asked[2] <= 20 * S, "three times before anybody wonders"


@pytest.mark.parametrize("refused_s", [(0, 1), (0, 60), (100, 300), (0, 600)])
def test_a_stranger_is_asked_still_after_no_frame_could_go_for_a_while(refused_s):
    tried = []

    def strange(airtime_us, now, why):
        tried.append(now)
        return not refused_s[0] * S <= now < refused_s[1] * S

    air = AIR._replace(strange=strange)
    presence = Presence(Neighbours(b"me"), lambda low, high: high, air)
    presence.stranger(NODE[:2], 0)
    asked = asked_at(presence, STRANGE_US)
    begin, end = refused_s
    assert not [at for at in asked if begin * S <= at < end * S]
    assert next(at for at in asked if at >= end * S) <= end * S + air.interval_us + 4 * S
    assert len(asked) >= 3 and len(tried) < ASKS + 3 + STRANGE_US / air.interval_us


def spoken_at(presence, until_us):
    """Return when a frame first goes for words alone."""
    while (at := presence.due_us or presence.ask_us) is not None and at < until_us:
        presence.loaded(0.0, at)
        if presence.speaks(at):
            return at
    return None


def refused():
    """A presence for which no frame may go for a while."""
    neighbours, presence = made()
    neighbours.heard(NODE[:2], 0.0, 0)
    while presence._all.allow("", 0):
        pass
    return neighbours, presence


def test_an_echo_that_no_frame_could_take_goes_when_one_may():
    _, presence = refused()
    presence.heard(NODE, b"tag1", 0)
    assert not presence.speaks(presence.due_us) and presence.due_us is None
    at = spoken_at(presence, ECHO_US)
    assert at <= 2 * AIR.interval_us
    assert words(presence, at).echoes == ((NODE, b"tag1"),)


@pytest.mark.parametrize("listed", [False, True])
def test_a_list_that_no_frame_could_take_goes_when_one_may_unless_another_had_it(listed):
    neighbours, presence = refused()
    neighbours.told(NODE[:2], (b"me",), NODE)
    presence.missed(0)
    assert not presence.speaks(presence.due_us) and presence.due_us is None
    presence.said(Words((), ()), 3 * S, listed=listed)
    at = spoken_at(presence, ECHO_US)
    assert at is None if listed else at <= 2 * AIR.interval_us


@pytest.mark.parametrize("strangers", [(), (NODE[:2],)])
def test_in_a_crowd_echoes_that_no_frame_could_take_wait_for_others_but_questions_do_not(strangers):
    _, presence = refused()
    for number in range(FEW + 1):
        presence.heard(b"%010d" % number, b"tag1", 0)
    for short in strangers:
        presence.stranger(short, 0)
    assert not presence.speaks(presence.due_us) and presence.due_us is None
    at = spoken_at(presence, ECHO_US)
    assert (at is not None) == bool(strangers)
    told = words(presence, at or S)
    assert told.strangers == strangers and len(told.echoes) == FEW + 1


def test_who_is_to_be_asked_later_is_asked_also_when_another_was_met_meanwhile():
    neighbours, presence = made()
    presence.stranger(b"cd", 0)
    before = len(asked_at(presence, 12 * S))
    presence.stranger(NODE[:2], 12 * S)
    asked_at(presence, 14 * S)
    listed(neighbours)
    presence.heard(NODE, b"tag1", 14 * S)
    assert len(asked_at(presence, STRANGE_US)) == ASKS - before


def test_however_much_is_heard_of_a_stranger_it_is_asked_no_more_often():
    _, presence = made()
    asked = 0
    for tenth in range(0, STRANGE_US, S // 10):
        presence.stranger(NODE[:2], tenth)
        presence.loaded(0.0, tenth)
        if presence.speaks(tenth):
            told = words(presence, tenth)
            asked += len(told.strangers)
            presence.said(told, tenth, listed=True)
    assert asked == ASKS


def test_the_own_beacon_goes_after_some_questions_and_nobody_is_asked_who_is_known():
    _, presence = made()
    presence.stranger(NODE[:2], 0)
    now, wanted = 0, []
    for number in range(ASKS):
        told = words(presence, now)
        assert told.strangers == (NODE[:2],)
        wanted.append(presence.said(told, now, listed=True))
        assert words(presence, now + 1).strangers == ()
        now += AGAIN_US << number
    assert [number + 1 for number, unheard in enumerate(wanted) if unheard] == list(UNANSWERED)
    presence.stranger(b"cd", now)
    presence.heard(b"cd" + bytes(8), b"tag1", now)
    assert words(presence, now).strangers == ()


def test_first_echoes_wait_for_no_ride_where_few_are_in_earshot():
    for count in (FEW, FEW + 1):
        _, presence = made()
        for number in range(count):
            presence.heard(b"%010d" % number, b"tag1", S)
        presence.due_us = None
        presence.rides(S)
        presence.said(Words((), ()), S, listed=False)
        assert presence.due_us < 8 * S if count == FEW else presence.due_us > RIDE_US


def test_a_question_waits_for_no_ride_and_no_news_put_it_off():
    _, presence = made()
    presence.rides(S)
    presence.stranger(NODE[:2], S)
    due_us = presence.due_us
    assert due_us < 4 * S
    presence.news(S)
    assert presence.due_us == due_us


def test_later_echoes_wait_for_a_ride():
    _, presence = made()
    presence.rides(S)
    presence.heard(NODE, b"tag1", S)
    for number in range(SOON):
        presence.said(words(presence, S + number), S + number, listed=True)
    assert presence.due_us > RIDE_US


def test_who_can_open_nothing_yet_gets_echoes_once_the_beacon_is_out():
    _, presence = made()
    presence.heard(NODE, b"tag1", S, anew=True)
    presence.unknown(NODE, S)
    assert words(presence, 2 * S).echoes == ()
    presence.introduced(3 * S)
    assert words(presence, 3 * S).echoes == ((NODE, b"tag1"),)
    assert presence.due_us < 6 * S


def test_a_beacon_that_never_goes_holds_echoes_back_for_a_while_only():
    _, presence = made()
    presence.heard(NODE, b"tag1", S, anew=True)
    presence.unknown(NODE, S)
    assert words(presence, S + AGAIN_US).echoes == ((NODE, b"tag1"),)


def test_noise_is_asked_for_under_so_many_names():
    _, presence = made()
    for number in range(1000):
        presence.stranger(number.to_bytes(2, "big"), S)
    assert len(presence._strangers) == STRANGERS_MAX


def test_echoes_to_who_has_proven_nothing_are_few_once_strangers_had_their_part():
    left = [50_000]

    def strange(airtime_us, now, why):
        left[0] -= airtime_us
        return left[0] > 0

    neighbours = Neighbours(b"me")
    presence = Presence(neighbours, lambda low, high: high, AIR._replace(strange=strange))
    neighbours.heard(b"fr", 0.0, 0)
    for number in range(12):
        presence.heard(b"%010d" % number, b"tag1", S)
    presence.heard(b"friend....", b"tag2", S)
    told = words(presence, S)
    assert len(told.echoes) == 13
    presence.said(told, S, listed=False)
    again = words(presence, S)
    assert (b"friend....", b"tag2") in again.echoes
    assert len(again.echoes) == 1 + STRANGE_RIDERS


def test_who_sends_more_than_a_beacon_is_answered_before_who_does_not():
    _, presence = made()
    for number in range(30):
        presence.heard(b"%010d" % number, b"tag1", S)
    for tag in (b"tag2", b"tag3"):
        presence.heard(NODE, tag, S)
    assert words(presence, S).echoes[0] == (NODE, b"tag3")
