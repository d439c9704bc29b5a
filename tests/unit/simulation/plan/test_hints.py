from dataclasses import replace

from meshd.simulation.plan.hints import crowded_lora, warnings
from meshd.simulation.plan.plan import MediumPlan, NodeGroup, Plan, Step, Traffic
from meshd.simulation.run import run_plan

ROUND = (Step(0.0, 0.0, 0.0), Step(500.0, 9.0, 9.0))


def test_round_longer_than_the_time_to_settle_is_told():
    walker = NodeGroup("courier", walk=ROUND)
    plan = Plan("p", settle_s=240.0, nodes=(walker,), traffic=(Traffic("direct"),))
    (said,) = warnings(plan)
    assert said.startswith("a round of courier takes 500 s, longer than settle_s (240)")


def test_walk_that_ends_or_is_quick_is_nothing_to_tell():
    once = NodeGroup("guest", walk=ROUND, walk_again=False)
    quick = NodeGroup("courier", walk=ROUND)
    traffic = (Traffic("direct"),)
    assert warnings(Plan("p", settle_s=240.0, nodes=(once,), traffic=traffic)) == []
    assert warnings(Plan("p", settle_s=500.0, nodes=(quick,), traffic=traffic)) == []


def test_plan_in_which_nobody_asks_is_told():
    assert "no [[traffic]]" in warnings(Plan("p", nodes=(NodeGroup("n"),)))[0]


def test_crowded_lora_that_has_no_time_to_settle_is_told():
    air, people = MediumPlan("air", "lora"), (Traffic("direct"),)
    plan = Plan("p", settle_s=600.0, media=(air,), nodes=(NodeGroup("n", 40),), traffic=people)
    (said,) = warnings(plan)
    assert "40 LoRa radios" in said and "settle_s = 6000 " in said and crowded_lora(plan)[0] == 40
    few, wifi = (NodeGroup("n", 16),), (MediumPlan("roof", "ip-radio"), air)
    for other in ({"settle_s": 6000.0}, {"protocol": "managed-flood"}, {"nodes": few}):
        assert warnings(replace(plan, **other)) == []
    assert warnings(replace(plan, media=wifi)) == [], "they are on the first medium"


def test_hurried_plan_is_not_held_to_the_rule_of_the_air():
    air = MediumPlan("air", "lora", 14.0, 868.3, bandwidth_khz=125.0, region="EU868")
    plan = Plan("p", duration_s=1.0, settle_s=1.0, media=(air,), nodes=(NodeGroup("n", 17),))
    value = run_plan(plan, 1).as_json()
    assert "air" not in value["checked"] and "duty" in value["checked"]
    assert value["islands"]["by_lora"] and any("not checked" in one for one in value["warnings"])
