from meshd.simulation.plan.hints import warnings
from meshd.simulation.plan.plan import NodeGroup, Plan, Step, Traffic

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
