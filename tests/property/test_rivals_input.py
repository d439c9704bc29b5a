"""Rival engines under arbitrary frames and any order of verbs: nothing raises, nothing grows."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.airtime import LONG_FAST, airtime_us
from meshd.simulation.rivals.distance_vector import TABLE_MAX, DistanceVector
from meshd.simulation.rivals.engine import QUEUE_MAX, SEEN_MAX, Seen
from meshd.simulation.rivals.managed_flood import ManagedFlood
from meshd.simulation.rivals.source_path_flood import SourcePathFlood

MAKERS = {
    "managed-flood": lambda number, random: ManagedFlood(number, LONG_FAST, random),
    "source-path-flood": lambda number, random: SourcePathFlood(
        number, LONG_FAST, random, contacts=range(4)
    ),
    "distance-vector": lambda number, random: DistanceVector(number, LONG_FAST, random),
}
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("any bytes"), st.binary(max_size=255)),
        st.tuples(st.just("changed frame"), st.tuples(st.integers(0, 254), st.integers(0, 255))),
        st.tuples(st.just("broadcast"), st.binary(max_size=150)),
        st.tuples(st.just("direct"), st.tuples(st.integers(0, 3), st.binary(max_size=40))),
        st.tuples(st.just("wait"), st.integers(0, 300_000_000)),
        st.tuples(st.just("send"), st.booleans()),
    ),
    max_size=40,
)


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=60, deadline=None)
@given(moves=MOVES, seed=st.integers(0, 1000))
def test_any_frames_in_any_order_are_taken(name, moves, seed):
    one, other = (MAKERS[name](number, Random(seed + number)) for number in (0, 1))
    now, last = 0, b""
    for what, value in moves:
        if what == "any bytes":
            one.receive(value, -100.0, 0.0, now)
        elif what == "changed frame":
            place, byte = value
            frame = bytearray(last)
            if frame:
                frame[place % len(frame)] ^= byte
            other.receive(bytes(frame), -120.0, -10.0, now)
            one.receive(bytes(frame), -120.0, -10.0, now)
        elif what == "broadcast":
            one.send_broadcast(value, now)
        elif what == "direct":
            one.send_direct(value[0], value[1], now)
        elif what == "wait":
            now += value
            one.handle_timeout(now)
            assert (one.poll_timeout() or now) >= 0
        elif (frame := one.poll_transmit()) is not None:
            last = frame.data
            assert len(last) <= 255
            if value:
                one.refused(frame, now)
            else:
                other.receive(last, -100.0, 5.0, now)
                one.sent(airtime_us(LONG_FAST, len(last)), now)
        while one.poll_event() is not None:
            pass
    assert len(one._queue) <= QUEUE_MAX


def test_what_was_seen_is_forgotten_oldest_first():
    seen = Seen()
    for number in range(SEEN_MAX + 10):
        assert seen.add((1, number)) == 0
    assert len(seen) == SEEN_MAX
    assert (1, 9) not in seen and (1, 10) in seen
    assert seen.add((1, 10)) == 1


def test_table_of_the_distance_vector_is_bounded_under_hellos():
    engine = DistanceVector(0, LONG_FAST, Random(1))
    for first in range(2, 3000, 20):
        teller = DistanceVector(1, LONG_FAST, Random(first))
        for number in range(first, first + 20):
            teller._offer(number, 9, 1, 0)
        teller.handle_timeout(teller.poll_timeout())
        teller.handle_timeout(teller._queue.next_us())
        frame = teller.poll_transmit()
        engine.receive(frame.data, -100.0, 0.0, 0)
    assert len(engine.routes) == TABLE_MAX
