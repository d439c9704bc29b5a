"""The values of a plan: what can be asked for is documented where it stands."""

import pytest

from meshd.core.snapshot import NodeSnapshot
from meshd.simulation.build import build_world
from meshd.simulation.observer import Observer
from meshd.simulation.plan import plan
from meshd.simulation.world import SECOND


@pytest.mark.parametrize("kind", plan.FAULTS)
def test_every_kind_of_fault_says_what_it_reads(kind):
    assert f"\n    {kind} " in plan.Fault.__doc__


def test_observer_that_overrides_nothing_changes_nothing():
    def heard(*observers: Observer) -> list[NodeSnapshot]:
        fault = plan.Fault("crash", at_s=5, for_s=5, nodes="n1")
        world = build_world(
            plan.Plan("p", nodes=(plan.NodeGroup("n", count=3),), faults=(fault,)), 1
        )
        for observer in observers:
            world.watch(observer)
        world.run(70 * SECOND)
        return [host.node.snapshot(world.now) for host in world.hosts]

    assert heard(Observer()) == heard()
