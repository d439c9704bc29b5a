from itertools import pairwise

import pytest

from meshd.simulation.report.map import map_picture, sample
from meshd.simulation.report.page import page
from meshd.simulation.report.summary import (
    cut_off,
    host_rows,
    sentences,
    table,
    verdicts,
    worst,
)
from meshd.simulation.report.words import amount, delay, listed, share


def counts(delivered, due):
    return {"due": due, "delivered": delivered, "percent": 100 * delivered / due if due else None}


def host(name, sent, received, **more):
    plain = {"delay_ms": 3.0, "reached": 1, "wanted": 1, "unreached": []}
    return {"name": name, "sent": counts(*sent), "received": counts(*received), **plain, **more}


def outcome(delivered, due, **more):
    """Return the outcome of three houses, of which the mill is alone."""
    times = {"p50": 20.0, "p90": 395_000.0, "max": 395_000.0} if delivered else None
    total = {
        "asked": due,
        "skipped": 0,
        "absent": 0,
        "failed": {},
        "undelivered": {},
        **counts(delivered, due),
        "reachable": counts(delivered, due),
        "delay_ms": times,
    }
    base = {
        "plan": "trio",
        "title": "Three & one",
        "seed": 1,
        "protocol": "meshd",
        "nodes": 3,
        "crypto": "stand-in",
        "duration_s": 300.0,
        "settle_s": 95.0,
        "virtual_s": 395.0,
        "checked": ["loops"],
        "held": True,
        "broken": {},
        "violations": [],
        "finished": True,
        "faults": [],
        "warnings": [],
        "delivery": {"total": total, "kinds": [{"kind": "direct", **total}]},
        "hosts": [
            host("hall", (delivered, due), (delivered, due)),
            host("inn", (delivered, due), (delivered, due)),
            host("mill", (0, due), (0, due), reached=0, wanted=2, unreached=["hall", "inn"]),
        ],
        "islands": {"begin": [["hall", "inn"], ["mill"]], "end": [["hall", "inn"], ["mill"]]},
        "sent": {"frames": 0, "bytes": 0, "airtime_us": 0, "by_purpose": {}, "busiest": []},
        "curves": {"bucket_s": 10.0, "rows": []},
        "map": {
            "width_m": 900.0,
            "height_m": 400.0,
            "ridges": [[0, 0, 900, 400]],
            "walks": [],
            "hosts": [
                {"name": "hall", "x_m": 10.0, "y_m": 20.0},
                {"name": "inn", "x_m": 60.0, "y_m": 20.0},
                {"name": "mill", "x_m": 890.0, "y_m": 390.0},
            ],
            "links": [
                {"from": 0, "to": 1, "medium": "roof", "loss": 0.1, "bits_per_s": 8_000_000}
                | {"both_ways": True}
            ],
            "links_total": 1,
        },
    }
    return {**base, **more}


def test_nothing_arrived_is_never_green():
    first, *rest = verdicts(outcome(0, 12))
    assert first == ("weak", "nothing arrived")
    assert [item.words for item in rest] == ["every rule held"]


def test_who_is_cut_off_is_named_first():
    value = outcome(6, 12)
    assert [item.words for item in verdicts(value)] == [
        "50.0 % arrived",
        "1 node cut off",
        "every rule held",
    ]
    said = sentences(value)
    assert said[0].startswith("Of 12 deliveries that were due, 50.0 % arrived, half of it within")
    assert "Nothing came from or to mill." in said[:3]
    assert cut_off(value) == ["mill"] and worst(value)[0]["name"] == "mill"
    assert "At the beginning links joined the nodes into 2 islands: hall and inn; mill." in said
    radio = {"host": "mill", "hears": [], "frames": 1, "hour_s": 1.0}
    said = sentences({**value, "radios": [radio]})
    assert any(
        "beginning links other than LoRa joined the nodes into 2 islands" in one for one in said
    )


def test_interrupted_run_says_so_and_claims_no_rule():
    value = outcome(12, 12, finished=False, virtual_s=120.0)
    words = [item.words for item in verdicts(value)]
    assert words[0] == "interrupted after 2 min of 6 min 35 s"
    assert words[-1] == "no rule broken until then"
    assert not any(item.tone == "good" for item in verdicts(value)[-1:])
    assert "was not checked" in sentences(value)[-1]


def test_broken_rules_stand_beside_what_arrived():
    value = outcome(12, 12, held=False, broken={"loops": 2})
    assert [item.words for item in verdicts(value)][-1] == "rules broken 2 times"
    assert "Rules were broken: loops 2 times." in sentences(value)


def test_nobody_asked_is_no_success():
    assert verdicts(outcome(0, 0))[0] == ("none", "nobody asked for anything")


def test_row_of_a_host_names_whom_it_never_reached():
    head, row = host_rows([outcome(6, 12)["hosts"][2]])
    assert row[0] == "mill" and row[head.index("never")] == "hall and inn"
    assert "hall and inn" in table(outcome(6, 12))


def test_page_without_plots_has_map_and_tables_and_says_what_is_missing():
    text = page(outcome(6, 12), command="meshd simulate x", plots=False)
    assert text.count('role="img"') == 1 and "pip install matplotlib" in text
    assert 'data-is="arrived"' in text and "50.0\N{NO-BREAK SPACE}%" in text
    assert "Three &amp; one" in text


def test_curves_that_would_be_empty_are_left_out():
    pytest.importorskip("matplotlib")
    text = page(outcome(0, 0), command="meshd simulate x")
    assert text.count('role="img"') == 1 and "How long it took" not in text


def test_key_of_the_map_draws_its_lines_as_the_map_does():
    text = page(outcome(6, 12), command="meshd simulate x", plots=False)
    for kind in ("good", "fair", "weak"):
        assert sample(kind) in text and f'class="links {kind}"' in sample(kind)


def test_purposes_that_have_no_colour_of_their_own_are_the_rest():
    pytest.importorskip("matplotlib")
    from meshd.simulation.report.charts import sent_chart

    value = outcome(6, 12)
    one = {"frames": 1, "bytes": 9, "airtime_us": 0}
    value["sent"]["by_purpose"] = {f"purpose {number}": one for number in range(9)}
    value["curves"]["rows"] = [{"due": 0, "running": 3, "sent": {}, "at_s": at} for at in (0, 9)]
    drawn = sent_chart(value)
    assert "the rest" in drawn and "purpose 4" in drawn and "purpose 5" not in drawn


def test_map_names_what_it_shows_and_draws_ridges_above_links():
    drawn = map_picture(outcome(6, 12), lost=frozenset(["mill"]))
    assert "<title>hall – inn by roof: loses 10 % of frames, 1 MB/s</title>" in drawn
    assert '<circle class="lost"' in drawn and ">mill</text>" in drawn
    assert drawn.index('class="links') < drawn.index('class="ridge"') < drawn.index("<circle")
    assert ">400</text>" in drawn and ">800</text>" in drawn, "both axes have figures"


def test_delays_grow_without_a_gap():
    told = [delay(ms) for ms in (0.5, 999, 1000, 59_000, 61_000)]
    assert told == ["0.5 ms", "999 ms", "1 s", "59 s", "1 min 1 s"]
    assert all(one != other for one, other in pairwise(told))


def test_shares_are_whole_only_when_they_are():
    assert [share(*pair) for pair in ((0, 0), (0, 9), (1, 90_000), (89_999, 90_000), (9, 9))] == [
        "-",
        "0 %",
        "0.1 %",
        "99.9 %",
        "100 %",
    ]


def test_lists_and_amounts_are_words():
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert amount(999.7) == "1 kB"


def test_air_is_told_in_whole_percents():
    busiest = [
        {"medium": name, "percent": percent, "host": "inn", "at_s": 60.0}
        for name, percent in (("lora", 99.6), ("roof", 0.2))
    ]
    value = outcome(6, 12)
    value["sent"] |= {"busiest": busiest, "by_purpose": {"data": dict.fromkeys(KEYS, 1)}}
    said = sentences(value)
    assert "The air of lora was fullest around inn, 100 % at 1 min." in said
    assert "The air of roof was fullest around inn, under 1 % at 1 min." in said
    text = page(value, command="meshd simulate x", plots=False)
    assert "100\N{NO-BREAK SPACE}%</td>" in text and "under 1\N{NO-BREAK SPACE}%</td>" in text


KEYS = ("frames", "bytes", "airtime_us")


def test_many_radios_are_one_sentence_and_lora_alone_is_not_called_other():
    radios = [
        {"host": f"n{count}", "hears": [None] * count, "frames": 1, "hour_s": 9.0 + count}
        for count in range(5)
    ]
    value = outcome(6, 12, radios=radios)
    value["islands"]["by_lora"] = True
    said = [one for one in sentences(value) if "LoRa" in one]
    assert said == [
        "By LoRa each of 5 radios hears 0 to 4 others, half of them at least 2; n4 sent most, "
        "13 s of the last hour."
    ]
