import json
import sys
import time
from dataclasses import replace

import pytest

from meshd.cli import simulate_seeds
from meshd.cli.main import main
from meshd.cli.meter import Meter
from meshd.cli.outfiles import write_whole
from meshd.cli.simulate import find_plan
from meshd.core.errors import Exit, RequestError
from meshd.simulation import run
from meshd.simulation.observer import Violation
from meshd.simulation.plan.file import dump
from meshd.simulation.run import Span, run_plan

LOOPS = {"loops": 1}

PAIR = """\
name = "pair"
duration_s = 20
settle_s = 5
[[nodes]]
name = "n"
count = 2
layout = "full"
[[traffic]]
kind = "direct"
every_s = 5
start_s = 5
"""


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "pair.toml"
    path.write_text(PAIR)
    return str(path)


def test_plan_of_a_file_is_run_and_told_in_words(pair, capsys):
    assert main(["simulate", pair]) == Exit.OK
    out, err = capsys.readouterr()
    assert out.startswith("pair: everything arrived; every rule held\n")
    assert "2 nodes, 25 s of virtual time, no faults." in out
    assert "calls to one" in out and "100 %" in out and "Every rule" in out
    assert err == "pair: 2 nodes, 25 s of virtual time; setting up\n"


def test_json_is_one_object_and_nothing_else(pair, capsys):
    assert main(["simulate", pair, "--json", "--seed", "7"]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert (value["schema"], value["seed"], value["held"]) == ("meshd.simulation/1", 7, True)


def test_report_is_one_page_that_loads_nothing(pair, tmp_path, capsys):
    assert main(["simulate", pair, "--report", str(tmp_path / "out")]) == Exit.OK
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        page.count('role="img"') >= 1
        and page.count("<svg") >= 6
        and "meshd simulate pair.toml --seed 1" in page
    )
    assert "src=" not in page and "@import" not in page and "<script" not in page
    assert str(tmp_path) not in page
    value = json.loads((tmp_path / "out" / "outcome.json").read_text())
    assert value["plan"] == "pair"


def test_without_the_plotting_library_the_page_is_made_and_says_so(
    pair, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["simulate", pair, "--report", str(tmp_path / "out")]) == Exit.OK
    told = capsys.readouterr().err.splitlines()
    assert "pip install matplotlib" in told[0], "it is told before the run"
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('role="img"') == 1 and "The curves are missing" in page


def test_broken_rule_has_an_exit_code_of_its_own(pair, capsys, monkeypatch):
    def broken(*_args, **_more):
        outcome = run_plan(find_plan(pair), 1)
        return replace(outcome, violations=(Violation(3, "loops", "n1", "round"),), broken=LOOPS)

    monkeypatch.setattr(run, "run_plan", broken)
    assert main(["simulate", pair]) == Exit.RULE_BROKEN == 10
    out, err = capsys.readouterr()
    assert out.startswith("pair: everything arrived; rules broken once\n")
    assert "0.000 s, n1: loops: round" in err and "--log FILE shows what led to it" in err


@pytest.mark.parametrize("at", [0.0, 0.5])
def test_interrupted_run_ends_with_130_and_one_json_object(pair, capsys, monkeypatch, at):
    def stop(self, done_us, total_us):
        if done_us >= at * total_us:
            raise KeyboardInterrupt

    if at:
        monkeypatch.setattr(Meter, "update", stop)
    else:
        monkeypatch.setattr(run, "build_world", lambda *_args, **_more: stop(None, 0, 0))
    assert main(["simulate", pair, "--json"]) == Exit.INTERRUPTED
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value["finished"] is False and value["schema"] == "meshd.simulation/1"
    assert err.count("interrupted") == 1


def test_several_seeds_give_median_and_spread(pair, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["simulate", pair, "--seeds", "3-4", "--json", "--report", str(folder)]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert [row["seed"] for row in value["seeds"]] == [3, 4] and value["finished"]
    assert value["median"]["percent"] == 100 and value["spread"]["percent"] == [100, 100]
    page = (folder / "report.html").read_text()
    assert '<a href="seed3.html">' in page and "--seeds 3-4" in page
    assert "--seed 4" in (folder / "seed4.html").read_text()


def test_interrupted_seeds_tell_of_those_that_ended(pair, capsys, monkeypatch):
    def stopped(plan, seeds, cores):
        yield seeds[0], run_plan(plan, seeds[0]).as_json()
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_seeds, "_each", stopped)
    assert main(["simulate", pair, "--seeds", "1-5", "--json"]) == Exit.INTERRUPTED
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert not value["finished"] and [row["seed"] for row in value["seeds"]] == [1]
    assert "interrupted: 1 of 5 seeds are told" in err


def test_run_can_be_shortened(pair, capsys):
    assert main(["simulate", pair, "--for", "10s", "--json"]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert (value["duration_s"], value["virtual_s"]) == (10.0, 15.0)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--for", "soon"], Exit.USAGE, '"soon" is not a time, as 90s, 5m or 2h'),
        (["--for", "5s"], Exit.USAGE, "--for 5s ends before anybody asks for anything"),
        (["--seeds", "9-3"], Exit.USAGE, '"9-3" is not 1 to 1000 seeds'),
        (["--seeds", "1-2", "--log", "x"], Exit.USAGE, "--log is of one run"),
        (["--json", "--log", "-"], Exit.USAGE, "would mix on stdout"),
    ],
)
def test_mistaken_options_are_told_before_the_run(pair, capsys, words, code, told):
    assert main(["simulate", pair, *words]) == code
    out, err = capsys.readouterr()
    assert ("meshd.error/1" in out) == ("--json" in words)
    assert told in err and "setting up" not in err and err.count("next:") == 1


def test_each_life_is_recorded_and_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fault = '[[fault]]\nkind = "crash"\nnodes = "n1"\nat_s = 9\nfor_s = 3\n'
    (tmp_path / "p.toml").write_text(PAIR + '[[traffic]]\nkind = "broadcast"\n' + fault)
    (tmp_path / "p.toml").write_text((tmp_path / "p.toml").read_text().replace("= 20", "= 80"))
    assert main(["simulate", "p.toml", "--record", "n1"]) == Exit.OK
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [
        "n1-seed1-life1.jsonl",
        "n1-seed1-life2.jsonl",
    ]
    assert "recorded: n1-seed1-life2.jsonl; `meshd replay" in capsys.readouterr().err
    assert main(["simulate", "p.toml", "--record", "n1"]) == Exit.ERROR
    assert "never written over" in capsys.readouterr().err


def test_log_begins_with_who_is_on(pair, tmp_path):
    assert main(["simulate", pair, "--log", str(tmp_path / "log")]) == Exit.OK
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line[0] != "#"]
    assert lines[:2] == ["00:00:00.000 ^ n1 on", "00:00:00.000 ^ n2 on"]


def test_log_goes_to_a_file_or_to_stdout(pair, tmp_path, capsys):
    assert main(["simulate", pair, "--log", str(tmp_path / "log")]) == Exit.OK
    capsys.readouterr()
    assert main(["simulate", pair, "--log", "-"]) == Exit.OK
    assert capsys.readouterr().out == (tmp_path / "log").read_text()


def test_unknown_plan_is_guessed(capsys):
    assert main(["simulate", "vilage"]) == Exit.NOT_FOUND
    assert 'did you mean "village"?' in capsys.readouterr().err


@pytest.mark.parametrize("name", ["./my-place.toml", "my-place.toml", "no/such"])
def test_file_that_is_not_there_is_no_plan_with_mistakes(name, capsys):
    assert main(["simulate", name, "--json"]) == Exit.NOT_FOUND
    told = json.loads(capsys.readouterr().out)
    assert f"{name}: no such file" in told["error"] and "--list" in told["remedy"]


def test_mistakes_of_a_plan_are_told_with_their_lines(tmp_path, capsys):
    path = tmp_path / "bad.toml"
    path.write_text(PAIR.replace("every_s", "evry_s"))
    assert main(["simulate", str(path)]) == Exit.CONFIG
    assert 'bad.toml:10: traffic.evry_s: unknown key, did you mean "every_s"?' in (
        capsys.readouterr().err
    )


def test_examples_are_listed_and_can_be_read(capsys):
    assert main(["simulate", "--list"]) == Exit.OK
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert "village" in listed
    for name in listed:
        plan = find_plan(name)
        assert plan.name == name and plan.title and dump(plan)
        assert Span.of(plan).buckets <= 60


def test_examples_are_listed_as_json(capsys):
    assert main(["simulate", "--list", "--json"]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "meshd.simulate.list/1"
    assert {"name": "hamlet", "nodes": 8}.items() <= value["plans"][0].items()


def test_meter_says_at_once_that_it_has_begun_and_then_little_where_nobody_looks(capsys):
    with Meter("x", "setting up") as meter:
        meter.update(1, 2)
    assert capsys.readouterr() == ("", "x: setting up\n")


def test_meter_does_not_guess_too_early(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    meter = Meter("x", "setting up")
    for now[0], done in ((5.0, 500), (300.0, 20), (310.0, 500)):
        meter.update(done, 1000)
    told = capsys.readouterr().err.split("\r")
    assert ["left" in line for line in told[-3:]] == [False, False, True]
    assert "5 min 10 s left" in told[-1]


def test_host_to_record_that_the_plan_has_not_is_told_with_those_it_has(pair, capsys):
    assert main(["simulate", pair, "--record", "NOSUCH"]) == Exit.NOT_FOUND
    err = capsys.readouterr().err
    assert 'no host of this plan is called "NOSUCH"' in err and "its hosts: n1, n2" in err


def test_nodes_that_do_not_speak_meshd_are_not_recorded(pair, tmp_path, capsys):
    path = tmp_path / "flood.toml"
    lora = '[[medium]]\nname = "l"\nkind = "lora"\nbandwidth_khz = 125\n'
    path.write_text('protocol = "managed-flood"\n' + PAIR.replace("[[nodes]]", lora + "[[nodes]]"))
    assert main(["simulate", str(path), "--record", "n1"]) == Exit.USAGE
    assert "only meshd is recorded" in capsys.readouterr().err


def test_report_replaces_a_link_and_follows_none(pair, tmp_path, capsys):
    folder, kept = tmp_path / "out", tmp_path / "kept"
    folder.mkdir()
    kept.write_text("precious")
    for name in ("outcome.json", "report.html"):
        (folder / name).symlink_to(kept)
    assert main(["simulate", pair, "--report", str(folder)]) == Exit.OK
    assert kept.read_text() == "precious"
    assert sorted(item.name for item in folder.iterdir()) == ["outcome.json", "report.html"]
    assert not any(item.is_symlink() for item in folder.iterdir())


@pytest.mark.parametrize("name", ["file", "file/in-it"])
def test_report_needs_a_folder_and_says_so_before_the_run(
    pair, tmp_path, capsys, name, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("meshd.simulation.run.run_plan", None)
    assert main(["simulate", pair, "--report", str(tmp_path / name)]) == Exit.ERROR
    assert "there is a file where a folder is wanted" in capsys.readouterr().err


def test_file_that_cannot_be_put_into_place_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "outcome.json").mkdir()
    with pytest.raises(RequestError, match=r"outcome\.json: cannot be written"):
        write_whole(tmp_path / "outcome.json", "x")
    assert [item.name for item in tmp_path.iterdir()] == ["outcome.json"]


@pytest.mark.parametrize("name", ["/dev/full", "/nowhere/log", "/"])
def test_log_that_cannot_be_written_is_named(pair, capsys, name):
    assert main(["simulate", pair, "--log", name]) == Exit.ERROR
    assert f"{name}: cannot be written: " in capsys.readouterr().err


def test_protocol_of_the_command_stands_for_that_of_the_plan(tmp_path, capsys):
    path = tmp_path / "flood.toml"
    lora = '[[medium]]\nname = "l"\nkind = "lora"\nfrequency_mhz = 869.525\nbandwidth_khz = 250\n'
    lora += 'tx_dbm = 14\nspreading_factor = 9\nregion = "EU868"\n[[nodes]]'
    path.write_text('protocol = "managed-flood"\n' + PAIR.replace("[[nodes]]", lora))
    for name in ("meshd", "distance-vector"):
        folder = tmp_path / name
        said = ["simulate", str(path), "--protocol", name, "--report", str(folder)]
        assert main(said) == Exit.OK
        assert json.loads((folder / "outcome.json").read_text())["protocol"] == name
        assert f"flood.toml --seed 1 --protocol {name}" in (folder / "report.html").read_text()
    capsys.readouterr()
    assert main(["simulate", str(path), "--protocol", "manged-flood"]) == Exit.USAGE
    assert 'did you mean "managed-flood"?' in capsys.readouterr().err
    assert main(["simulate", str(path), "--protocol", "bogus"]) == Exit.USAGE
    assert "next: take one of meshd, " in capsys.readouterr().err
