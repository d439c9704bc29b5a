"""Where each file stands, as people are told: what it waits for, how long at least, who has it.

Enters: manifests, what is asked, taken, given. Leaves: states and sentences. Must not know: how
pieces travel. Ref: docs/radios.md.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from meshd.core.ids import node_text
from meshd.core.spans import span
from meshd.sync.files.air.giving import Giver
from meshd.sync.files.air.looks import SURVEY_MAX, Looks, plain_size
from meshd.sync.files.air.rule import Verdict, Way
from meshd.sync.files.air.seeking import Seeker
from meshd.sync.files.air.taking import Takings
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.ports import FileRadios


class StatesOwner(Protocol):
    """Who has the files."""

    def file_near(self, manifest: Manifest) -> bool:
        """Tell whether a session leads to somebody who has a file."""

    def file_givers(self, space: bytes) -> Collection[bytes]:
        """Return the nodes with which a space is shared in a session now."""

    def file_members(self, space: bytes) -> frozenset[bytes]:
        """Return the nodes of a space's other members, as far as they are known."""

    def file_author(self, manifest: Manifest) -> bytes:
        """Return the node that put a file; b"" where that is not known."""

    def file_own(self, manifest: Manifest) -> bool:
        """Tell whether a file was put here."""


class FileStates:
    """What is said of one node's files."""

    def __init__(
        self,
        owner: StatesOwner,
        air: FileRadios,
        *,
        looks: Looks,
        giver: Giver,
        takings: Takings,
        seeker: Seeker,
    ) -> None:
        self._owner = owner
        self._air = air
        self._looks = looks
        self._giver = giver
        self._takings = takings
        self._seeker = seeker

    def waits_of(self, space: bytes, size: int, now: int) -> str:
        """Say what a file of `size` bytes waits for; "" when it goes, or nobody waits for it.

        Neighbours with whom the space is shared in a session take it there when they want it.
        """
        verdict = self._for_others(space, size, now)
        return "" if verdict is None or verdict.way is Way.LORA else verdict.text

    def goes(self, space: bytes, size: int, now: int) -> str:
        """Say how long a file of `size` bytes takes by LoRa, with what goes before it; "" when it
        waits, or nobody is there who takes it so.
        """
        verdict = self._for_others(space, size, now)
        if verdict is None or verdict.way is not Way.LORA:
            return ""
        return f"{verdict.text}, {span(max(verdict.took_us // 1_000_000, 1))} at least"

    def all(self, manifests: Sequence[Manifest], now: int) -> list[dict[str, object]]:
        """Return where each file stands, for `files`: nothing where `survey` did not look."""
        old = max(0, len(manifests) - SURVEY_MAX)
        return [
            {} if at < old and not self._looks.is_whole(one) else self._state(one, now)
            for at, one in enumerate(manifests)
        ]

    def _state(self, manifest: Manifest, now: int) -> dict[str, object]:
        if self._looks.is_whole(manifest):
            return {"state": "here"} | self._given(manifest, now)
        if not self._air.links():
            return {"state": "elsewhere"}
        taking = self._takings.of(manifest.clear.root)
        why = self.awaits(manifest, now)
        if taking is not None:
            pieces = [len(taking.pieces), taking.offer.need]
            return {"state": "coming", "pieces": pieces, "why": why}
        if self._owner.file_near(manifest):
            return {"state": "elsewhere"}
        verdict = self._verdict(plain_size(manifest), now)
        if verdict is None:
            return {"state": "elsewhere", "why": why} if why else {"state": "elsewhere"}
        state = Way.WIFI.value if verdict.way is Way.WIFI else "awaited"
        return {"state": state, "why": why}

    def _given(self, manifest: Manifest, now: int) -> dict[str, object]:
        """Return what is known of others of a file that is here."""
        told: dict[str, object] = {}
        if manifest.whole_at:
            told["complete_at"] = [node_text(node) for node in sorted(manifest.whole_at)]
        giving = self._giver.text(manifest, now)
        if not giving and self._owner.file_own(manifest):
            verdict = self._for_others(manifest.space, plain_size(manifest), now)
            giving = verdict.text if verdict is not None and verdict.way is Way.WIFI else ""
        return told | ({"giving": giving} if giving else {})

    def awaits(self, manifest: Manifest, now: int) -> str:
        """Say what a file that is not here waits for; "" where LoRa has no part in that."""
        taking = self._takings.of(manifest.clear.root)
        if taking is not None:
            return self._takings.text(taking, now)
        if not self._air.links():
            return ""
        verdict = self._verdict(plain_size(manifest), now)
        if verdict is None:
            return "waits for a node that has it: none is connected, and no radio hears anybody"
        if verdict.way is Way.WIFI:
            return verdict.text
        later_us = self._seeker.later_us(manifest) - now
        if later_us > 0:
            wait = span(max(later_us // 1_000_000, 1))
            return f"waits to be offered by LoRa: who has it has airtime in {wait} at the earliest"
        author = self._owner.file_author(manifest)
        near = any(author in self._air.neighbours_of(link) for link in self._air.links())
        said = "its author is in earshot" if near else "nobody in earshot said yet to have it"
        asked_us = self._seeker.asked_us(manifest)
        if asked_us is not None:
            said += f", and was asked {span((now - asked_us) // 1_000_000)} ago"
        return f"waits to be offered by LoRa: {said}"

    def comes_by_itself(self, manifest: Manifest, now: int) -> bool:
        """Tell whether who has a file is in earshot, as far as that is known."""
        author = self._owner.file_author(manifest)
        near = any(author in self._air.neighbours_of(link) for link in self._air.links())
        return (near and self.may_come(manifest, now)) or self._seeker.later_us(manifest) > now

    def may_come(self, manifest: Manifest, now: int) -> bool:
        """Tell whether a file is small enough for LoRa, and a radio hears anybody."""
        verdict = self._verdict(plain_size(manifest), now)
        return verdict is not None and verdict.way is not Way.WIFI

    def _for_others(self, space: bytes, size: int, now: int) -> Verdict | None:
        """Judge a file for who takes it by LoRa: None where sessions lead to all known members."""
        givers = set(self._owner.file_givers(space))
        members = self._owner.file_members(space)
        if members and members <= givers:
            return None
        return self._verdict(size, now, but=givers)

    def _verdict(self, size: int, now: int, but: Collection[bytes] = ()) -> Verdict | None:
        """Judge by the radios that hear somebody `but` those."""
        air = self._air
        links = [link for link in air.links() if set(air.neighbours_of(link)).difference(but)]
        return self._giver.judge(size, links, now)
