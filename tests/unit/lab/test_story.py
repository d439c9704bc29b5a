"""What the demo's story compares, and that it says when a step takes long."""

import io
from types import SimpleNamespace

import pytest

from meshd.lab import story as told
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
