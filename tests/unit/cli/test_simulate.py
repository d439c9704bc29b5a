import json
import sys

import pytest

from meshd.cli.main import main
from meshd.cli.simulate import Meter, find_plan
from meshd.core.errors import Exit
from meshd.simulation.plan_file import dump
from meshd.simulation.run import Span

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
    assert "2 nodes, 25 seconds of virtual time, no faults." in out
    assert "calls to one" in out and "100 %" in out and "Every rule" in out
    assert err == ""


def test_json_is_one_object_and_nothing_else(pair, capsys):
    assert main(["simulate", pair, "--json", "--seed", "7"]) == Exit.OK
    value = json.loads(capsys.readouterr().out)
    assert (value["schema"], value["seed"], value["held"]) == ("meshd.simulation/1", 7, True)


def test_report_is_one_page_that_loads_nothing(pair, tmp_path, capsys):
    assert main(["simulate", pair, "--report", str(tmp_path / "out")]) == Exit.OK
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") >= 3 and "meshd simulate pair.toml --seed 1" in page
    assert "src=" not in page and "@import" not in page and "<script" not in page
    assert str(tmp_path) not in page
    value = json.loads((tmp_path / "out" / "outcome.json").read_text())
    assert value["plan"] == "pair"


def test_without_the_plotting_library_the_figures_are_kept(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["simulate", pair, "--report", str(tmp_path / "out")]) == Exit.ERROR
    assert "pip install 'meshd[plots]'" in capsys.readouterr().err
    assert (tmp_path / "out" / "outcome.json").exists()


def test_log_goes_to_a_file_or_to_stdout(pair, tmp_path, capsys):
    assert main(["simulate", pair, "--log", str(tmp_path / "log")]) == Exit.OK
    capsys.readouterr()
    assert main(["simulate", pair, "--log", "-"]) == Exit.OK
    assert capsys.readouterr().out == (tmp_path / "log").read_text()


def test_unknown_plan_is_guessed(capsys):
    assert main(["simulate", "vilage"]) == Exit.NOT_FOUND
    assert 'did you mean "village"?' in capsys.readouterr().err


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


def test_meter_is_quiet_where_nobody_looks(capsys):
    with Meter("x") as meter:
        meter.update(1, 2)
    assert capsys.readouterr() == ("", "")
