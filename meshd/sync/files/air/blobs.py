"""Pieces for what is no file: blobs that others offer and take by the senders and takings of files.

Enters: blobs to give, offers that no file is known for. Leaves: the same as items for radios, and
offers for `entries`. Offers that mean nothing here yet are remembered, a few of them. Must not
know: what the blobs are.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Protocol

from meshd.core.law import Budget
from meshd.sync.files.air.blob import pack
from meshd.sync.files.air.sending import Plan, Senders, Sending
from meshd.sync.files.air.taking import Taking, Takings
from meshd.sync.files.ports import FileRadios
from meshd.wire.lora_pieces import Offer

AHEAD_MAX = 16
"""Offers that meant nothing when they came."""


class Takers(Protocol):
    """Who knows what other blobs are offered."""

    def offered(self, link: str, node: bytes, offer: Offer, now: int) -> bool | None:
        """Take what is offered; False: it is nothing that is known here, None: not yet."""


class AirBlobs:
    """The blobs of one node that are no files."""

    def __init__(
        self,
        air: FileRadios,
        senders: Senders,
        takings: Takings,
        *,
        planned: Callable[[int], None],
        looked: Callable[[str, Collection[bytes], int], None],
    ) -> None:
        self.takers: Takers | None = None
        self._air = air
        self._senders = senders
        self._takings = takings
        self._planned = planned
        self._looked = looked
        self._ahead: OrderedDict[bytes, tuple[str, bytes, Offer]] = OrderedDict()

    # --- giving -----------------------------------------------------------------------------------

    def give(self, plan: Plan, ref: bytes, blob: bytes, now: int) -> bool:
        """Offer a blob; False when it is too large, or there is no room."""
        budget = self._air.budget(plan.link, now)
        packed = None if budget is None else pack(ref, blob, budget.room)
        if packed is None:
            return False
        added = self._senders.add(plan, packed, self._air.sign(packed.offer.signed))
        self._planned(now)
        return added

    def remind(self, sending: Sending, due_us: int, now: int) -> None:
        """Offer a blob again."""
        sending.offer_due_us = due_us
        self._planned(now)

    def gives(self, link: str, ref: bytes) -> Sending | None:
        """Return what is being done for a blob by a radio."""
        return self._senders.gives(link, ref)

    def given(self, payer: bytes) -> list[Sending]:
        """Return what is being given of one author."""
        return self._senders.of(payer)

    # --- taking -----------------------------------------------------------------------------------

    def offered(self, link: str, node: bytes, offer: Offer, now: int) -> bool:
        """Hand on an offer; False when it is nothing that is known here."""
        taken = False if self.takers is None else self.takers.offered(link, node, offer, now)
        if taken is None:
            self._ahead[offer.ref] = (link, node, offer)
            if len(self._ahead) > AHEAD_MAX:
                self._ahead.popitem(last=False)
        return taken is not False

    def again(self, now: int) -> None:
        """Look at the offers again that came too early: more is known now."""
        ahead, self._ahead = self._ahead, OrderedDict()
        for link, node, offer in ahead.values():
            self.offered(link, node, offer, now)

    def take(self, taking: Taking, now: int) -> None:
        """Begin to take a blob that is offered, or go on."""
        self._takings.start(taking, now)
        self._planned(now)

    def taking(self, root: bytes) -> Taking | None:
        """Return what is under way of a blob."""
        return self._takings.of(root)

    def awaits(self, ref: bytes) -> bool:
        """Tell whether an offer waits for what comes before it."""
        return ref in self._ahead

    def done(self, ref: bytes) -> None:
        """A blob is on disk, or on its way there before all that is written from now on."""
        self._takings.done(ref)

    def stop(self, root: bytes) -> None:
        """A blob came by another way."""
        self._takings.stop(root)

    # --- radios -----------------------------------------------------------------------------------

    def look(self, link: str, neighbours: Collection[bytes], now: int) -> None:
        """See who is in earshot of a radio."""
        self._looked(link, neighbours, now)

    def text(self, taking: Taking, now: int) -> str:
        """Say how far a blob is that comes."""
        return self._takings.text(taking, now)

    def giving(self, sending: Sending, now: int) -> str:
        """Say how long it takes at least to give the rest of a blob; "" where nothing is asked."""
        return self._senders.text(sending, now) if sending.todo else ""

    def least_us(self, link: str, size: int, now: int) -> int | None:
        """Return how long a blob takes at least, after all before it; None: it does not go."""
        return self._senders.least_us(link, size, now)

    def budget(self, link: str, now: int) -> Budget | None:
        """Return what a radio may still send; None: it is away."""
        return self._air.budget(link, now)

    def reached(self, link: str, node: bytes) -> bool:
        """Tell whether all whom a radio hears are known to hear a neighbour."""
        return not self._air.others(link, node)
