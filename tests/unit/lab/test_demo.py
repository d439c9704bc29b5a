"""The demo's own manners: where its figures go, how it ends, what it compares."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshd.core.errors import Exit
from meshd.lab import demo
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
            raise demo.StepError("lost")
        if verb == "post":
            self.notes.append(words[1])
        return {"entries": [{"kind": "post", "text": note} for note in self.notes]}

    def heal(self):
        pass


def a_story(stage):
    out = io.StringIO()
    story = demo.Story(stage, Teller(out))
    story._space = "valley"
    return story, out


def test_healed_ends_are_compared_with_what_was_really_posted():
    story, _ = a_story(Ends(refuses={demo.FIRST_NOTE}))
    story._post(story.last, demo.HELLO_NOTE)
    with pytest.raises(demo.StepError):
        story._post(story.first, demo.FIRST_NOTE)
    assert story._heal() == "both ends hold the same 1 notes"


def test_step_that_takes_long_says_so(monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE_S", 0.0)
    story, out = a_story(Ends())
    answers = iter([False, True])
    story._expect(lambda: next(answers), "nothing came")
    assert out.getvalue().strip().startswith("still waiting")


def test_figures_go_to_build_in_the_source_tree_only(monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    path = demo._write({"held": True})
    assert path.parent == tmp_path / "tmp" and json.loads(path.read_text()) == {"held": True}
    assert not (tmp_path / "build").exists()
    (tmp_path / "Makefile").touch()
    monkeypatch.setattr(demo, "TREE", tmp_path)
    assert demo._write({}) == Path("build/demo.json") and (tmp_path / "build/demo.json").exists()


def test_figures_that_cannot_be_written_are_a_note(monkeypatch):
    def refuse(report):
        raise PermissionError(13, "Permission denied", "build/demo.json")

    monkeypatch.setattr(demo, "_write", refuse)
    story, out = a_story(Ends())
    demo._keep_figures(story)
    assert "not kept: build/demo.json: Permission denied" in out.getvalue()


STORY = """
import sys, time
from meshd.cli.main import main
from meshd.lab import demo

class Slow(demo.LoopbackStage):
    def close(self):
        print("cleaning", flush=True)
        time.sleep(0.3)
        super().close()

def tell(story):
    story.told = {told}

demo.LoopbackStage = Slow
demo.Story.tell = tell
demo._stay = lambda story: (print("staying", flush=True), time.sleep(60))
sys.exit(main(["demo", "--leaf"]))
"""


@pytest.mark.parametrize(("told", "code"), [(True, Exit.OK), (False, Exit.INTERRUPTED)])
def test_interrupted_twice_it_still_cleans_up(tmp_path, told, code):
    playing = subprocess.Popen(
        [sys.executable, "-c", STORY.format(told=told)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(demo.TREE)},
    )
    for awaited in ("staying", "cleaning"):
        while awaited not in playing.stdout.readline():
            assert playing.poll() is None
        playing.send_signal(signal.SIGINT)
    said, _ = playing.communicate(timeout=10)
    assert playing.returncode == code and "Stopped; all is cleaned up." in said
    assert not list(tmp_path.glob("meshd-demo-*"))
