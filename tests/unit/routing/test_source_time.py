"""Feasibility distances are kept while they are announced, and some minutes longer."""

import pytest
from speakers.talk import GREETING, LINK, Talk, numbered, update

from meshd.core.ids import Prefix
from meshd.routing.table import WIDE
from meshd.wire.babel import Hello, Ihu, Retraction, Update

NODE = numbered(1)


@pytest.fixture
def talk():
    talk = Talk()
    talk.say(*GREETING)
    return talk


def keep_up(talk: Talk, seconds: int, *said: Update) -> None:
    """Let time pass; PEER says hello every 4 s, and `said` as often."""
    for _ in range(0, seconds, 4):
        talk.wait(4)
        number = 7 + talk.now // 4_000_000
        talk.say(Hello(number & 0xFFFF, 400), Ihu(LINK.address, 256, 1200))
        if said:
            talk.say(*said)


def known(talk: Talk, prefix: Prefix, router: int = 9) -> bool:
    found = talk.station.babel._sources.get(prefix, router.to_bytes(8, "big"))
    return found is not None


def test_source_is_kept_as_long_as_it_is_announced(talk):
    keep_up(talk, 900, update(NODE))
    assert known(talk, NODE)


def test_source_goes_three_minutes_after_its_route(talk):
    keep_up(talk, 400, update(NODE))
    talk.say(Retraction(NODE, 0, 2400))
    keep_up(talk, 170)
    assert known(talk, NODE)
    keep_up(talk, 110)
    assert not known(talk, NODE)


def test_what_was_not_feasible_is_taken_when_its_source_is_forgotten(talk):
    keep_up(talk, 60, update(NODE, metric=100))
    talk.say(Retraction(NODE, 0, 2400))
    keep_up(talk, 100, update(NODE, metric=900))
    assert talk.metric(NODE) is None
    keep_up(talk, 180, update(NODE, metric=900))
    assert talk.metric(NODE) == 1156


def test_source_outlives_what_a_neighbour_said_before_and_not_since(talk):
    keep_up(talk, 60, update(NODE, metric=100))
    talk.say(Retraction(NODE, 0, 2400))
    echo = update(NODE, metric=900)._replace(interval_cs=6000)
    talk.say(echo)
    for _ in range(60):
        keep_up(talk, 4)
        assert talk.metric(NODE) is None
    keep_up(talk, 60)
    assert not known(talk, NODE)


def test_source_outlives_what_neighbours_believe_of_a_wide_table(talk):
    """Swarm 14403: held for 210 s by others, it was forgotten after 180, and they were believed."""
    many = [update(numbered(number)) for number in range(2, WIDE + 20)]
    for first in range(0, len(many), 40):
        talk.say(*many[first : first + 40])
    talk.say(update(NODE))
    keep_up(talk, 60)
    talk.say(Retraction(NODE, 0, 2400))
    keep_up(talk, 236)
    assert known(talk, NODE)
    keep_up(talk, 120)
    assert not known(talk, NODE)


def test_source_of_another_origin_goes_while_the_prefix_stays(talk):
    keep_up(talk, 60, update(NODE, router=8))
    keep_up(talk, 160, update(NODE))
    assert known(talk, NODE, 8) and known(talk, NODE)
    keep_up(talk, 120, update(NODE))
    assert not known(talk, NODE, 8) and known(talk, NODE)


def test_source_that_is_announced_again_is_kept(talk):
    for _ in range(3):
        keep_up(talk, 60, update(NODE))
        talk.say(Retraction(NODE, 0, 2400))
        keep_up(talk, 60)
    keep_up(talk, 600, update(NODE))
    assert known(talk, NODE)
