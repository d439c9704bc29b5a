"""Names without ink in them are none: where a node, a person, a space or a file is named."""

import pytest

from meshd.config.values import parse_name
from meshd.core.errors import RequestError, WireError
from meshd.core.names import shows
from meshd.space.verbs import name_of
from meshd.wire.membership import decode_name
from meshd.wire.payload import FileSecret, decode_file_secret
from meshd.wire.session_records import node_name

SEEN = ("", "Anna", "Großmutter", "Ольга", "한글", "नमस्ते", "a b", "☀️", "naïve cafe\u0301")
UNSEEN = (
    *("\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u180b", "\u180f"),
    *("\ufe0f", "\ufe00", "\U000e0100", "\U00016fe4", "\U0001d159", "\u200b", "\u00ad", "\u2066"),
    *("\n", "\x1b", "\u00a0"),
)


@pytest.mark.parametrize("name", SEEN)
def test_names_that_can_be_seen(name):
    assert shows(name)
    assert node_name(name.encode()) == name


@pytest.mark.parametrize("letter", UNSEEN)
def test_name_with_a_letter_that_cannot_be_seen_is_refused_wherever_one_is_given(letter):
    for name in (letter, f"An{letter}na", f"Anna{letter}"):
        assert not shows(name)
        assert node_name(name.encode()) == ""
        with pytest.raises(ValueError, match="printable"):
            parse_name(name)
        with pytest.raises(RequestError):
            name_of({"name": name}, "name")
        with pytest.raises(WireError):
            decode_name(name.encode())
        with pytest.raises(WireError):
            decode_file_secret(FileSecret(bytes(32), 1, name, "").encode())
