"""Changing one table of a file leaves every other byte as it was, or changes nothing at all."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.config.edit import Change, edit_table
from meshd.core.errors import ConfigError

FILE = """\
# roof
name = "roof-1"   # as people say

[[radio]] # the old one
port = "/dev/ttyUSB0"
power_dbm = 14 # not more, it gets hot
region='EU868'
# more to come

[mqtt]
url = "mqtt://b"
"""


def test_value_is_changed_in_its_line_and_comments_stay():
    edited = edit_table(FILE, "f", ("radio", 0), {"power_dbm": 10, "region": "EU868"})
    assert edited.text == FILE.replace("power_dbm = 14 #", "power_dbm = 10 #")
    assert edited.changes == (Change("power_dbm", 14, 10),)


def test_new_key_goes_below_the_others_of_its_table():
    edited = edit_table(FILE, "f", ("radio", 0), {"kind": "rnode", "strong": False})
    added = "region='EU868'\nkind = \"rnode\"\nstrong = false\n"
    assert edited.text == FILE.replace("region='EU868'\n", added)


def test_key_goes_and_its_comment_stays():
    edited = edit_table(FILE, "f", ("radio", 0), {"power_dbm": None, "kind": None})
    assert edited.text == FILE.replace("power_dbm = 14 # not more", "# not more")
    assert edited.changes == (Change("power_dbm", 14, None),)


def test_new_table_goes_to_the_end():
    edited = edit_table(FILE, "f", ("radio", 1), {"port": "/dev/b", "antenna_dbi": 5.5})
    assert edited.text == FILE + '\n[[radio]]\nport = "/dev/b"\nantenna_dbi = 5.5\n'


def test_nothing_to_change_changes_nothing():
    assert edit_table(FILE, "f", ("radio", 0), {"power_dbm": 14}) == (FILE, ())


@pytest.mark.parametrize("text", ["", "a = 1", "a = 1\r\n", "[[radio]]\nport = 'x'"])
def test_last_line_without_an_end_and_other_line_ends(text):
    count = text.count("[[")
    edited = edit_table(text, "f", ("radio", count), {"port": "/p"})
    assert tomllib.loads(edited.text)["radio"][-1] == {"port": "/p"}
    assert edited.text.startswith(text)
    assert edited.text.count("\r\n") in (0, edited.text.count("\n"))
    if count:
        edited = edit_table(text, "f", ("radio", 0), {"kind": "k"})
        assert edited.text == text + '\nkind = "k"\n'


@pytest.mark.parametrize(
    "text",
    [
        'radio = [{port = "/p", power_dbm = 3}]\n',
        '[[radio]]\nport = "/p"\n"power_dbm" = 3\n',
        '[[radio]]\nport = "/p"\npower_dbm = """\n3"""\n',
        '[[radio]]\nport = "/p"\npower_dbm = [\n3]\n',
        "radio = 3\n",
        "[[radio]\n",
    ],
)
def test_what_can_not_be_changed_for_sure_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        edit_table(text, "f", ("radio", 0), {"power_dbm": 5})
    assert caught.value.remedy


COMMENTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
SCALARS = st.one_of(
    st.integers(-9, 36), st.booleans(), st.floats(0.25, 900), COMMENTS.filter(str.isprintable)
)
NAMES = st.sampled_from(["port", "kind", "power_dbm", "strong"])


@given(
    tables=st.lists(st.dictionaries(NAMES, SCALARS, min_size=1), min_size=1, max_size=3),
    comments=st.lists(COMMENTS, min_size=20, max_size=20),
    wanted=st.dictionaries(NAMES, st.none() | SCALARS, max_size=3),
    place=st.integers(0, 2),
)
def test_any_table_becomes_what_is_wanted_and_keeps_its_comments(tables, comments, wanted, place):
    import json

    notes = iter(comments)
    rows = []
    for table in tables:
        rows.append("[[radio]] #" + next(notes))
        for key, value in table.items():
            shown = json.dumps(value, ensure_ascii=False)
            rows.append(f"{key} = {shown}  # {next(notes)}")
    text = "\n".join(rows) + "\n"
    index = min(place, len(tables) - 1)
    edited = edit_table(text, "f", ("radio", index), wanted)
    expected = {**tables[index], **wanted}
    expected = {key: value for key, value in expected.items() if value is not None}
    assert tomllib.loads(edited.text)["radio"][index] == expected
    assert edited.text.count("#") >= text.count("#") - sum(
        "#" in str(v) for v in tables[index].values()
    )
