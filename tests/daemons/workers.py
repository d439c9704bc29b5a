"""Which worker of pytest-xdist takes which test next.

Tests of whole daemons wait for the most part, all others compute. Each other worker begins with the
former, so that a core has always something to do and few daemons run at once; who finds his own
queue empty goes on with the other one.
"""

from xdist.scheduler import LoadGroupScheduling

WAITING = ("tests/integration/", "tests/interop/")


class WaitersFirst(LoadGroupScheduling):
    """Two queues in one: half of the workers prefer what waits."""

    def _assign_work_unit(self, node):
        wants = int(node.gateway.id.removeprefix("gw")) % 2 == 0
        chosen = (scope for scope in self.workqueue if scope.startswith(WAITING) == wants)
        self.workqueue.move_to_end(next(chosen, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)
