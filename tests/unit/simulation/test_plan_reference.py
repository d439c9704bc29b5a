from pathlib import Path

from meshd.simulation.plan_reference import reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator.md"


def test_page_lists_every_key_of_a_plan():
    assert reference() in PAGE.read_text()
