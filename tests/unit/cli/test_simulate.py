import json
import sys

import pytest

from meshd.cli.main import main
from meshd.cli.outfiles import write_whole
from meshd.cli.simulate import Meter, find_plan
from meshd.core.errors import Exit, RequestError
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
