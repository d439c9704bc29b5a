from meshd.simulation.plan.plan import Fault, Plan, Traffic
from meshd.simulation.plan.shorten import shortened

PLAN = Plan(
    "p",
    duration_s=600.0,
    traffic=(Traffic("direct", end_s=500.0), Traffic("file", start_s=400.0), Traffic("broadcast")),
    faults=(Fault("crash", 50.0, 100.0), Fault("churn", 300.0), Fault("lose", 10.0, 20.0)),
)


def test_what_begins_later_is_left_out_and_what_lasts_longer_is_cut():
    short = shortened(PLAN, 120.0)
    assert (short.duration_s, short.settle_s) == (120.0, PLAN.settle_s)
    assert [(one.kind, one.for_s) for one in short.faults] == [("crash", 70.0), ("lose", 20.0)]
    assert [(one.kind, one.end_s) for one in short.traffic] == [
        ("direct", None),
        ("broadcast", None),
    ]


def test_longer_than_the_plan_is_the_plan():
    assert shortened(PLAN, 600.0) is PLAN
