"""Any line to the control socket is a request or a RequestError, and never anything else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from meshd.core.errors import Exit, RequestError
from meshd.runtime.control_lines import call_number, parse, verb_and_args

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {}, optional={"id": VALUES, "verb": VALUES, "args": VALUES, "more": VALUES}
)


def read(line: bytes) -> tuple[int | str, str, dict] | None:
    try:
        message = parse(line)
        return (call_number(message), *verb_and_args(message))
    except RequestError as error:
        assert error.code is Exit.USAGE and error.text
        return None


@given(st.binary() | REQUESTS.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_request_or_an_error(line):
    request = read(line)
    if request is not None:
        number, verb, args = request
        assert type(number) in (int, str) and 0 < len(verb) <= 64 and isinstance(args, dict)
        json.dumps([number, verb, args], ensure_ascii=False).encode()


@given(
    st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=64),
    st.text(min_size=1, max_size=64),
    st.dictionaries(st.text(), st.integers() | st.text()),
)
def test_every_good_request_is_taken_as_it_is(number, verb, args):
    line = json.dumps({"id": number, "verb": verb, "args": args}).encode()
    assert read(line) == (number, verb, args)
