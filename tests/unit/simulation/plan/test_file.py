from dataclasses import replace

import pytest

from meshd.core.errors import ConfigError, Exit
from meshd.simulation.plan import schema
from meshd.simulation.plan.file import dump, parse
from meshd.simulation.plan.plan import (
    FAULTS,
    PROTOCOLS,
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
from meshd.simulation.plan.uses import FAULT_KEYS, MEDIUM_KEYS
from meshd.simulation.run import run_plan

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
        HEAD + "[[medium]]\nname='a'\nkind='ip-radio'\n[[medium]]\nname='a'\nkind='ip-radio'",
        'f:9: medium.name: "a" stands there twice',
    ),
    (
        HEAD + "[[medium]]\nname='a'\nkind='wire'\nbetween=[['n1','m']]",
        'f:8: medium.between: no host is called "m"',
    ),
    (HEAD + "[[medium]]\nname='a'\nkind='wire'\nbetween=[['n1']]", "f:8: medium.between: must be"),
    (
        HEAD + "[[medium]]\nname='a'\nkind='ip-radio'\nduty=1.5",
        "f:8: medium.duty: 1.5 is not between",
    ),
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
    (HEAD + "x_m = 1200", "f:5: nodes.x_m: 1200 is outside the map, 0 to 1000 west to east"),
    (HEAD + "y_m = -3", "f:5: nodes.y_m: -3 is outside the map"),
    (
        HEAD + "walk = [[5, 1, 1], [9, 1, 1001]]",
        "f:5: nodes.walk: at 9 s it is at 1, 1001, outside",
    ),
    (
        HEAD + "spread_m = 501",
        "f:5: nodes.spread_m: the group reaches from -1 to 1001 west to east and -1 to 1001 south",
    ),
    (HEAD + "x_m = 400", "f:5: nodes.x_m: the group reaches from -100 to 900 west to east"),
    (
        HEAD + "[[ridge]]\nx1_m=0\ny1_m=0\nx2_m=1000\ny2_m=2000\nloss_db=3",
        "f:9: ridge.y2_m: 2000 is outside the map",
    ),
    (
        HEAD + "[[medium]]\nname='a'\nkind='wire'",
        'f:5: medium: a wire ties nobody without pairs: between = [["hall", "school"]]',
    ),
    (HEAD + "[[medium]]\nname='a'\nkind='wire'\nbetween=[]", "f:8: medium.between: a wire ties"),
    (
        HEAD + "[[medium]]\nname='a'\nkind='ip-radio'\nduty=0.1",
        "f:8: medium.duty: an ip-radio medium does not use it (known: tx_dbm,",
    ),
    (
        HEAD + "[[fault]]\nkind='partition'\nat_s=1\nmode='uniform'\nnodes='n1'",
        'f:9: fault.nodes: mode "uniform" divides all hosts by "share" and does not use it, did '
        'you mean mode "isolate"?',
    ),
    (
        HEAD + "[[fault]]\nkind='partition'\nat_s=1\nmode='isolate'\nshare=0.1",
        "f:9: fault.share: a partition of mode isolate does not use it",
    ),
    (
        HEAD + "[[fault]]\nkind='crash'\nat_s=1\nmode='isolate'",
        'f:8: fault.mode: a crash does not use it, did you mean "nodes"?',
    ),
    (
        HEAD + "[[traffic]]\nkind='direct'\nevery_s=0.001",
        "f:7: traffic.every_s: about 1620000 requests in all are more than 1000000",
    ),
    (
        HEAD + "[[nodes]]\nname='m'\ncount=10000\n[[traffic]]\nkind='broadcast'",
        "f:8: traffic.every_s: about 90054008 deliveries in all are more than 20000000",
    ),
    (
        HEAD + "[[traffic]]\nkind='broadcast'\nsize=32769",
        'f:7: traffic.size: a note has at most 32768 bytes; what is larger is a "file"',
    ),
]
RIVAL = "protocol = 'managed-flood'\n" + HEAD
LORA = "[[medium]]\nname='a'\nkind='lora'\nbandwidth_khz=125\n"
EU868 = LORA + "frequency_mhz=868.3\nspreading_factor=9\ntx_dbm=14\n"
ONE = HEAD + EU868 + "region='EU868'\n"
TWO = EU868 + "region='EU868'\n" + EU868.replace("'a'", "'b'") + "region='EU868'\n"
MISTAKES += [
    (HEAD + EU868, 'f:5: medium: "region" is missing: whose law the radios keep'),
    (
        HEAD + EU868 + "region='EU86'",
        'f:12: medium.region: "EU86" is no region, did you mean "EU868"?',
    ),
    (
        HEAD + EU868.replace("14", "20") + "region='EU868'",
        "f:12: medium.region: 20 dBm at 868.3 MHz is too much in EU868",
    ),
    (
        HEAD + LORA + "frequency_mhz=915\nregion='EU868'",
        "f:10: medium.region: 915 MHz with 125 kHz of bandwidth lies in no band of EU868",
    ),
    (
        HEAD + EU868 + "region='EU868'\nduty=0.1",
        "f:13: medium.duty: has no effect: the region says it",
    ),
    (
        RIVAL + EU868 + "region='EU868'\ndwell_ms=400",
        "f:14: medium.dwell_ms: has no effect: the region says it",
    ),
    (
        RIVAL + EU868.replace("14", "20") + "region='EU868'",
        "f:13: medium.region: 20 dBm at 868.3 MHz is too much in EU868",
    ),
    (
        RIVAL + "[[medium]]\nname='roof'\nkind='ip-radio'\n" + LORA,
        "f:3: nodes: managed-flood goes by LoRa alone, and these have no such radio",
    ),
    (
        HEAD + "[[traffic]]\nkind='message'\nsize=32700",
        'f:7: traffic.size: a message has at most 32699 bytes; what is larger is a "file"',
    ),
    (
        HEAD + TWO + "[[nodes]]\nname='m'\nmedia=['a','b']",
        "f:23: nodes.media: a host has one LoRa radio",
    ),
    (RIVAL, 'f:1: protocol: managed-flood needs a [[medium]] of kind "lora"'),
    (RIVAL + LORA + "modem='rnod'", 'f:10: medium.modem: no modem "rnod", did you mean "rnode"?'),
    (
        RIVAL + "[[medium]]\nname='a'\nkind='lora'\nbandwidth_khz=20000",
        "f:6: medium: no LoRa radio can be set so: bandwidth 20000000 Hz: use 7800 to 500000",
    ),
    (
        RIVAL + LORA + "[[traffic]]\nkind='file'",
        "f:11: traffic.kind: managed-flood carries no file",
    ),
    (
        RIVAL + LORA + "[[traffic]]\nkind='direct'\nsize=300",
        "f:12: traffic.size: managed-flood takes",
    ),
    (
        RIVAL + LORA + "[[fault]]\nkind='lose'\nat_s=1",
        "f:11: fault.kind: managed-flood knows crash and churn only",
    ),
    (
        RIVAL + LORA + "modem='reyax'\n[[traffic]]\nkind='direct'\nsize=170",
        "f:13: traffic.size: managed-flood takes 168 bytes at most",
    ),
    (
        RIVAL + LORA.replace("125", "62.5") + "modem='reyax'",
        "f:6: medium: no LoRa radio can be set so: 62.5 kHz: reyax can be set to 125, 250 or 500",
    ),
    (
        ONE.replace("868.3", "869.525") + "modem='ebyte'",
        "f:13: medium.modem: 869.525 MHz: ebyte can be set to 850.125 to 930.125 and 410.125 to "
        "493.125 MHz, in steps of 1 MHz; the nearest is 869.125 MHz",
    ),
    (
        ONE.replace("868.3", "868.125") + "modem='ebyte'",
        "f:13: medium.modem: SF9 at 125 kHz is 1757 bit/s: ebyte knows no spreading factors, but "
        "300, 1200, 2400, 4800, 9600, 19200, 38400, 62500 bit/s; the nearest that can be had is "
        "SF10 at 250 kHz",
    ),
    (
        RIVAL + EU868.replace("868.3", "890") + "modem='rn2483'",
        "f:13: medium.modem: 890 MHz: rn2483 can be set to 433.05 to 434.79 and 863 to 870 and "
        "902 to 928 MHz; the nearest is 902 MHz",
    ),
    (
        ONE.replace("868.3", "917.125").replace("EU868", "AU915").replace("factor=9", "factor=7")
        + "modem='ebyte'",
        "f:13: medium.modem: no node takes SF7 at 125 kHz here: the law gives a beacon of ebyte",
    ),
    ("letters=true\n" + RIVAL + LORA, "f:1: letters: managed-flood has no direct"),
    (
        HEAD + "[[fault]]\nkind='jam'\nat_s=1",
        "f:6: fault.kind: jam is of LoRa radios, and no [[medium]] is of kind lora",
    ),
    (
        HEAD + "[[fault]]\nkind='hostile'\nbehaviour='air-junk'\nat_s=1",
        "f:7: fault.behaviour: air-junk is of LoRa radios",
    ),
    (
        ONE + "[[fault]]\nkind='modem'\nat_s=1\nmode='isolate'",
        "f:16: fault.mode: a modem has none called isolate",
    ),
    (
        HEAD + "[[fault]]\nkind='partition'\nat_s=1\nmode='deaf'",
        "f:8: fault.mode: a partition has none called deaf",
    ),
    (ONE + "[[fault]]\nkind='modem'\nat_s=1", 'f:13: fault: a modem needs "mode"'),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=lambda item: item[-32:])
def test_mistake_is_named_with_its_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.text.startswith(message), caught.value.text
    assert caught.value.code is Exit.CONFIG
    assert "docs/simulator.md" in caught.value.remedy


def test_every_key_of_a_fault_and_of_a_medium_is_used_by_some_kind():
    used = {key for keys in FAULT_KEYS.values() for key in keys}
    assert {"kind", "at_s", "for_s", *used} == {key.name for key in schema.FAULT.keys}
    assert set(FAULT_KEYS) == set(FAULTS)
    used = {key for keys in MEDIUM_KEYS.values() for key in keys}
    assert {"kind", "name", *used} == {key.name for key in schema.MEDIUM.keys}


def test_largest_note_that_a_plan_may_have_is_taken_by_a_node():
    text = """
    name = "pair"
    duration_s = 20
    settle_s = 20
    [[nodes]]
    name = "n"
    count = 2
    layout = "full"
    [[traffic]]
    kind = "broadcast"
    nodes = "n1"
    every_s = 6
    start_s = 0
    size = 32768
    """
    total = run_plan(parse(text, "f"), 1).value["delivery"]["total"]
    assert total["due"] == total["delivered"] > 0


def test_map_of_a_size_of_many_digits_is_a_mistake_of_its_key():
    group = '[[nodes]]\nname = "n"\nx_m = 5\ny_m = 5\n'
    text = f'name = "x"\n[terrain]\nwidth_m = {"9" * 400}\n{group}'
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.text.startswith("f:3: terrain.width_m: a number of 1329 bits is not")


@pytest.mark.parametrize(
    "line", ["duration_s = {}", "settle_s = -{}", "settle_s = {}.5", "settle_s = 0x{}"]
)
@pytest.mark.parametrize("digits", [400, 4000, 5000])
def test_number_of_many_digits_is_named_with_its_line(line, digits):
    text = 'name = "x"\n' + line.format("9" * digits) + '\n[[nodes]]\nname = "n"\n'
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    key = line.partition(" ")[0]
    assert caught.value.text.startswith(f"f:2: {key}: ") and len(caught.value.text) < 120


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_file_serves_every_protocol(protocol):
    plan = parse(ONE + "[[traffic]]\nkind='message'\nsize=40\n", "f", protocol=protocol)
    assert plan.protocol == protocol
    same = replace(plan, protocol="meshd")
    assert same == parse(ONE + "[[traffic]]\nkind='message'\nsize=40\n", "f")


def test_rules_are_those_of_the_protocol_that_is_asked_for():
    with pytest.raises(ConfigError, match="distance-vector carries no files"):
        parse(ONE + "[[traffic]]\nkind='file'\n", "f", protocol="distance-vector")
    with pytest.raises(ConfigError, match='"region" is missing'):
        parse(RIVAL + EU868, "f", protocol="meshd")


def test_plan_with_a_module_on_its_channel_and_at_one_of_its_rates_is_taken():
    near = EU868.replace("868.3", "868.125").replace("factor=9", "factor=7")
    (air,) = parse(HEAD + near + "region='EU868'\nmodem='ebyte'", "f").media
    assert (air.modem, air.frequency_mhz, air.spreading_factor) == ("ebyte", 868.125, 7)
