"""The story of the demo: five daemons in a row, step by step, each measured and checked.

Enters: a stage with five daemons. Leaves: one outcome a step, with what was seen and how long it
took. It talks to the daemons by the public command line only. Must not know: how a stage is built,
where the figures go.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from meshd.core.errors import Exit
from meshd.lab.daemons import CommandError, Daemon, Json, wait_for
from meshd.lab.disks import files_below, find_text, read, sha256
from meshd.lab.namespaces import LabError
from meshd.lab.stage import MIDDLE, NAMES, RadioStage, Stage, mosquitto
from meshd.lab.teller import Held, Outcome, Teller

WITHIN_S = 90.0
LORA_WITHIN_S = 180.0
"""For what waits for LoRa. A minute is usual where nothing else runs: WiFi that went silent is left
after eight hellos, half a minute, since a radio that slow is taken only when nothing else leads
there; meanwhile each side names by LoRa what it holds, within half a minute, then both compare and
ask, within another. A frame that is lost costs one more of these halves.
"""
PATIENCE_S = 5.0
FILE_BYTES = 8 * 1024 * 1024
SPACE = "Valley notes"
HELLO_NOTE = "Five is listening."
FIRST_NOTE = "The bridge at Mill Road is open again."
NORTH_NOTE = "North of the break: we have water for forty."
SOUTH_NOTE = "South of the break: two need insulin by Friday."
RADIO_NOTE = "By LoRa: the ferry takes twelve, at noon."
FILE_NAME = "map-of-the-valley.txt"
FILE_LINE = b"Spring above the chapel, 2 l/min, clean in April.\n"
SECRETS = (
    SPACE,
    HELLO_NOTE,
    FIRST_NOTE,
    NORTH_NOTE,
    SOUTH_NOTE,
    RADIO_NOTE,
    FILE_NAME,
    FILE_LINE.decode().strip(),
)


class StepError(Exception):
    """A step did not hold. The text says what was seen instead."""


class NotApplicable(Exception):
    """A step that means nothing here, or whose program is not installed. The text says why."""

    def __init__(self, why: str, *, left_out: bool = False) -> None:
        super().__init__(why)
        self.held = Held.LEFT_OUT if left_out else Held.NOT_APPLICABLE


class Stopwatch:
    """Measures a step: from its beginning unless restarted, to its end unless stopped."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._ended: float | None = None

    def restart(self) -> None:
        """Measure from now."""
        self._begun = time.monotonic()

    def stop(self, ended: float | None = None) -> float:
        """Measure until now, or until a moment that was noted; return the seconds."""
        self._ended = time.monotonic() if ended is None else ended
        return self.seconds

    @property
    def seconds(self) -> float:
        """What was measured."""
        return (self._ended or time.monotonic()) - self._begun


class Story:
    """The steps, in order. Each returns what to tell, or raises StepError or NotApplicable."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self.stage = stage
        self.teller = teller
        self.outcomes: list[Outcome] = []
        self.watch = Stopwatch()
        self.told = False
        self._space = ""
        self._joined = False
        self._posted: set[str] = set()

    @property
    def first(self) -> Daemon:
        """The node at one end."""
        return self.stage.daemons[0]

    @property
    def last(self) -> Daemon:
        """The node at the other end."""
        return self.stage.daemons[-1]

    @property
    def held(self) -> bool:
        """Tell whether every step that applies here held."""
        fine = {Held.YES, Held.NOT_APPLICABLE}
        return all(outcome.held in fine for outcome in self.outcomes)

    def tell(self) -> None:
        """Play all steps; one that fails does not end the story."""
        steps: list[tuple[str, str, Callable[[], str]]] = [
            ("daemons up", "Five daemons start", self._start),
            ("neighbours found", "Each finds the nodes beside it", self._neighbours),
            ("routes installed", "Routes over many hops reach the kernel", self._routes),
            ("space joined", "A space, with the three between as relays", self._join),
            ("note over four hops", "A note on one is read on five", self._note),
            ("cut, both halves edit", "The mesh is cut in the middle", self._cut),
            ("islands joined by LoRa", "LoRa sticks for three and four", self._islands),
            ("text over the LoRa hop", "Small text passes, a large file waits", self._two_speeds),
            ("healed, both ends equal", "The mesh heals", self._heal),
            ("file over four hops", "A file is put on one and got on five", self._file),
            ("relays' disks searched", "Thieves search the relays' disks", self._search),
            ("far status by MQTT", "The status of five, read from a broker", self._status),
        ]
        for name, title, step in steps:
            self.teller.begin(title)
            self.watch = Stopwatch()
            outcome = self._try(name, step)
            self.outcomes.append(outcome)
            self.teller.end(outcome)
        self.told = True

    def _try(self, name: str, step: Callable[[], str]) -> Outcome:
        try:
            detail = step()
        except NotApplicable as reason:
            return Outcome(name, reason.held, None, str(reason))
        except (StepError, CommandError, LabError) as error:
            told = [str(error), *self.stage.causes()]
            return Outcome(name, Held.NO, self.watch.seconds, "; ".join(told))
        return Outcome(name, Held.YES, self.watch.seconds, detail)

    # --- the steps ----------------------------------------------------------------------------

    def _start(self) -> str:
        self.stage.raise_curtain()
        self.watch.stop()
        if mosquitto():
            self.stage.open_broker()
        return f"node {self.first.name} is {self.first.node}"

    def _neighbours(self) -> str:
        if not self.stage.routed:
            raise NotApplicable("leaves have peers, and no neighbours of their own finding")
        daemons = self.stage.daemons
        wanted = [
            {daemons[near].node for near in (place - 1, place + 1) if 0 <= near < len(daemons)}
            for place in range(len(daemons))
        ]

        def found() -> bool:
            return all(
                {row.get("node") for row in _rows(daemon.ask("neighbours"), "neighbours")} == nodes
                for daemon, nodes in zip(daemons, wanted, strict=True)
            )

        self._expect(found, "not every node found those beside it, and nobody else")
        return "every node hears exactly those beside it; the ends cannot hear each other"

    def _routes(self) -> str:
        if not isinstance(self.stage, RadioStage):
            raise NotApplicable("leaves install no routes")
        stage, end = self.stage, len(NAMES) - 1

        def installed() -> bool:
            ways = [stage.kernel_route(0, place) for place in range(1, len(NAMES))]
            ways.append(stage.kernel_route(end, 0))
            return all(" via " in way or " dev w0" in way for way in ways)

        self._expect(installed, "the kernels did not get their routes")
        self.watch.stop()
        self.teller.quote(stage.kernel_route(0, end))
        answer = self.first.ask("ping", "-c", "1", self.last.node)
        return f"the kernels forward between one and five; ping: {_milliseconds(answer)}"

    def _join(self) -> str:
        self._space = str(self.first.ask("space", "create", SPACE)["space"])
        relay = str(self.first.ask("invite", self._space, "--role", "relay", "--uses", "3")["url"])
        writer = str(self.first.ask("invite", self._space, "--role", "writer")["url"])
        for daemon in self.stage.daemons[1:]:
            with self.stage.beside_first(daemon):
                daemon.ask("join", writer if daemon is self.last else relay)
        told = "joined by link, one after the other; the link holds no key that reads"
        return told if self.stage.routed else f"{told}; each went to one for that, and came back"

    def _note(self) -> str:
        space = self._need_space()
        reader = self.last.follow(space)
        try:
            self._post(self.last, HELLO_NOTE)
            self._expect(lambda: HELLO_NOTE in reader.seen, "five cannot read its own note")
            self.watch.restart()
            self._post(self.first, FIRST_NOTE)
            self._expect(lambda: FIRST_NOTE in reader.seen, "the note did not arrive")
            self.watch.stop(reader.seen[FIRST_NOTE])
        finally:
            reader.close()
        return f"five reads: “{FIRST_NOTE}” (timed from the start of the command on one)"

    def _cut(self) -> str:
        self._need_space()
        self.stage.cut()
        self._post(self.first, NORTH_NOTE)
        self._post(self.last, SOUTH_NOTE)
        north, south = self._notes(self.first), self._notes(self.last)
        if SOUTH_NOTE in north or NORTH_NOTE in south:
            raise StepError("a note crossed the cut")
        if NORTH_NOTE not in north or SOUTH_NOTE not in south:
            raise StepError("a half cannot read its own note")
        if self.stage.routed and self._answers(self.first, self.last):
            raise StepError("a ping crossed the cut")
        return "one and five write on, each in its own half, and hear nothing of each other"

    def _islands(self) -> str:
        if not isinstance(self.stage, RadioStage):
            raise NotApplicable("leaves install no routes")
        stage, end = self.stage, len(NAMES) - 1
        three, four = stage.daemons[MIDDLE : MIDDLE + 2]
        stage.plug_radios()

        def heard() -> bool:
            pairs = ((three, four), (four, three))
            return all(other.node in _radio_neighbours(one) for one, other in pairs)

        def routed() -> bool:
            return " via " in stage.kernel_route(0, end) and self._answers(self.first, self.last)

        def noted() -> bool:
            return NORTH_NOTE in self._notes(self.last)

        self._expect(heard, "three and four do not hear each other by LoRa", LORA_WITHIN_S)
        found = self.watch.seconds
        self._expect(routed, "WiFi is not given up, and five answers one no ping", LORA_WITHIN_S)
        reached = self.watch.seconds
        self._joined = True
        self._expect(noted, "five lacks the note of the north", LORA_WITHIN_S)
        self.watch.stop()
        self.teller.quote(stage.kernel_route(0, end))
        return (
            f"they hear each other after {found:.0f} s; silent WiFi is given up, and five answers"
            f" one over a LoRa hop, after {reached:.0f} s; then five has the note of the north too"
        )

    def _two_speeds(self) -> str:
        space = self._need_space()
        if not isinstance(self.stage, RadioStage):
            raise NotApplicable("leaves have no radios here")
        if not self._joined:
            raise StepError("three and four are not joined by LoRa")
        self._large_file()
        waiting = "four does not say what the file waits for"
        self._expect(lambda: bool(self._why_waiting()), waiting, LORA_WITHIN_S)
        self.teller.quote(f"four: {self._why_waiting()}")
        reader = self.last.follow(space)
        try:
            self._expect(lambda: SOUTH_NOTE in reader.seen, "five cannot read its own note")
            self.watch.restart()
            self._post(self.first, RADIO_NOTE)
            self._expect(
                lambda: RADIO_NOTE in reader.seen, "the note did not arrive", LORA_WITHIN_S
            )
            self.watch.stop(reader.seen[RADIO_NOTE])
        finally:
            reader.close()
        if not self._why_waiting():
            raise StepError("four does not say any more that the file waits for WiFi")
        return "five reads it; the file waits for WiFi still, as four says where LoRa ends"

    def _why_waiting(self) -> str:
        """Return what four says of the file, once it knows of it and that it waits for WiFi."""
        rows = _rows(self.stage.daemons[MIDDLE + 1].ask("get", self._need_space()), "files")
        whys = [str(row.get("why", "")) for row in rows if row.get("state") == "waits-for-wifi"]
        return whys[0] if whys else ""

    def _heal(self) -> str:
        self._need_space()
        self.stage.heal()
        self.watch.restart()

        def equal() -> bool:
            return set(self._notes(self.first)) == set(self._notes(self.last)) == self._posted

        self._expect(equal, "the ends do not hold the same notes")
        return f"both ends hold the same {len(self._posted)} notes"

    def _file(self) -> str:
        space, source = self._need_space(), self._large_file()
        target = self.stage.folder / "got.txt"
        self.watch.restart()

        def got() -> bool:
            try:
                self.last.ask("get", space, FILE_NAME, str(target))
            except CommandError as error:
                if error.code != Exit.NOT_FOUND:
                    raise
                return False
            return True

        self._expect(got, "the file did not arrive")
        seconds = self.watch.stop()
        if sha256(source) != sha256(target):
            raise StepError("the file that arrived is not the file that was put")
        return f"8 MiB, encrypted end to end, {FILE_BYTES * 8 / seconds / 1e6:.0f} Mbit/s"

    def _search(self) -> str:
        self._need_space()
        got = self.stage.folder / "got.txt"
        if got.exists() and not find_text([got], FILE_LINE.decode().strip()):
            raise StepError("the search does not find what is there")
        relays = self.stage.daemons[1:-1]
        files = [path for daemon in relays for path in files_below(daemon.state)]
        size = sum(len(read(path)) for path in files)
        for secret in SECRETS:
            if found := find_text(files, secret):
                raise StepError(f"“{secret}” stands in {found}")
        if size < FILE_BYTES:
            raise StepError(f"the relays hold {size} bytes only: they did not carry the file")
        return f"three disks, {size / 1e6:.1f} MB of this space: not one word of it"

    def _status(self) -> str:
        if not mosquitto():
            line = "mosquitto is not installed: sudo apt-get install mosquitto mosquitto-clients"
            raise NotApplicable(line, left_out=True)
        topic = f"meshd/v1/+/{self.last.node}/#"
        topics: dict[str, str] = {}

        def complete() -> bool:
            for name, payload in self.stage.subscribe(topic, count=4, wait_s=2):
                topics[name.rsplit("/", 1)[1]] = payload
            whole = {"availability", "info", "state", "neighbours"} <= topics.keys()
            return whole and topics["availability"] == "online"

        self._expect(complete, "the broker has not all of five")
        self.watch.stop()
        state = json.loads(topics["state"])
        if state.get("id") != self.last.node:
            raise StepError(f"the state is of {state.get('id')}")
        self.teller.quote(f"{topic[:-1]}state {topics['state']}")
        where = "from across the mesh" if self.stage.routed else "over the loopback"
        return f"five is online and reports {where}: {len(topics)} topics, retained"

    # --- helpers ------------------------------------------------------------------------------

    def _expect(
        self, condition: Callable[[], bool], otherwise: str, within_s: float = WITHIN_S
    ) -> None:
        def came() -> bool:
            if condition():
                return True
            if ended := self.stage.ended():
                raise StepError(f"{otherwise}: {ended}")
            return False

        if wait_for(came, PATIENCE_S):
            return
        self.teller.still_waiting(otherwise)
        if not wait_for(came, within_s - PATIENCE_S):
            raise StepError(f"{otherwise} within {within_s:.0f} s")

    def _need_space(self) -> str:
        if not self._space:
            raise StepError("there is no space to do it in")
        return self._space

    def _large_file(self) -> Path:
        """Put the file on one, if that is not done yet; return where it lies."""
        source = self.stage.folder / FILE_NAME
        if not source.exists():
            source.write_bytes(FILE_LINE * (FILE_BYTES // len(FILE_LINE)))
            self.first.ask("put", self._need_space(), str(source))
        return source

    def _post(self, daemon: Daemon, note: str) -> None:
        daemon.ask("post", self._need_space(), note)
        self._posted.add(note)

    def _answers(self, one: Daemon, other: Daemon) -> bool:
        try:
            one.ask("ping", "-c", "1", other.node)
        except CommandError as error:
            if error.code != Exit.TIMEOUT:
                raise
            return False
        return True

    def _notes(self, daemon: Daemon) -> list[str]:
        rows = _rows(daemon.ask("log", self._space), "entries")
        return [str(row["text"]) for row in rows if row.get("kind") == "post"]


def _rows(value: Json, key: str) -> list[dict[str, object]]:
    listed = value.get(key)
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _radio_neighbours(daemon: Daemon) -> set[object]:
    rows = _rows(daemon.ask("neighbours"), "neighbours")
    return {row.get("node") for row in rows if row.get("snr_db") is not None}


def _milliseconds(answer: Json) -> str:
    taken = answer.get("rtt_ms")
    times = taken if isinstance(taken, list) else [taken]
    known = [float(item) for item in times if isinstance(item, int | float)]
    return f"{min(known):.1f} ms there and back" if known else "answered"
