import pytest

from meshd.core.errors import ConfigError, Exit
from meshd.simulation.plan import (
    Fault,
    MediumPlan,
    NodeGroup,
    Plan,
    Ridge,
    Step,
    Sun,
    Terrain,
    Traffic,
)
from meshd.simulation.plan_file import dump, load, parse

FULL = """\
name = "hamlet"
title = 'Two "farms"'
duration_s = 900
crypto = "real"

[terrain]
width_m = 500
loss_exponent = 3.1

[[ridge]]
x1_m = 0
y1_m = 250
x2_m = 500
y2_m = 250.5
loss_db = 12

[[medium]]
name = "air"
kind = "ip-radio"

[[medium]]
name = "cable"
kind = "wire"
between = [["farm1", "farm2"]]

[[nodes]]
name = "farm"
count = 2
media = ["air", "cable"]
layout = "line"
wall_offset_s = "unknown"

[[nodes]]
name = "courier"
walk = [[0, 10, 20], [60, 400.5, 20]]
sun = { battery_wh = 40, panel_w = 10 }

[[traffic]]
kind = "direct"
nodes = "farm*"
to = "courier"

[[fault]]
kind = "partition"
mode = "isolate"
at_s = 100
nodes = "farm1"
"""
HEAD = 'name = "x"\n[[nodes]]\nname = "n"\ncount = 3\n'


def test_every_value_arrives():
    assert parse(FULL, "f") == Plan(
        name="hamlet",
        title='Two "farms"',
        duration_s=900.0,
        crypto="real",
        terrain=Terrain(
            width_m=500.0, loss_exponent=3.1, ridges=(Ridge(0.0, 250.0, 500.0, 250.5, 12.0),)
        ),
        media=(
            MediumPlan("air", "ip-radio"),
            MediumPlan("cable", "wire", between=(("farm1", "farm2"),)),
        ),
        nodes=(
            NodeGroup("farm", 2, ("air", "cable"), "line", wall_offset_s=None),
            NodeGroup(
                "courier",
                walk=(Step(0.0, 10.0, 20.0), Step(60.0, 400.5, 20.0)),
                sun=Sun(40.0, 10.0),
            ),
        ),
        traffic=(Traffic("direct", "farm*", "courier"),),
        faults=(Fault("partition", 100.0, nodes="farm1", mode="isolate"),),
    )


def test_written_plan_reads_the_same():
    plan = parse(FULL, "f")
    assert parse(dump(plan), "f") == plan
    assert dump(parse(dump(plan), "f")) == dump(plan)


MISTAKES = [
    ("", 'f:1: "name" is missing'),
    ('name = "a b"\n[[nodes]]\nname="n"', 'f:1: name: "a b" is not a name'),
    ('name = "x"', "f:1: nodes: a plan has at least one [[nodes]]"),
    (HEAD + "[terain]", 'f:5: terain: unknown key, did you mean "terrain"?'),
    (HEAD + "cuont = 3", 'f:5: nodes.cuont: unknown key, did you mean "count"?'),
    (HEAD + "count_ = 0", 'f:5: nodes.count_: unknown key, did you mean "count"?'),
    (HEAD + "[[nodes]]\nname='m'\ncount=0", "f:7: nodes.count: 0 is not between 1 and 20000"),
    (HEAD + "[[nodes]]\nname='m'\ncount=19999", "f:2: nodes: 20002 hosts are more than 20000"),
    (HEAD + "[[nodes]]\nname='n2'", 'f:6: nodes.name: a host "n2" stands there already'),
    (HEAD + "media = ['air']", 'f:5: nodes.media: no medium "air" (the plan has no [[medium]])'),
    (
        HEAD + "media = ['ari']\n[[medium]]\nname='air'\nkind='wire'",
        'f:5: nodes.media: no medium "ari", did you mean "air"?',
    ),
    (HEAD + "walk = [[0, 1]]", "f:5: nodes.walk: must be a list of [seconds, x in metres"),
    (HEAD + "walk = [[9, 0, 0], [9, 1, 1]]", "f:5: nodes.walk: its times must rise, but 9"),
    (HEAD + "wall_offset_s = 'no'", 'f:5: nodes.wall_offset_s: must be a number, or "unknown"'),
    (HEAD + "sun = 3", "f:5: nodes.sun: must be a table [sun], not an integer"),
    (HEAD + "sun = { panel_w = 1 }", 'f:5: nodes.sun: "battery_wh" is missing'),
    (
        HEAD + "[nodes.sun]\nbattery_wh = 1\npanel_w = 'x'",
        "f:2: nodes.sun.panel_w: must be a number, not a text",
    ),
    (HEAD + "[terrain]\nwidth_m = 0", "f:6: terrain.width_m: must be more than 0"),
    (HEAD + "[terrain]\nwidth_m = nan", "f:6: terrain.width_m: nan is not between 0 and 1e+06"),
    (HEAD + "[[ridge]]\nloss_db = 3", 'f:5: ridge: "x1_m" is missing'),
    (
        HEAD + "[[medium]]\nname='a'\nkind='wifi'",
        'f:7: medium.kind: "wifi" is not a choice (known: ip-radio, lora, wire)',
    ),
    (
        HEAD + "[[medium]]\nname='a'\nkind='wire'\n[[medium]]\nname='a'\nkind='wire'",
        'f:9: medium.name: "a" stands there twice',
    ),
    (
        HEAD + "[[medium]]\nname='a'\nkind='wire'\nbetween=[['n1','m']]",
        'f:8: medium.between: no host is called "m"',
    ),
    (HEAD + "[[medium]]\nname='a'\nkind='wire'\nbetween=[['n1']]", "f:8: medium.between: must be"),
    (HEAD + "[[medium]]\nname='a'\nkind='lora'\nduty=1.5", "f:8: medium.duty: 1.5 is not between"),
    (HEAD + "[[traffic]]\nkind='direct'\nto='nn'", 'f:7: traffic.to: no host is called "nn"'),
    (HEAD + "[[traffic]]\nkind='file'\nstart_s=600", "f:7: traffic.start_s: 600 is not before its"),
    (HEAD + "[[traffic]]\nkind='file'\nend_s=601", "f:7: traffic.end_s: 601 is after duration_s"),
    (HEAD + "[[traffic]]\nkind='file'\nevery_s=0", "f:7: traffic.every_s: must be more than 0"),
    (HEAD + "[[fault]]\nkind='crsh'\nat_s=1", 'f:6: fault.kind: "crsh" is not a choice, did you'),
    (HEAD + "[[fault]]\nkind='crash'", 'f:5: fault: "at_s" is missing'),
    (HEAD + "[[fault]]\nkind='crash'\nat_s=590", "f:5: fault.for_s: it ends at 650, after"),
    (HEAD + "[[fault]]\nkind='partition'\nat_s=1", 'f:5: fault: a partition needs "mode"'),
    (HEAD + "[[fault]]\nkind='hostile'\nat_s=1", 'f:5: fault: a hostile needs "behaviour"'),
    (HEAD + "[[fault]]\nkind='clog'\nat_s=1", "f:5: fault.delay_s: a clog needs a time above 0"),
    (HEAD + "[[fault]]\nkind='lose'\nat_s=1\nshare=-0.1", "f:8: fault.share: -0.1 is not between"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=lambda item: item[-32:])
def test_mistake_is_named_with_its_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.text.startswith(message), caught.value.text
    assert caught.value.code is Exit.CONFIG
    assert "docs/simulator.md" in caught.value.remedy


def test_all_mistakes_are_told_at_once_in_order():
    with pytest.raises(ConfigError) as caught:
        parse("name = 3\nnmae = 1\n[[nodes]]\ncount = 0\n[[fault]]\nkind = 'x'", "f")
    told = [line.split(": ")[0] for line in caught.value.text.splitlines()]
    assert told == ["f:1", "f:2", "f:3", "f:4", "f:5", "f:6"]


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.toml: cannot be read: No such file"):
        load(str(tmp_path / "no.toml"))
