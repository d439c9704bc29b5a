"""Real daemons record themselves; what they wrote replays to the state that they were in."""

import os
import stat

import pytest
from daemons.faulty import problems, ready, refused_run
from daemons.recordings import lines, replay

from meshd.lab.daemons import Daemon, wait_for

pytestmark = pytest.mark.netns

WITHIN_S = 60


def recorded(place):
    """Return a daemon that records, and its file."""
    file = place.folder / "recording.jsonl"
    return Daemon(place, options=["--interface", "w0:mesh", "--record", str(file)]), file


def test_recorded_pair_replays_to_the_same_state(lab, tmp_path):
    places = [lab.node("one"), lab.node("two")]
    lab.line(places)
    (one, first), (two, second) = map(recorded, places)
    ready(one, two)
    assert "device's keys" in problems(one)["recording"]["text"]
    assert str(first) in problems(one)["recording"]["text"]
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    space = one.ask("space", "create", "valley")["space"]
    two.ask("join", one.ask("invite", space)["url"])
    for number in range(10):
        (one, two)[number % 2].ask("post", space, f"note {number}")
    file = tmp_path / "file.bin"
    file.write_bytes(os.urandom(300_000))
    one.ask("put", space, str(file))
    one.ask("ping", two.node)

    def told():
        found = [node.ask("log", space)["entries"] for node in (one, two)]
        return all(sum(row["kind"] == "post" for row in rows) == 10 for rows in found)

    assert wait_for(told, WITHIN_S)
    status = two.ask("status")
    two.kill()
    one.stop()
    stopped, killed = replay(first.read_bytes()), replay(second.read_bytes())
    assert (stopped.difference, stopped.ended) == (None, "stopped")
    assert (killed.difference, killed.ended) == (None, "killed")
    assert stopped.checks >= 1
    again = killed.node.snapshot(killed.now)
    assert again.node == status["node"]
    assert [item.entries for item in again.spaces] == [row["entries"] for row in status["spaces"]]
    assert {row.prefix for row in again.routes} >= {row["prefix"] for row in status["routes"]}
    assert any("entropy" in line for line in lines(first.read_bytes()))


def test_file_that_exists_ends_the_start_before_anything_is_changed(lab):
    place = lab.node("one", radio=False)
    file = place.folder / "kept"
    file.write_text("kept")
    code, said = refused_run(place, "--leaf", "--record", str(file))
    assert code == 1
    assert "never written over" in said
    assert file.read_text() == "kept"
