"""How much of a bounded table each neighbour uses, and who gives way when it is full.

Enters: items as they come and go, by the neighbour that caused them. Leaves: whose item must go for
a newcomer's. So whoever floods a table takes room from nobody but itself.
Must not know: what the items are.
"""

from collections import Counter

from meshd.neighbour.table import Neighbour


class Shares(Counter[Neighbour]):
    """Items of each neighbour that has any: `shares[neighbour] += 1` for a new one."""

    def drop(self, neighbour: Neighbour) -> None:
        """Note that an item of a neighbour went."""
        self[neighbour] -= 1
        if not self[neighbour]:
            del self[neighbour]

    def gives_way(self, newcomer: Neighbour) -> Neighbour | None:
        """Return who has most, if it has at least two more than `newcomer`; else None."""
        if not self:
            return None
        most, held = self.most_common(1)[0]
        return None if most is newcomer or held <= self[newcomer] + 1 else most
