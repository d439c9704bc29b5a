"""Writes region, data rate, frequency and power into a Meshtastic board, as its owner asked to.

Enters: a plan, the name of a region, bytes from the port. Leaves: `Configured` once the board holds
the plan, else `Broken` with what to do next; never a frame. A board that holds it already is not
written to. Settings go as one admin message to the board's own number, all that the plan does not
name as the board told it; from the port no key of a session is wanted. A board with firmware before
2.8 restarts some seconds later, others take them at once: so it is given time, and read again. A
port that goes away meanwhile is opened again with the same `Journal`, and nothing is written twice.
Must not know: which port it is, whether its owner agreed. Ref: hardware/radios/meshtastic.toml.
"""

from dataclasses import dataclass

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.radio.meshtastic.modem import EVERYBODY, Meshtastic, Stage
from meshd.radio.meshtastic.plan import LoraSettings, granted, planned
from meshd.radio.modem import SECOND, Configured, RadioPlan
from meshd.radio.protobuf import Message, delimited, fixed32, varint

ADMIN_APP, ROUTING_APP = 6, 5
PAYLOAD_MAX = 233
REPLY_US = 5 * SECOND
RESTART_US = 10 * SECOND
"""A board that restarts for its settings begins to 7 s after it took them."""

UP_US = 2 * SECOND
"""From the first word of a board that restarted until it is asked."""

BACK_US = 60 * SECOND
"""A board that has not told its settings so long after they were written is lost."""

NOT_BACK = (
    "the board took its settings and did not come back from its restart: unplug it, plug it in "
    "again, and give the same command once more; it reads first and writes only what is missing"
)
MANAGED = (
    "the board is managed (security.is_managed) and takes no settings from its port: ask who "
    "manages it, or switch that off with the vendor's application"
)
_NO_RESPONSE, _NOT_AUTHORIZED = 8, 33
_SET_CONFIG, _LORA = 34, 6


@dataclass(slots=True)
class Journal:
    """What was seen and done so far, over all openings of the port. `may_write`: else only read."""

    may_write: bool
    before: LoraSettings | None = None
    after: LoraSettings | None = None
    written_us: int | None = None


class MeshtasticSetup(Meshtastic):
    """One opening of the port of a board that is to be set."""

    def __init__(self, plan: RadioPlan, region: str, journal: Journal) -> None:
        super().__init__(plan)
        self.journal = journal
        self._region = region
        self._answered = False

    def transmit(self, frame: bytes, now: int) -> None:
        """Raises: UsageError, since nothing is sent here."""
        raise UsageError("a board is being set here, and sends nothing")

    # --- what the board is set to -----------------------------------------------------------------

    def _judge(self, now: int) -> None:
        journal, told = self.journal, self._told_lora()
        plan = granted(told, self.wanted)
        if told is None or self._lora is None or not self._number:
            self._end(DropReason.MODEM_SETTING, str(granted(None, self.wanted)))
            return
        journal.after = told
        journal.before = journal.before or told
        wanted = planned(told, self._lora, self.wanted, self._region)
        if journal.written_us is not None:
            self._read_back(plan)
        elif not journal.may_write:
            self._done(plan)
        elif isinstance(wanted, str):
            self._end(DropReason.MODEM_SETTING, wanted)
        elif LoraSettings.read(Message.decode(wanted), self._channel_name).same(told):
            self._done(plan)
        elif self._managed:
            self._end(DropReason.MODEM_SETTING, MANAGED)
        else:
            self._write(wanted, now)

    def _read_back(self, plan: RadioPlan | str) -> None:
        """What was written was read again: it was kept, or is something else."""
        if not isinstance(plan, str):
            self._done(plan)
            return
        cause = plan.partition(": ")[0]
        if not self._answered and self.journal.after == self.journal.before:
            self._end(
                DropReason.MODEM_SILENT,
                "the board did not answer and is set as before: switch off what keeps its port "
                "from setting it (a lock, managed mode), or renew its firmware (2.3 or later)",
            )
        else:
            self._end(
                DropReason.MODEM_SETTING,
                f"the board did not keep what was written ({cause}): its firmware may not know "
                "this region or data rate; renew it, or choose another with --sf and --bandwidth",
            )

    def _done(self, plan: RadioPlan | str) -> None:
        if isinstance(plan, str):
            self._end(DropReason.MODEM_SETTING, plan)
            return
        self._stage = Stage.OVER
        self._stream.close()
        self._events.append(Configured(plan))

    # --- writing ----------------------------------------------------------------------------------

    def _write(self, lora: bytes, now: int) -> None:
        message = delimited(_SET_CONFIG, delimited(_LORA, lora))
        if len(message) > PAYLOAD_MAX:
            self._end(
                DropReason.MODEM_TOO_LONG,
                "its list of ignored nodes makes the settings too long: shorten that list with "
                "the vendor's application",
            )
            return
        self._packet_id = (self._packet_id + 1) & EVERYBODY or 1
        data = varint(1, ADMIN_APP) + delimited(2, message) + varint(3, 1)
        packet = fixed32(2, self._number) + delimited(4, data) + fixed32(6, self._packet_id)
        self._put(delimited(1, packet))
        self.journal.written_us = now
        self._stage = Stage.WRITING
        self._due_us = now + REPLY_US

    def _packet(self, packet: Message, now: int) -> None:
        data = packet.message(4)
        if (
            self._stage is Stage.WRITING
            and data[1].number == ROUTING_APP
            and data[6].number == self._packet_id
        ):
            self._reply(data.message(2)[3].number, now)

    def _reply(self, error: int, now: int) -> None:
        self._answered = True
        if error in (_NO_RESPONSE, _NOT_AUTHORIZED):
            self._end(DropReason.MODEM_REFUSED, MANAGED)
        elif error:
            self._end(
                DropReason.MODEM_REFUSED,
                f"the board refuses its settings (error {error} of its firmware): renew it, or "
                "choose another region, --sf or --bandwidth; it is set as before",
            )
        else:
            self._pause(now, RESTART_US)

    def _pause(self, now: int, pause_us: int) -> None:
        self._stage = Stage.SETTLING
        self._due_us = now + pause_us

    # --- time and restarts ------------------------------------------------------------------------

    def _due(self, now: int) -> None:
        if self._stage is Stage.WRITING:
            self._pause(now, RESTART_US)  # Whether it took them is seen when they are read again.
        elif self._stage is Stage.SETTLING:
            self._wake(now)
        else:
            super()._due(now)

    def _restarted(self, now: int) -> None:
        written_us = self.journal.written_us
        if written_us is None or self._stage is Stage.OVER:
            return
        if now < written_us + BACK_US:
            self._pause(now, UP_US)
        else:
            self._end(DropReason.MODEM_RESET, NOT_BACK)

    def _unanswered(self, now: int) -> None:
        written_us = self.journal.written_us
        if written_us is None:
            super()._unanswered(now)
        elif now < written_us + BACK_US:
            self._ask_settings(now)
        else:
            self._end(DropReason.MODEM_SILENT, NOT_BACK)
