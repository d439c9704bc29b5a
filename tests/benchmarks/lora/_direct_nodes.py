"""The daemon's own nodes in the field of the direct messages, with the same places and traffic.

Keys of devices, beacons, echoes, routes, `messages` and the ledger are theirs; all start at once,
an hour before the first message. Every frame on the air counts. Each knows the others' keys from
the start, as who shares a space does.
"""

from dataclasses import dataclass

from lora._direct_field import SETTLE_S, TEXT_BYTES, WARM_S, islands
from radios.node_station import FREQUENCY_HZ
from simulator._lora_field import LONG_FAST, SECOND, STRANGERS, TX_DBM, Field

from meshd.core.events import Notice, Reply
from meshd.core.ids import node_text
from meshd.core.law import Law, SubBand
from meshd.simulation.host import Host
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, Radio, RadioSetting
from meshd.simulation.observer import Observer
from meshd.simulation.world import World
from meshd.wire.lora_frame import FrameKind, LoraFrame

LATE_S = 600
HOUR_S = 3600
LAW = Law("LAB", (SubBand("lab", 902_000_000, 928_000_000, 36.0, "eirp"),))
ENDS = ("delivered", "read")


@dataclass
class NodesPlayed:
    """What came of one run. Shares in percent of those that the flood's four links reach."""

    acknowledged: float
    late: float
    """The same ten minutes after the last message."""

    possible: float
    frames: float
    """All frames, until two minutes after the last message, for each message."""

    routed: float
    """Messages and answers, of them; receipts are with the rest."""

    delay_50_s: float
    delay_95_s: float


@dataclass
class Quiet:
    """How long a node finds the channel taken while nobody says anything, in percent."""

    first_half: float
    second_half: float
    second: float
    third: float
    fourth: float


class Nodes(Observer):
    """Real nodes in the field of `count` stations and `seed`."""

    def __init__(self, count: int, seed: int) -> None:
        self.field = Field(count, seed)
        self.world = World(seed)
        self.world.watch(self)
        self.hosts = [self.world.add_host(media=()) for _ in range(count)]
        self._number = {host.name: number for number, host in enumerate(self.hosts)}
        self.air = LoraAir(self.world, self._loss_db, strangers=STRANGERS, told=self._told)
        self.radios: list[Radio] = []
        for host in self.hosts:
            setting = RadioSetting(LONG_FAST, FREQUENCY_HZ, TX_DBM)
            host.lora = LoraPort(host, self.air, setting, law=LAW)
            host.lora.power_on()
            self.radios.append(host.lora.radio)
        self.frames = self.routed = 0
        self.born: dict[tuple[int, int], tuple[int, int]] = {}
        self.known_us: dict[tuple[int, int], int] = {}
        self._tickets: dict[tuple[int, str], int] = {}

    def play(self, period_s: float, duration_s: float) -> NodesPlayed:
        """Warm up, send, settle; return the figures."""
        self._introduce()
        self._draw(period_s, duration_s)
        self.world.run(WARM_S * SECOND)
        self.frames = self.routed = 0
        self.world.run(round((duration_s + SETTLE_S) * SECOND))
        frames, routed, messages = self.frames, self.routed, max(len(self.born), 1)
        acknowledged = self._share()
        self.world.run((LATE_S - SETTLE_S) * SECOND)
        delays = sorted(at - self.born[key][0] for key, at in self.known_us.items()) or [0]
        return NodesPlayed(
            acknowledged=acknowledged,
            late=self._share(),
            possible=self._possible(),
            frames=frames / messages,
            routed=routed / messages,
            delay_50_s=delays[len(delays) // 2] / SECOND,
            delay_95_s=delays[len(delays) * 95 // 100] / SECOND,
        )

    def quiet(self) -> Quiet:
        """Say nothing for four hours."""
        spans_s = (HOUR_S // 2, HOUR_S // 2, HOUR_S, HOUR_S, HOUR_S)
        return Quiet(*(self._quiet(span_s) for span_s in spans_s))

    def _quiet(self, span_s: int) -> float:
        taken_us = sum(radio.heard_us + radio.sent_us for radio in self.radios)
        self.world.run(span_s * SECOND)
        taken_us = sum(radio.heard_us + radio.sent_us for radio in self.radios) - taken_us
        return 100 * taken_us / (span_s * SECOND * len(self.hosts))

    # --- the traffic ------------------------------------------------------------------------------

    def _introduce(self) -> None:
        for host in self.hosts:
            contacts = host.node.messages._exchange._contacts
            for other in self.hosts:
                if other is not host:
                    contacts._used[other.node.id] = other.identity.public

    def _draw(self, period_s: float, duration_s: float) -> None:
        """Draw times and receivers as the stations' field does, from the same stream."""
        chance = self.field.schedule.random("open traffic")
        start_us, count = WARM_S * SECOND, len(self.hosts)
        end_us = start_us + round(duration_s * SECOND)
        for number in range(count):
            due_us = start_us + round(chance.expovariate(1 / period_s) * SECOND)
            while due_us < end_us:
                to = chance.choice([one for one in range(count) if one != number])
                self.world.at(due_us, self._send, number, to)
                due_us += round(chance.expovariate(1 / period_s) * SECOND)

    def _send(self, number: int, to: int) -> None:
        host, node = self.hosts[number], node_text(self.hosts[to].node.id)
        ticket = host.request("message", node=node, text="x" * TEXT_BYTES)
        self.born[number, ticket] = (self.world.now, to)

    # --- what is seen -----------------------------------------------------------------------------

    def reply(self, host: Host, reply: Reply) -> None:
        """Note what a message is called at its sender."""
        key = self._number[host.name], reply.ticket
        if key in self.born and isinstance(reply.value, dict):
            self._tickets[key[0], str(reply.value["id"])] = reply.ticket

    def notice(self, host: Host, notice: Notice) -> None:
        """Note when a sender knows that its message arrived."""
        number = self._number[host.name]
        ticket = self._tickets.get((number, str(notice.fields.get("id"))))
        if notice.kind == "message-state" and ticket is not None:
            if notice.fields["state"] in ENDS:
                self.known_us.setdefault((number, ticket), self.world.now)

    def radio_sent(self, host: Host, frame: bytes) -> None:
        """Count messages and their answers among the frames."""
        self.routed += LoraFrame.decode(frame).kind is FrameKind.ROUTED

    def _told(self, radio: Radio, purpose: str, size: int, airtime_us: int) -> None:
        self.frames += 1

    def _loss_db(self, sender: Radio, hearer: Radio) -> float:
        radios = self.field.air.radios
        one, other = self._number[sender.name], self._number[hearer.name]
        return self.field.loss_db(radios[one], radios[other])

    # --- what came of it --------------------------------------------------------------------------

    def _near(self) -> list[tuple[int, int]]:
        return [key for key, (_, to) in self.born.items() if to in self.field.reach[key[0]]]

    def _share(self) -> float:
        near = self._near()
        return 100 * sum(key in self.known_us for key in near) / max(len(near), 1)

    def _possible(self) -> float:
        """Return the share to whose receivers a way leads of links that work both ways."""
        near, island = self._near(), islands(self.field)
        there = sum(island[key[0]] == island[self.born[key][1]] for key in near)
        return 100 * there / max(len(near), 1)
