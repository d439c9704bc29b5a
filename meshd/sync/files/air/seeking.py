"""Asks by LoRa for files that are known, are not here, and that nobody offers.

Enters: news of files, of neighbours, of who has one and no airtime for it. Leaves: words that ask
for an offer, soon at first, then ever more seldom, and soon again when somebody new is heard. Who
hears another ask for the same leaves it to that one. Must not know: pieces, the store.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from meshd.core.context import Context
from meshd.sync.files.air.looks import File
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.ports import FileRadios
from meshd.wire import lora_pieces as wire
from meshd.wire.lora_payload import Sub

SOUGHT_US = 300_000_000
SOUGHT_MAX = 64
"""How soon an offer of the same file is asked for again, and for how many that is remembered."""
MISSED_US = (
    (120_000_000, 240_000_000),
    (600_000_000, 1_200_000_000),
    (1_200_000_000, 2_400_000_000),
    (2_400_000_000, 4_800_000_000),
    (4_800_000_000, 9_600_000_000),
)
"""After what pauses a file is asked for that is known and was not offered: first, who has it may
still be taking it; later, it may believe that its giver was heard by all."""
MISSED_MAX = 32
MET_US = (10_000_000, 40_000_000)
MET_AGAIN_US = 300_000_000
"""How soon after somebody new was heard, and how long after the last time; so long what becomes
known is asked for as soon."""
LATER_MAX = 64
PUT_OFF_MAX = 3
"""So often between two own questions another's, which anybody may invent, puts the next one off."""


class _Missed(NamedTuple):
    """When a file is asked for, None until somebody is heard; how often it was, put off since."""

    due_us: int | None
    asks: int = 0
    put_off: int = 0


class Seeker:
    """The files that one node waits for. `lacks(manifest, then, now)` calls `then(now)` when one is
    wanted, is not here and does not come; it returns False when it never will be wanted.
    """

    def __init__(
        self,
        ctx: Context,
        air: FileRadios,
        manifest_of: Callable[[File], Manifest | None],
        lacks: Callable[[Manifest, Callable[[int], None]], bool],
    ) -> None:
        self._ctx = ctx
        self._air = air
        self._manifest_of = manifest_of
        self._lacks = lacks
        self._sought: OrderedDict[bytes, int] = OrderedDict()
        self._missed: OrderedDict[File, _Missed] = OrderedDict()
        self._later: OrderedDict[bytes, int] = OrderedDict()
        self._met_us: int | None = None

    # --- news -------------------------------------------------------------------------------------

    def found(self, manifest: Manifest, now: int) -> None:
        """A file is known."""
        file = (manifest.space, manifest.clear.root)
        new = self._met_us is not None and now - self._met_us < MET_AGAIN_US
        self._missed[file] = _Missed(now + self._ctx.jitter(*(MET_US if new else MISSED_US[0])))
        if len(self._missed) > MISSED_MAX:
            self._missed.popitem(last=False)

    def here(self, manifest: Manifest) -> None:
        """A file is here."""
        self._missed.pop((manifest.space, manifest.clear.root), None)

    def met(self, now: int) -> None:
        """Somebody new is heard, who may have what was asked for in vain, or offered it before."""
        self._met_us = now
        for root, asked_us in list(self._sought.items()):
            if now - asked_us >= MET_US[0]:
                del self._sought[root]
        for file, missed in self._missed.items():
            asked_us = self._sought.get(file[1], now - MET_AGAIN_US)
            soon_us = max(asked_us + MET_AGAIN_US, now) + self._ctx.jitter(*MET_US)
            due_us = soon_us if missed.due_us is None else min(missed.due_us, soon_us)
            self._missed[file] = missed._replace(due_us=due_us)

    def asked(self, manifest: Manifest, now: int) -> None:
        """Another asks for a file: an offer would be for all."""
        file = (manifest.space, manifest.clear.root)
        missed = self._missed.get(file)
        if missed is not None and missed.due_us is not None and missed.put_off < PUT_OFF_MAX:
            due_us = max(missed.due_us, now + self._ctx.jitter(*MISSED_US[0]))
            self._missed[file] = missed._replace(due_us=due_us, put_off=missed.put_off + 1)

    def later(self, later: wire.Later, now: int) -> None:
        """Who has a file has no airtime for it now."""
        self._later[later.ref] = now + later.after_s * 1_000_000
        self._later.move_to_end(later.ref)
        if len(self._later) > LATER_MAX:
            self._later.popitem(last=False)

    # --- for people -------------------------------------------------------------------------------

    def later_us(self, manifest: Manifest) -> int:
        """Return when who has a file has airtime for it, by its own word; 0: it said none."""
        return self._later.get(wire.ref_of(manifest.space, manifest.clear.root), 0)

    def asked_us(self, manifest: Manifest) -> int | None:
        """Return when a file was last asked for."""
        return self._sought.get(manifest.clear.root)

    # --- asking -----------------------------------------------------------------------------------

    def may_seek(self, manifest: Manifest, now: int) -> bool:
        """Tell whether an offer was not asked for just now."""
        asked_us = self._sought.get(manifest.clear.root)
        return asked_us is None or now - asked_us >= SOUGHT_US

    def ask(self, manifest: Manifest, now: int) -> None:
        """Ask all in earshot for an offer."""
        root = manifest.clear.root
        self._sought[root] = now
        self._sought.move_to_end(root)
        if len(self._sought) > SOUGHT_MAX:
            self._sought.popitem(last=False)
        body = wire.Sought(wire.ref_of(manifest.space, root)).encode()
        for link in self._air.links():
            self._air.tell(link, Sub.PIECES_WANTED, body, now, bulk=False)

    def due_us(self) -> int | None:
        """Return when `tick` has something to do."""
        dues = (missed.due_us for missed in self._missed.values())
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def tick(self, now: int) -> None:
        """Ask for files that are known for long and were never offered."""
        heard = any(self._air.neighbours_of(link) for link in self._air.links())
        for file, missed in list(self._missed.items()):
            if missed.due_us is None or missed.due_us > now:
                continue
            manifest = self._manifest_of(file)
            if manifest is None or not heard:
                self._missed[file] = missed._replace(due_us=None)  # until somebody is heard
                continue
            asks = missed.asks + 1
            wait_us = now + self._ctx.jitter(*MISSED_US[asks]) if asks < len(MISSED_US) else None
            self._missed[file] = _Missed(wait_us, min(asks, len(MISSED_US) - 1))

            def ask(at: int, one: Manifest = manifest) -> None:
                if self.may_seek(one, at):
                    self.ask(one, at)

            if not self._lacks(manifest, ask):
                self._missed.pop(file, None)
