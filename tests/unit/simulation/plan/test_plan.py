"""The values of a plan: what can be asked for is documented where it stands."""

import pytest

from meshd.simulation.observer import Observer
from meshd.simulation.plan import plan


@pytest.mark.parametrize("kind", plan.FAULTS)
def test_every_kind_of_fault_says_what_it_reads(kind):
    assert f"\n    {kind} " in plan.Fault.__doc__


def test_observer_that_overrides_nothing_watches_in_silence():
    watcher = Observer()
    watcher.fault("crash", "n1", begins=True)
    watcher.minute()
    watcher.finished()
