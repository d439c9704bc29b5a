from pathlib import Path

from meshd.cli.simulate import find_plan
from meshd.simulation.plan.reference import reference
from meshd.simulation.report.log import SYMBOLS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "simulator.md"


def test_page_lists_every_key_of_a_plan():
    assert reference() in PAGE.read_text()


def test_page_has_the_legend_of_the_log():
    assert "".join(f"| `{symbol}` | {about} |\n" for symbol, about in SYMBOLS.items()) in (
        PAGE.read_text()
    )


def test_page_lists_every_example_with_its_size():
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].replace(",", "").isdigit():
            plan = find_plan(cells[0].strip("`"))
            assert sum(group.count for group in plan.nodes) == int(cells[1].replace(",", ""))
