"""What the demo prints fits a terminal, keeps colour to those who want it, and says how it went."""

import io
import re

import pytest

from meshd.lab.teller import WIDTH, Held, Outcome, Teller

OUTCOMES = [
    Outcome("routes installed", Held.YES, 1.234, "all routes reached the kernels " * 5),
    Outcome("healed, both ends equal", Held.NO, 60.0, "the ends differ"),
    Outcome("far status by MQTT", Held.LEFT_OUT, None, "mosquitto is not installed"),
    Outcome("neighbours found", Held.NOT_APPLICABLE, None, "leaves have peers"),
]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


def tell(out):
    teller = Teller(out)
    teller.title("five nodes")
    teller.say("A long sentence that goes on and on. " * 6)
    teller.picture("one ~~~ two")
    for outcome in OUTCOMES:
        teller.begin(outcome.name)
        teller.quote("fd00::1 via fe80::1 dev w0 " * 6)
        teller.end(outcome)
    teller.table(OUTCOMES)
    return out.getvalue()


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.held.value)
def test_each_outcome_is_told_and_reported(outcome):
    told = tell(io.StringIO())
    assert outcome.held.value in told
    assert outcome.as_json()["held"] == outcome.held.value
    assert outcome.as_json()["seconds"] == outcome.seconds


def test_fits_eighty_columns():
    plain = re.sub(r"\x1b\[[0-9;]*m", "", tell(Terminal()))
    assert max(len(line) for line in plain.splitlines()) <= WIDTH


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in tell(Terminal())
    assert "\x1b[" not in tell(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in tell(Terminal())


def test_marks_are_plain_where_the_stream_is_not_unicode():
    assert tell(io.StringIO()).isascii()
    assert "✓" in tell(Terminal())
