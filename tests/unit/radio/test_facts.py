"""hardware/radios/*.toml and the code say the same."""

import tomllib
from pathlib import Path

import pytest

from meshd.radio.kinds import KINDS

RADIOS = Path(__file__).resolve().parents[3] / "hardware" / "radios"
FILES = sorted(RADIOS.glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_facts_are_those_of_the_code(path):
    facts = tomllib.loads(path.read_text())
    modem = KINDS[path.stem]
    assert facts["kind"] == path.stem == modem.kind
    assert facts["baud"] == modem.baud
    assert facts["frame_max"] == modem.frame_max
    assert facts["listens"] == modem.listens
    assert all(source["what"] and source["quality"] for source in facts["source"])
    if path.stem != "ebyte":
        assert facts["added_bytes"] == modem.added_bytes


def test_each_radio_is_described():
    text = (RADIOS.parents[1] / "docs" / "radios.md").read_text()
    for path in FILES:
        assert path.stem in text.lower()
