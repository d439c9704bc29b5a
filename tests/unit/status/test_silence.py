"""What is said of neighbours that were not heard for a while."""

from dataclasses import replace

from daemons.fake_host import OTHER, snapshot

from meshd.core.snapshot import NeighbourStatus, to_json
from meshd.status.payload import changed, neighbours
from meshd.status.text import headline, neighbours_text, status_text

NEAR = NeighbourStatus("lora0", "fd7c::9", OTHER, 3584, 3584, 3584, 1.0, 1373.0, False, 14.0, -84.0)


def value(*silences, usual_s=1800, **fields):
    """Return a node whose LoRa neighbours were last heard so many seconds ago."""
    rows = tuple(
        replace(NEAR, node=f"{place:016d}", last_heard_s=silent_s, usual_silence_s=usual_s)
        for place, silent_s in enumerate(silences)
    )
    alone = {"routes": (), "sessions": (), "spaces": (), "neighbours": rows}
    return to_json(snapshot(**{**alone, **fields}))


def test_who_was_heard_just_now_has_no_column_of_it():
    assert "last heard" not in neighbours_text(value(119.0))
    assert headline(value(119.0)).startswith("OK  ")
    assert ", " not in headline(value(119.0)).split("1 neighbour")[0]


def test_who_was_not_heard_for_a_while_says_how_long():
    head, gone, here = neighbours_text(value(690.0, 3.2)).splitlines()
    at = head.index("last heard")
    assert gone[at:].startswith("11 min ago ") and here[at:].startswith("3 s ago ")
    unknown = replace(NEAR, last_heard_s=None)
    both = to_json(snapshot(neighbours=(replace(NEAR, last_heard_s=690.0), unknown)))
    assert neighbours_text(both).splitlines()[2][at:].startswith("- ")


def test_first_line_says_when_anybody_was_last_heard():
    assert "  1 neighbour heard 11 min ago, " in headline(value(690.0))
    assert "  2 neighbours, the last one heard 11 min ago, " in headline(value(690.0, 800.0))
    assert "  2 neighbours, 2 nodes, " in headline(value(690.0, 3.0))


def test_silence_that_is_longer_than_usual_is_not_ok():
    assert headline(value(1799.0)).startswith("OK  ")
    assert headline(value(1801.0)).startswith("QUIET  ")
    assert "longer than is usual, 30 min at most" in status_text(value(1801.0))
    for well in (value(1801.0, 5.0), value(1801.0, sessions=snapshot().sessions)):
        assert headline(well).startswith("OK  ")
        assert "than is usual" not in status_text(well)


def test_problems_and_neighbours_by_ip_are_no_silence():
    by_ip = replace(NEAR, link="wlan0", last_heard_s=130.0)
    assert headline(to_json(snapshot(neighbours=(by_ip,), sessions=()))).startswith("OK  ")
    assert headline(value()).startswith("ALONE  ")


def test_mqtt_tells_when_a_neighbour_was_last_heard():
    row = replace(NEAR, last_heard_s=690.4, usual_silence_s=1800)
    first = neighbours(snapshot(neighbours=(row,)))
    assert first["neighbours"][0]["heard_s"] == 690
    later = neighbours(snapshot(neighbours=(replace(row, last_heard_s=3.0),)))
    assert not changed(first, later)
    assert "heard_s" not in neighbours(snapshot())["neighbours"][0]
