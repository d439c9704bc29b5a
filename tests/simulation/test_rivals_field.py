"""The benchmark of meshd beside its rivals, in a form that ends in seconds."""

import importlib
from pathlib import Path

import pytest

from meshd.simulation.plan.file import dump, parse
from meshd.simulation.plan.plan import PROTOCOLS

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SEED = 3


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("simulator.rivals")


@pytest.fixture(scope="module")
def load(bench):
    return bench.Load(6, 150.0, 300.0, warm_s=420.0)


@pytest.fixture(scope="module", params=("broadcast", "message"))
def rows(request, bench, load):
    kind = request.param
    return kind, {name: bench.play(load, kind, name, SEED) for name in PROTOCOLS}


def test_each_protocol_is_asked_alike_and_keeps_the_law(rows):
    kind, runs = rows
    assert len({row.asked for row in runs.values()}) == 1
    assert all(row.asked > 5 and row.held for row in runs.values())
    assert all(row.near_percent > 0 and row.airtime_ms > 0 for row in runs.values()), kind


def test_meshd_reaches_who_is_in_reach(rows):
    _, runs = rows
    assert runs["meshd"].near_percent == 100.0
    assert runs["meshd"].near_percent >= runs["managed-flood"].near_percent


def test_only_who_says_hello_spends_air_on_it(rows):
    _, runs = rows
    assert runs["managed-flood"].control_s == 0
    assert runs["distance-vector"].control_s > 0 < runs["meshd"].control_s


def test_figures_name_every_protocol_and_stand_beside_the_flood(rows, bench, load):
    kind, runs = rows
    figures = bench._figures(load, kind, {name: [row] for name, row in runs.items()})
    assert len(figures) == len(PROTOCOLS) * len(bench.COLUMNS)
    assert {figure.rival is not None for figure in figures if ", meshd:" in figure.name} == {True}


def test_plan_is_one_file_for_all(bench, load):
    bench_field = importlib.import_module("simulator._rivals_field").field
    plans = [bench_field(load, "message", name, SEED) for name in PROTOCOLS]
    text = dump(plans[0])
    assert [parse(text, "f", protocol=name) for name in PROTOCOLS] == plans
