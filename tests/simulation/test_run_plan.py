"""A plan from its text to its outcome, log and page, by the daemon's own nodes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.simulation.plan.file import parse
from meshd.simulation.report.log import SYMBOLS, Log, legend
from meshd.simulation.run import run_plan

HAMLET = """\
name = "hamlet"
duration_s = 60
settle_s = 20
[terrain]
width_m = 300
height_m = 300
[[nodes]]
name = "house"
count = 4
[[nodes]]
name = "mill"
relay_only = true
[[traffic]]
kind = "broadcast"
every_s = 30
start_s = 10
[[traffic]]
kind = "direct"
every_s = 30
start_s = 10
[[traffic]]
kind = "file"
nodes = "house1"
every_s = 40
size = 5000
start_s = 10
[[fault]]
kind = "crash"
nodes = "house2"
at_s = 20
for_s = 15
"""
EVERYTHING = """\
import sys
from meshd.simulation.report.log import Log, legend
from meshd.simulation.plan.file import load
from meshd.simulation.report.page import page
from meshd.simulation.run import run_plan
plan = load(sys.argv[1])
written = [legend(plan, 5)]
outcome = run_plan(plan, 5, observers=[lambda world, _: Log(world, written.append)])
value = outcome.as_json()
sys.stdout.write(outcome.text() + "".join(written) + page(value, command="meshd simulate x"))
"""


@pytest.fixture(scope="module")
def outcome():
    return run_plan(parse(HAMLET, "hamlet.toml"), 1)


def test_everything_asked_in_a_hamlet_arrives(outcome):
    value = outcome.as_json()
    assert outcome.finished and outcome.held, outcome.violations
    assert value["schema"] == "meshd.simulation/1"
    for kind in value["delivery"]["kinds"]:
        assert kind["due"] == kind["delivered"] > 0, kind
    assert value["delivery"]["kinds"][0]["due"] % 3 == 0, "a relay is owed no notes"


def test_outcome_has_curves_map_faults_and_purposes(outcome):
    value = outcome.as_json()
    assert len(value["map"]["hosts"]) == 5 and value["map"]["links"]
    assert [(one["begins_s"], one["ends_s"]) for one in value["faults"]] == [(20.0, 35.0)]
    assert {"routing", "sync", "data", "sessions"} <= set(value["sent"]["by_purpose"])
    rows = value["curves"]["rows"]
    assert sum(row["due"] for row in rows) == value["delivery"]["total"]["due"]
    assert min(row["running"] for row in rows) == 4


def test_frames_of_the_hostile_are_counted_as_theirs():
    flood = '[[fault]]\nkind = "hostile"\nbehaviour = "flood"\nnodes = "house1"\nat_s = 5\n'
    plan = parse(f"{HAMLET}{flood}for_s = 10\ncount = 20\n", "f")
    sent = run_plan(plan, 1).as_json()["sent"]["by_purpose"]["hostile"]
    assert 100 <= sent["frames"] <= 200 and sent["airtime_us"] > 0


def test_outcome_tells_house_by_house_and_how_full_the_air_was(outcome):
    value = outcome.as_json()
    assert [one["name"] for one in value["hosts"]] == [
        *("house1", "house2", "house3", "house4"),
        "mill",
    ]
    assert sum(one["sent"]["due"] for one in value["hosts"]) == value["delivery"]["total"]["due"]
    assert value["islands"]["begin"] == [["house1", "house2", "house3", "house4", "mill"]]
    (busiest,) = value["sent"]["busiest"]
    assert busiest["medium"] == "w0" and 0 < busiest["percent"] < 100
    assert busiest["host"] in {one["name"] for one in value["hosts"]}


def test_recording_begins_with_the_first_life_that_is_lived(tmp_path):
    asked = []
    run_plan(parse(HAMLET, "f"), 1, tapes=lambda name, life: asked.append(name))
    assert sorted(asked) == ["house1", "house2", "house2", "house3", "house4", "mill"]


def test_log_has_a_legend_and_a_line_for_each_event():
    plan, written = parse(HAMLET, "f"), []
    run_plan(plan, 1, observers=[lambda world, _: Log(world, written.append)])
    head = legend(plan, 1).splitlines()
    assert all(line.startswith("# ") for line in head) and len(head) == len(SYMBOLS) + 1
    seen = {line.split()[1] for line in written}
    assert seen <= set(SYMBOLS) and {"^", "_", "{", "}", "?", "=", "~", "*"} <= seen
    times = [line.split()[0] for line in written]
    assert times == sorted(times)
    assert any("house2" in line and " _ " in line for line in written)


def test_interrupted_run_tells_what_is_known_by_then():
    def stop(done_us, total_us):
        if done_us > total_us // 2:
            raise KeyboardInterrupt

    outcome = run_plan(parse(HAMLET, "f"), 1, progress=stop)
    value = outcome.as_json()
    assert not outcome.finished and outcome.held
    assert 40 <= value["virtual_s"] < 60 and value["delivery"]["total"]["asked"]


def test_same_seed_gives_the_same_bytes_whatever_the_hash_seed(tmp_path):
    plan = tmp_path / "hamlet.toml"
    plan.write_text(HAMLET)
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", EVERYTHING, str(plan)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        )
        for seed in ("1", "2")
    ]
    digests = []
    for process in running:
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and b"<svg" in told and b"meshd.simulation/1" in told
        digests.append(hashlib.sha256(told).hexdigest())
    assert digests[0] == digests[1]
