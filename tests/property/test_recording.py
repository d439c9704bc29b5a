"""Any cut, garbled or hostile recording replays, or is refused with a clear error."""

import json

import pytest
from daemons.recordings import lines, record_world, replay, unlines
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.events import Answer, Datagram, EntryRow, FeedImage, Link, LinkKind, StoreImage
from meshd.core.snapshot import Problem
from meshd.recording.values import RecordingError, coder

WORTH = settings(max_examples=60, deadline=None)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    _, files = record_world(tmp_path_factory.mktemp("recorded"))
    return files["n2", 1].read_bytes()


def judged(data):
    """Replay; a refusal has a text of one line, anything else that is raised fails the test."""
    try:
        return replay(data)
    except RecordingError as error:
        assert str(error)
        assert "\n" not in str(error)
        return None


@WORTH
@given(data=st.data())
def test_any_cut_replays_or_has_no_header(recording, data):
    place = data.draw(st.integers(0, len(recording)))
    found = judged(recording[:place])
    assert (found is None) == (place <= recording.index(b"\n"))
    assert found is None or found.difference is None


@WORTH
@given(data=st.data())
def test_any_garbled_byte_is_a_difference_or_an_error(recording, data):
    place = data.draw(st.integers(0, len(recording) - 1))
    judged(recording[:place] + data.draw(st.binary(max_size=3)) + recording[place + 1 :])


@WORTH
@given(data=st.data())
def test_any_value_in_any_place_is_a_difference_or_an_error(recording, data):
    told = lines(recording)
    line = data.draw(st.sampled_from(told[1:]))
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(_VALUES)
    judged(unlines(told))


@WORTH
@given(data=st.data())
def test_lines_in_any_order_are_a_difference_or_an_error(recording, data):
    told = lines(recording)
    some = data.draw(st.lists(st.sampled_from(told[1:]), max_size=40))
    judged(unlines([told[0], *some]))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    assert judged(data) is None


_INT = st.integers(-(2**62), 2**62)
_BYTES = st.binary(max_size=20)
_ROW = st.builds(EntryRow, _BYTES, _BYTES, _INT, _BYTES, st.booleans())
_FEED = st.builds(FeedImage, _BYTES, _BYTES, _INT, _BYTES, _INT)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Answer, _INT | st.none() | st.booleans() | st.lists(_BYTES, max_size=3).map(tuple)),
        (Answer, st.tuples(_BYTES, _INT) | st.tuples(_INT, _BYTES)),
        (Datagram, st.builds(Datagram, _BYTES, _INT, _BYTES, st.booleans())),
        (Link, st.builds(Link, st.text(), st.sampled_from(LinkKind), _BYTES, _INT)),
        (
            StoreImage,
            st.builds(
                StoreImage,
                st.dictionaries(st.text(max_size=8), _BYTES, max_size=3),
                st.lists(_FEED, max_size=2).map(tuple),
                st.lists(_ROW, max_size=2).map(tuple),
            ),
        ),
        (Problem, st.builds(Problem, st.text(), st.text(), st.text())),
        (int | None, st.none() | _INT),
    ],
)
def test_every_value_survives(kind, values):
    form = coder(kind)

    @settings(max_examples=30, deadline=None)
    @given(values)
    def survives(value):
        again = form.decode(json.loads(json.dumps(form.encode(value))))
        assert again == value
        assert type(again) is type(value)

    survives()
