"""The demo's own manners: where its figures go, how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.core.errors import Exit
from meshd.lab import demo, story
from meshd.lab.stage import LoopbackStage
from meshd.lab.teller import Teller


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


def test_figures_that_cannot_be_written_are_a_note(monkeypatch, tmp_path):
    def refuse(report):
        raise PermissionError(13, "Permission denied", "build/demo.json")

    monkeypatch.setattr(demo, "_write", refuse)
    out = io.StringIO()
    demo._keep_figures(story.Story(LoopbackStage(tmp_path), Teller(out)))
    assert "not kept: build/demo.json: Permission denied" in out.getvalue()


def test_logs_of_a_story_that_failed_are_kept_and_named(monkeypatch, tmp_path):
    folder, temporary = tmp_path / "demo", tmp_path / "tmp"
    (folder / "four" / "state").mkdir(parents=True)
    temporary.mkdir()
    (folder / "four" / "meshd.log").write_text("it broke here")
    (folder / "four" / "state" / "device.key").write_text("secret")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    out = io.StringIO()
    demo._keep_logs(folder, Teller(out))
    (kept,) = temporary.iterdir()
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "four-meshd.log": "it broke here"
    }
    assert str(kept) in out.getvalue().replace("\n  ", "") and "try it again" in out.getvalue()


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
