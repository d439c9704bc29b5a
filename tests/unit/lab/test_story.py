"""What the demo's story compares, and that it says when a step takes long."""

import io
from types import SimpleNamespace

import pytest

from meshd.lab import story as told
from meshd.lab.causes import causes
from meshd.lab.teller import Teller


class Ends:
    """Two nodes that hold the same notes; what is posted on one is lost if it refuses."""

    routed = False

    def __init__(self, refuses=()):
        self.refuses = refuses
        self.notes = []
        self.daemons = [SimpleNamespace(ask=self.ask)] * 2

    def ask(self, verb, *words):
        if verb == "post" and words[1] in self.refuses:
            raise told.StepError("lost")
        if verb == "post":
            self.notes.append(words[1])
        return {"entries": [{"kind": "post", "text": note} for note in self.notes]}

    def heal(self):
        pass

    def ended(self):
        return ""

    def causes(self):
        return ["four: the modem is silent"]


def a_story(stage):
    out = io.StringIO()
    story = told.Story(stage, Teller(out))
    story._space = "valley"
    return story, out


def test_healed_ends_are_compared_with_what_was_really_posted():
    story, _ = a_story(Ends(refuses={told.FIRST_NOTE}))
    story._post(story.last, told.HELLO_NOTE)
    with pytest.raises(told.StepError):
        story._post(story.first, told.FIRST_NOTE)
    assert story._heal() == "both ends hold the same 1 notes"


def test_step_that_takes_long_says_so(monkeypatch):
    monkeypatch.setattr(told, "PATIENCE_S", 0.0)
    story, out = a_story(Ends())
    answers = iter([False, True])
    story._expect(lambda: next(answers), "nothing came")
    assert out.getvalue().strip().startswith("still waiting: ")


def test_who_ended_is_told_at_once_and_not_waited_for():
    stage = Ends()
    stage.ended = lambda: "the emulated radio of three ended with 1"
    story, _ = a_story(stage)
    with pytest.raises(told.StepError, match="nothing came: the emulated radio of three ended"):
        story._expect(lambda: False, "nothing came")


def test_step_that_fails_names_what_the_logs_say():
    story, _ = a_story(Ends())

    def step():
        raise told.StepError("nothing came")

    outcome = story._try("a step", step)
    assert outcome.detail == "nothing came; four: the modem is silent"


def test_causes_are_what_a_log_complains_of_and_is_not_over(tmp_path):
    (tmp_path / "meshd.log").write_text(
        "2026-01-01 10:00:00,000 INFO    meshd up node=a4xunh3gup7zwypy\n"
        "2026-01-01 10:00:01,000 WARNING meshd problem code=radio-port-gone text=gone next=x\n"
        "2026-01-01 10:00:02,000 INFO    meshd problem-over code=radio-port-gone text=gone\n"
        "2026-01-01 10:00:03,000 WARNING meshd problem code=disk-full text=no room next=make room\n"
        "2026-01-01 10:00:04,000 ERROR   meshd.radio a fault\n"
    )
    (tmp_path / "radio.log").write_text(
        "rnode at ./radio\nmeshd: /tmp/air is not yours\n  next: remove it\n"
    )
    assert causes(tmp_path) == [
        "no room; next: make room",
        "a fault",
        "/tmp/air is not yours; next: remove it",
    ]


def test_place_that_is_silent_has_no_causes(tmp_path):
    (tmp_path / "meshd.log").write_text("2026-01-01 10:00:00,000 INFO    meshd up\n" * 9)
    assert causes(tmp_path) == []
