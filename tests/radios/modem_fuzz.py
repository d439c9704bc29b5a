"""What every modem dialect has to stand: any bytes, cut anywhere, at any time, in any stage.

A talk is a list of (pause in microseconds, bytes, whether a frame is offered). The dialect must not
raise, must keep its buffers bounded, and must not wait for ever: after the talk it ends, by its own
timers alone, ready for a frame or broken with advice.
"""

from hypothesis import strategies as st

from meshd.radio.modem import Broken, Heard, NotSent, Sent

STEPS_MAX = 5_000
BUFFER_MAX = 4_096


def talks(*pieces):
    """Talks of a kind: random bytes, and pieces of what such a modem says."""
    said = st.one_of(
        st.binary(max_size=60),
        st.sampled_from(pieces),
        st.sampled_from(pieces).flatmap(
            lambda piece: st.integers(0, len(piece)).map(lambda cut: piece[:cut])
        ),
        st.lists(st.sampled_from(pieces), max_size=4).map(b"".join),
    )
    pause_us = st.sampled_from([0, 100, 20_000, 600_000, 1_200_000, 6_000_000, 90_000_000])
    return st.lists(st.tuples(pause_us, said, st.booleans()), max_size=30)


def stand(modem, talk):
    """Drive a modem through a talk and on until it rests; return all events."""
    events, now, offered = [], 0, 0
    modem.open(now)
    for pause_us, said, offers in talk:
        now = _pass(modem, now, now + pause_us, events)
        modem.receive(said, now)
        _drain(modem, events)
        if offers and modem.ready:
            offered += 1
            modem.transmit(b"a frame", now)
            _drain(modem, events)
    for _ in range(STEPS_MAX):
        if modem.ready or isinstance(events[-1] if events else None, Broken):
            break
        due_us = modem.poll_timeout()
        assert due_us is not None, f"it waits for ever: {events}"
        now = max(now, due_us)
        modem.handle_timeout(now)
        _drain(modem, events)
    else:
        raise AssertionError("it never comes to rest")
    broken = [event for event in events if isinstance(event, Broken)]
    assert len(broken) <= 1
    assert all(event.advice for event in broken)
    settled = [event for event in events if isinstance(event, Sent | NotSent)]
    assert len(settled) == offered, "each frame has one end"
    for event in events:
        if isinstance(event, Heard):
            assert 0 < len(event.frame) <= 255
    return events


def _pass(modem, now, end, events):
    for _ in range(STEPS_MAX):
        due_us = modem.poll_timeout()
        if due_us is None or due_us > end:
            return end
        now = max(now, due_us)
        modem.handle_timeout(now)
        _drain(modem, events)
    raise AssertionError("its timer does not move on")


def _drain(modem, events):
    while (event := modem.poll_event()) is not None:
        events.append(event)
    while modem.poll_write() is not None:
        pass
    buffer = getattr(modem, "_buffer", b"")
    assert len(buffer) <= BUFFER_MAX
