"""Who is on the air: open each frame, tell new from replayed, and know whom to believe.

Enters: frames from a modem, `now`, nonces of the caller's entropy. Leaves: what was opened, who was
met, what was asked, or the name of the drop; whom to challenge; reports for people. Tables are
bounded: who has not answered a challenge yet may hold a quarter of them and goes first.

A sender is *proven* when a beacon came back with our own fresh nonce in it, or when it is the next
boot of one that was proven; it is *fresh* when it sent back an echo of a frame that this node sent
of late, by which any member of the mesh might pass for it, but no recording. Frames of others are
good for delivery (what they carry is proven by itself) but not for relaying.
Must not know: airtime, routes, what frames carry.
Ref: docs/wire-format.md#lora-beacon, docs/security.md.
"""

from collections import deque
from collections.abc import Container, Iterator
from enum import Enum
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import EVERYONE, SHORT_LEN, node_id
from meshd.link.device import Device, Source
from meshd.link.replay import Verdict, nearest
from meshd.link.seal import NOBODY, FrameKeys, LinkKey, Mark, hop_address, opens_by_link_key, unseal
from meshd.link.sender import Sender
from meshd.wire.lora_beacon import Beacon, Challenge
from meshd.wire.lora_frame import ECHO_LEN, FrameKind, LoraFrame, echo_of

DEVICES_MAX = 256
UNPROVEN_MAX = DEVICES_MAX // 4
SAME_SHORT_MAX = 8
"""Devices that share a short address; each is one more key to try."""

CHALLENGE_VALID_US = 120_000_000
SAME_SHORT_SILENT_US = 600_000_000
"""Of as many proven ones, one silent for so long makes room."""
PROOFS_FROM = UNPROVEN_MAX // 2
PROOF_EACH_US, PROOF_AGAIN_US = 60_000_000, 3_600_000_000
"""While so many are not proven, who is there longest is asked to, one in so long, each so seldom:
it keeps its place then from a crowd that somebody invents."""

SAID_VALID_US = 300_000_000
SAID_MAX = 32
"""Own frames whose echoes are believed: the last ones, of that time."""
REPORTS_MAX = 16


class Aim(Enum):
    """For whom a frame is at this hop."""

    EVERYONE = "everyone"
    ME = "me"
    OTHER = "other"


class Opened(NamedTuple):
    """A frame whose tag fits. `trusted`: its sender is there now, so it may be relayed.

    `node` sent it last; who wrote what it carries is for the layers above to prove.
    """

    frame: LoraFrame
    plaintext: bytes
    node: bytes
    counter: int
    aim: Aim
    trusted: bool
    salt: bytes = b""


class Met(NamedTuple):
    """A beacon with a good signature. `new`: a boot that was not known."""

    node: bytes
    public: bytes
    boot: int
    counter: int
    new: bool
    proven: bool
    echo: bytes = b""


class Asked(NamedTuple):
    """Somebody asks this node for a beacon with this nonce; `Sender.answer` will hold it."""

    nonce: bytes


class Stranger(NamedTuple):
    """A frame that no known sender sealed: perhaps a beacon was lost, perhaps it is noise."""

    short: bytes


class Overheard(NamedTuple):
    """A challenge for another node."""

    target: bytes


class Report(Enum):
    """What a person should know."""

    TWIN = "twin"
    """Two devices run with one key: a card was copied."""

    OWN_TWIN = "own-twin"
    """Another device runs with this node's key, or this node's state was rolled back."""

    COUNTER_FORGED = "counter-forged"
    """Some member sent frames as if it were this one: told once for each of its starts."""


Heard = Opened | Met | Asked | Overheard | DropReason


class Sources:
    """All senders that one node hears. `links` are the link keys that are valid now, at most 3."""

    def __init__(self, sender: Sender, links: tuple[LinkKey, ...]) -> None:
        self._sender = sender
        self._links = links
        self._devices: dict[bytes, Device] = {}
        self._proof_us = 0
        self._said: deque[tuple[bytes, int]] = deque(maxlen=SAID_MAX)
        self._reports: deque[tuple[Report, bytes]] = deque(maxlen=REPORTS_MAX)

    def rekey(self, links: tuple[LinkKey, ...]) -> None:
        """Accept these link keys from now on."""
        self._links = links
        for device in self._devices.values():
            device.forget_keys()

    def hear(self, data: bytes, now: int) -> Heard:
        """Take a frame from the air."""
        try:
            frame = LoraFrame.decode(data)
        except WireError:
            return DropReason.FRAME_MALFORMED
        links = [link for link in self._links if link.context == frame.context]
        if not links:
            return DropReason.FRAME_FOREIGN
        if not opens_by_link_key(frame.kind):
            return self._open(frame, links, now)
        for link in links:
            plaintext = unseal(link.group, frame, Mark(NOBODY, link.epoch, frame.counter))
            if plaintext is not None:
                if frame.kind is FrameKind.BEACON:
                    return self._beacon(frame, link, plaintext, now)
                return self._challenge(plaintext)
        return DropReason.FRAME_FORGED

    # --- challenges -------------------------------------------------------------------------------

    def poll_challenge(self, now: int) -> bytes | None:
        """Return the NodeId of who should be challenged now, or None."""
        for device in self._devices.values():
            if device.may_ask(now):
                return device.node
        return None

    def challenge(self, node: bytes, nonce: bytes, now: int) -> Challenge | None:
        """Begin a challenge with 8 fresh bytes of entropy; None: that node is gone."""
        for device in self._devices.values():
            if device.node == node:
                device.ask(nonce, now)
                return Challenge(node, nonce)
        return None

    def poll_report(self) -> tuple[Report, bytes] | None:
        """Return the next thing for a person, with the NodeId it is about."""
        return self._reports.popleft() if self._reports else None

    def said(self, data: bytes, now: int) -> None:
        """Note a frame that this node sends: whoever hears it can send back an echo of it."""
        self._said.append((echo_of(data), now))

    def echoed(self, opened: Opened, echoes: Container[bytes], now: int) -> bool:
        """Take the echoes in a frame; return whether its sender is there now.

        Only who has heard this node of late can have sealed them: no recording holds them. They do
        not prove whose device it is, which a member could feign; a beacon does.
        """
        heard = any(now <= at_us + SAID_VALID_US and one in echoes for one, at_us in self._said)
        for device in self._devices.values() if heard else ():
            source = next((one for one in device.sources if one.salt == opened.salt), None)
            if device.node == opened.node and source is not None:
                source.fresh = True
                return True
        return False

    def trusts(self, node: bytes) -> bool:
        """Tell whether frames of a node may be relayed."""
        return any(device.node == node and device.trusted for device in self._devices.values())

    def proven(self, node: bytes) -> bool:
        """Tell whether a node has shown that it is there."""
        return any(device.node == node and device.proven for device in self._devices.values())

    def public_of(self, node: bytes) -> bytes | None:
        """Return the key of a device that said it in a beacon."""
        return next((one.public for one in self._devices.values() if one.node == node), None)

    def __len__(self) -> int:
        return len(self._devices)

    # --- frames -----------------------------------------------------------------------------------

    def _open(self, frame: LoraFrame, links: list[LinkKey], now: int) -> Heard:
        candidates = list(self._of_short(frame.source))
        for device in candidates:
            for source in device.sources:
                for link in links:
                    opened = self._try(frame, source, link)
                    if opened is not None:
                        self._use(device, now)
                        return self._judge(opened, device, source)
        if frame.source == self._sender.short and self._is_own(frame):
            return DropReason.FRAME_OWN
        return DropReason.FRAME_FORGED if candidates else DropReason.FRAME_STRANGER

    def _try(self, frame: LoraFrame, source: Source, link: LinkKey) -> Opened | None:
        """Open a frame as if it were of one boot of one sender."""
        keys = source.keys(link)
        for counter in source.guesses(frame.counter):
            mark = Mark(source.node, link.epoch, counter)
            plaintext = unseal(keys, frame, mark)
            if plaintext is not None:
                aim = self._aim(frame, keys, mark)
                return Opened(frame, plaintext, source.node, counter, aim, False, source.salt)
        return None

    def _judge(self, opened: Opened, device: Device, source: Source) -> Heard:
        tag = opened.frame.tag
        verdict = source.window.judge(opened.counter, tag)
        if verdict is Verdict.SEEN:
            return DropReason.FRAME_REPLAYED
        if verdict is Verdict.OLD:
            # Old news played again, or very many frames forged since: ask.
            device.wanted = True
            return DropReason.FRAME_REPLAYED
        if verdict is Verdict.BESIDE:
            self._report_forged(device, source)
        elif verdict is Verdict.BEHIND and not source.forged:
            device.wanted = True
        good = verdict in (Verdict.FRESH, Verdict.BESIDE, Verdict.BEHIND)
        if good:
            source.window.take(opened.counter, tag)
        trusted = (source.proven or source.fresh) and good
        relays = opened.frame.kind is not FrameKind.LOCAL and opened.aim is not Aim.OTHER
        if not trusted and (verdict is Verdict.BEYOND or relays):
            device.wanted = True  # who names another node perhaps does not hear this one
        if not trusted and any(one.proven or one.fresh for one in device.sources):
            device.wanted = True  # another boot of it is there: this is a recording or a copy
        if trusted and any(
            other.proven and other is not source and other.boot >= source.boot
            for other in device.sources
        ):
            self._report_twin(device)
        return opened._replace(trusted=trusted)

    def _aim(self, frame: LoraFrame, keys: FrameKeys, mark: Mark) -> Aim:
        if frame.next_hop == EVERYONE:
            return Aim.EVERYONE
        mine = hop_address(keys, mark, self._sender.node)
        return Aim.ME if frame.next_hop == mine else Aim.OTHER

    def _is_own(self, frame: LoraFrame) -> bool:
        sender = self._sender
        mark = Mark(sender.node, sender.link.epoch, nearest(sender.counter, frame.counter))
        return unseal(sender.keys, frame, mark) is not None

    # --- beacons ----------------------------------------------------------------------------------

    def _challenge(self, plaintext: bytes) -> Heard:
        try:
            challenge = Challenge.decode(plaintext)
        except WireError:
            return DropReason.BEACON_MALFORMED
        if challenge.target != self._sender.node:
            return Overheard(challenge.target)
        if not self._sender.asked(challenge.nonce):
            return DropReason.CHALLENGE_LIMITED
        return Asked(challenge.nonce)

    def _beacon(self, frame: LoraFrame, link: LinkKey, plaintext: bytes, now: int) -> Heard:
        try:
            beacon = Beacon.decode(plaintext)
        except WireError:
            return DropReason.BEACON_MALFORMED
        if beacon.counter & 0xFFFF != frame.counter:
            return DropReason.BEACON_MALFORMED
        public = beacon.public or self._signer(beacon, frame, link)
        if public is None:
            return DropReason.FRAME_STRANGER
        if node_id(public)[:SHORT_LEN] != frame.source:
            return DropReason.BEACON_MALFORMED
        statement = beacon.statement(link.epoch, public)
        if beacon.public and not crypto.verify(public, statement, beacon.signature):
            return DropReason.BEACON_FORGED
        if public == self._sender.public:
            return self._mirror(beacon)
        met = self._meet(beacon, frame.tag, public, now)
        return met._replace(echo=frame.tag[:ECHO_LEN]) if isinstance(met, Met) else met

    def _signer(self, beacon: Beacon, frame: LoraFrame, link: LinkKey) -> bytes | None:
        """Return whose beacon without a key this is, among those who are known."""
        candidates = [device.public for device in self._of_short(frame.source)]
        if frame.source == self._sender.short:
            candidates.append(self._sender.public)
        for public in candidates:
            statement = beacon.statement(link.epoch, public)
            if crypto.verify(public, statement, beacon.signature):
                return public
        return None

    def _mirror(self, beacon: Beacon) -> Heard:
        """A beacon with this node's own key: an echo, one of an earlier boot, or a twin's."""
        sender = self._sender
        if beacon.salt != sender.salt and beacon.boot >= sender.boot:
            self._reports.append((Report.OWN_TWIN, sender.node))
            return DropReason.NODE_TWIN
        return DropReason.FRAME_OWN

    def _meet(self, beacon: Beacon, tag: bytes, public: bytes, now: int) -> Heard:
        device = self._devices.get(public)
        if device is None:
            device = self._admit(public, now)
            if device is None:
                return DropReason.SOURCES_FULL
        self._use(device, now)
        source = device.find(beacon.boot, beacon.salt)
        in_time = now <= device.asked_us + CHALLENGE_VALID_US
        answered = in_time and device.nonce in beacon.echoes and not device.has_answered(source)
        new = source is None
        if source is None:
            if not answered and not device.newer(beacon.boot):
                device.wanted = True
                return DropReason.BEACON_STALE
            source = Source(public, beacon.boot, beacon.salt, beacon.counter)
            source.proven = answered or device.proven
            source.fresh = device.newer(beacon.boot) and any(one.fresh for one in device.sources)
            for other in device.sources if source.fresh else ():
                other.fresh = False
            device.take(source, answered=answered)
            device.news()
        elif not answered:
            verdict = source.window.judge(beacon.counter, tag)
            device.wanted = device.wanted or verdict is Verdict.OLD
            if verdict is not Verdict.FRESH and beacon.counter <= source.signed:
                return DropReason.FRAME_REPLAYED
            source.hear_signed(beacon.counter, tag)
            device.news()
        elif source.answer(beacon.counter, tag):
            device.news()
            self._report_forged(device, source)
        if answered and device.answered_by(source):
            self._report_twin(device)
        self._limit()
        return Met(device.node, public, beacon.boot, beacon.counter, new, source.proven)

    def _report_forged(self, device: Device, source: Source) -> None:
        if not source.forged:
            source.forged = True
            self._reports.append((Report.COUNTER_FORGED, device.node))

    def _report_twin(self, device: Device) -> None:
        if not device.twin:
            device.twin = True
            self._reports.append((Report.TWIN, device.node))

    # --- the table --------------------------------------------------------------------------------

    def _of_short(self, short: bytes) -> Iterator[Device]:
        return (device for device in self._devices.values() if device.short == short)

    def _use(self, device: Device, now: int) -> None:
        """Keep in mind who was heard last: the table is in that order."""
        device.heard_us = now
        self._devices[device.public] = self._devices.pop(device.public)

    def _admit(self, public: bytes, now: int) -> Device | None:
        """Make room for a device that is not known; None: there is none, all of its short address
        are proven and were heard of late.
        """
        device = Device(public, now)
        same = list(self._of_short(device.short))
        if len(same) >= SAME_SHORT_MAX:
            victim = min(same, key=_standing)  # the first of them, who is silent longest
            if victim.proven and now - victim.heard_us < SAME_SHORT_SILENT_US:
                return None
            del self._devices[victim.public]
        unproven = [other for other in self._devices.values() if not other.proven]
        if len(unproven) >= UNPROVEN_MAX:
            del self._devices[min(unproven, key=_standing).public]
        if len(unproven) >= PROOFS_FROM:
            self._have_proven(unproven, now)
        self._devices[public] = device
        return device

    def _have_proven(self, unproven: list[Device], now: int) -> None:
        """Ask who is there longest for a proof, now and then."""
        if now < self._proof_us:
            return
        asked_before_us = now - PROOF_AGAIN_US
        there = [one for one in unproven if one.trusted and one.asked_us < asked_before_us]
        if there:
            self._proof_us = now + PROOF_EACH_US
            min(there, key=lambda one: one.met_us).wanted = True

    def _limit(self) -> None:
        """Too many proven devices: the one not heard for longest goes."""
        proven = [device for device in self._devices.values() if device.proven]
        if len(proven) > DEVICES_MAX - UNPROVEN_MAX:
            del self._devices[proven[0].public]


def _standing(device: Device) -> tuple[bool, bool]:
    """Return how well a device holds its place: who is there now before who was met, and so on."""
    return device.proven, device.trusted
