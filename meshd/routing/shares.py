"""How much of a bounded table each neighbour uses, and who gives way when it is full.

Enters: items as they come and go, by the neighbour that caused them. Leaves: whose item must go for
a newcomer's. So whoever floods a table takes room from nobody but itself.
Must not know: what the items are.
"""

from meshd.neighbour.table import Neighbour


class Shares(dict[Neighbour, int]):
    """Items of each neighbour that has any: `shares[neighbour] += 1` for a new one.

    No `Counter`: each write to one of those is a call.
    """

    __slots__ = ()

    def __missing__(self, neighbour: Neighbour) -> int:
        return 0

    def drop(self, neighbour: Neighbour) -> None:
        """Note that an item of a neighbour went."""
        self[neighbour] -= 1
        if not self[neighbour]:
            del self[neighbour]

    def gives_way(self, newcomer: Neighbour) -> Neighbour | None:
        """Return who has most, if it has at least two more than `newcomer`; else None."""
        if not self:
            return None
        most = max(self, key=self.__getitem__)
        return None if most is newcomer or self[most] <= self[newcomer] + 1 else most
