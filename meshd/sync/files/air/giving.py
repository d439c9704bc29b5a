"""Offers files by LoRa that are here: at once, when there is airtime, when somebody is heard.

Enters: files that are here or were asked for, neighbours, `now`. Leaves: offers for `Senders`, and
words that say when there will be airtime. What the hour does not hold now is owed: it is offered
when it does, asked for or not; bounded. Must not know: sessions, who asks.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from meshd.core.context import Context
from meshd.core.law import Budget
from meshd.core.spans import span
from meshd.sync.files.air.blob import blob_size, pack
from meshd.sync.files.air.looks import File, Looks, plain_size
from meshd.sync.files.air.rule import Verdict, Way, judge, limit_bytes
from meshd.sync.files.air.sending import LATER_US, Plan, Senders
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.ports import FileRadios
from meshd.wire import lora_pieces as wire
from meshd.wire.lora_payload import Sub

FIRST_US = (500_000, 3_000_000)
ONWARD_US = (10_000_000, 60_000_000)
"""How soon a file is offered that was put here, and one that came from elsewhere."""
OWED_MAX = 32
"""Files that wait for airtime, or for somebody to hear them; the oldest is forgotten."""
FULL_US = (60_000_000, 120_000_000)
"""How soon one is tried again for which there was no room."""


class Owed(NamedTuple):
    """An offer that waits, until `due_us`, or until somebody is heard (None)."""

    manifest: Manifest
    first: bool
    due_us: int | None


class Giver:
    """The offers of one node's files. `planned(now)` is called when there is more to do."""

    def __init__(
        self,
        ctx: Context,
        air: FileRadios,
        senders: Senders,
        looks: Looks,
        *,
        planned: Callable[[int], None],
    ) -> None:
        self._planned = planned
        self._ctx = ctx
        self._air = air
        self._senders = senders
        self._looks = looks
        self._owed: OrderedDict[tuple[File, str], Owed] = OrderedDict()
        self._told: OrderedDict[bytes, int] = OrderedDict()

    def offer(
        self, manifest: Manifest, link: str, now: int, *, first: bool = False, asked: bool = False
    ) -> None:
        """Offer a file by a radio soon, if it is here and small enough. `asked`: who asked for it
        is told when it must wait.
        """
        budget = self._air.budget(link, now)
        if budget is None or blob_size(manifest.clear) is None:
            return
        if plain_size(manifest) > limit_bytes(budget, budget.hour_us):
            return
        if not self._air.neighbours_of(link):
            if first:
                self._owe(manifest, link, first, None)
            return
        if self._looks.full:
            self._owe(manifest, link, first, now + self._ctx.jitter(*FULL_US))
            return
        wait_us = self._ctx.jitter(*(FIRST_US if first or asked else ONWARD_US))
        plan = Plan(link, now + wait_us, first, manifest.author)
        then = partial(self._send, manifest, plan, asked=asked)
        self._looks.look(manifest, then, content=True)

    def met(self, link: str, now: int) -> None:
        """Somebody new is heard: what waited for that is offered, once the news of it is there."""
        for key, owed in list(self._owed.items()):
            if key[1] == link and owed.due_us is None:
                self._owed[key] = owed._replace(due_us=now + self._ctx.jitter(*ONWARD_US))

    def covered(self, link: str, file: File) -> None:
        """Another offers the same to all who are in earshot."""
        self._owed.pop((file, link), None)

    def due_us(self) -> int | None:
        """Return when `tick` has something to do."""
        dues = (one.due_us for one in self._owed.values())
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def tick(self, now: int) -> None:
        """Offer what is due."""
        for key, owed in list(self._owed.items()):
            if owed.due_us is not None and owed.due_us <= now:
                del self._owed[key]
                self.offer(owed.manifest, key[1], now, first=owed.first)

    # --- for people -------------------------------------------------------------------------------

    def judge(self, size: int, links: list[str], now: int, ref: bytes = b"") -> Verdict | None:
        """Judge a file by these radios, after what is on its way by them."""
        budgets = [one for link in links if (one := self._budget(link, now, ref)) is not None]
        verdict = judge(size, budgets)
        if verdict is None or verdict.way is Way.WIFI:
            return verdict
        if verdict.way is Way.LORA:
            before_us = self._senders.before_us(verdict.link, now)
            return verdict._replace(took_us=verdict.took_us + before_us)
        wait_us = self._free_us(verdict, now, ref) - now
        text = f"{verdict.text}; it goes in {span(max(wait_us // 1_000_000, 1))} at the earliest"
        return verdict._replace(text=text)

    def text(self, manifest: Manifest, now: int) -> str:
        """Say how it is with giving a file that is here; "" where nothing is under way."""
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        for link in self._air.links():
            sending = self._senders.gives(link, ref)
            if sending is not None and (said := self._senders.text(sending, now)):
                return said
            owed = self._owed.get(((manifest.space, manifest.clear.root), link))
            if owed is not None and owed.due_us is None:
                return "waits to be offered by LoRa: nobody is in earshot"
            if owed is not None and owed.due_us is not None:
                wait = span(max((owed.due_us - now) // 1_000_000, 1))
                return f"waits for airtime on {link}: it is offered in {wait} at the earliest"
        return ""

    # --- inside -----------------------------------------------------------------------------------

    def _send(
        self, manifest: Manifest, plan: Plan, blob: bytes | None, now: int, *, asked: bool
    ) -> None:
        link, file = plan.link, (manifest.space, manifest.clear.root)
        self._owed.pop((file, link), None)
        budget = self._air.budget(link, now)
        if blob is None or budget is None:
            return
        ref = wire.ref_of(*file)
        later_us = self._law_us(manifest, link, ref, now)
        soon_us = now + self._ctx.jitter(*FULL_US)
        if later_us > now:
            self._owe(manifest, link, plan.first, max(later_us, soon_us))
            if asked:
                self._later(link, ref, later_us, now)
        elif packed := pack(ref, blob, budget.room):
            if not self._senders.add(plan, packed, self._air.sign(packed.offer.signed)):
                self._owe(manifest, link, plan.first, soon_us)
        self._planned(now)

    def _law_us(self, manifest: Manifest, link: str, ref: bytes, now: int) -> int:
        """Return when there is airtime for all of a file; one that is on its way goes on."""
        if self._senders.gives(link, ref) is not None:
            return now
        verdict = self.judge(plain_size(manifest), [link], now, ref)
        if verdict is None or verdict.way is Way.LORA:
            return now
        return max(self._free_us(verdict, now, ref), now + 1)

    def _owe(self, manifest: Manifest, link: str, first: bool, due_us: int | None) -> None:
        self._owed[(manifest.space, manifest.clear.root), link] = Owed(manifest, first, due_us)
        if len(self._owed) > OWED_MAX:
            self._owed.popitem(last=False)

    def _later(self, link: str, ref: bytes, at_us: int, now: int) -> None:
        """Say when there is airtime for what somebody asked for; not again and again."""
        if now - self._told.get(ref, -LATER_US) < LATER_US:
            return
        self._told[ref] = now
        self._told.move_to_end(ref)
        if len(self._told) > OWED_MAX:
            self._told.popitem(last=False)
        body = wire.Later(ref, -(-(at_us - now) // 1_000_000)).encode()
        self._air.tell(link, Sub.PIECES_LATER, body, now, bulk=False)

    def _budget(self, link: str, now: int, ref: bytes) -> Budget | None:
        budget = self._air.budget(link, now)
        if budget is None:
            return None
        ahead_us = self._senders.ahead(link, ref) * budget.frame_us
        return budget._replace(left_us=max(budget.left_us - ahead_us, 0))

    def _free_us(self, verdict: Verdict, now: int, ref: bytes) -> int:
        budget = self._air.budget(verdict.link, now)
        frame_us = 0 if budget is None else budget.frame_us
        needs_us = self._senders.ahead(verdict.link, ref) * frame_us + verdict.took_us
        return self._air.free_us(verdict.link, needs_us, now)
