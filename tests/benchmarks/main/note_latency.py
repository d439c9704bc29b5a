"""How long a note takes from written on node 1 until it is visible on node 5, over four hops."""

import threading
import time
from contextlib import suppress
from statistics import median

from daemons.field import Field, line
from daemons.routers import Meshd
from report import Figure

from meshd.cli.client import Client
from meshd.core.errors import RequestError
from meshd.lab.daemons import wait_for

NOTES = 20
PAUSE_S = 0.3
WITHIN_S = 10.0


class Reader(threading.Thread):
    """Reads the log at each notice of a node, and remembers when a text was first there."""

    def __init__(self, state: str, space: str) -> None:
        super().__init__(daemon=True)
        self._state = state
        self._space = space
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        ended = suppress(RequestError)
        with ended, Client(self._state) as notices, Client(self._state) as asking:
            for _ in notices.watch():
                rows = asking.call("log", {"space": self._space, "limit": 5})["entries"]
                now = time.monotonic()
                for row in rows:
                    self.seen.setdefault(str(row.get("text")), now)


def measure() -> list[Figure]:
    """Write notes one by one and take the median."""
    with Field(Meshd, line(5)) as field:
        field.start()
        daemons = [router.daemon for router in field.routers]
        space = str(daemons[0].ask("space", "create", "bench")["space"])
        relay = str(daemons[0].ask("invite", space, "--role", "relay", "--uses", "3")["url"])
        writer = str(daemons[0].ask("invite", space, "--role", "writer")["url"])
        for daemon in daemons[1:4]:
            daemon.ask("join", relay)
        daemons[4].ask("join", writer)
        reader = Reader(str(daemons[4].state), space)
        reader.start()
        taken = []
        with Client(str(daemons[0].state)) as writing:
            for number in range(NOTES):
                text = f"note {number}"
                writing.call("post", {"space": space, "text": text})
                written = time.monotonic()
                if not wait_for(lambda text=text: text in reader.seen, WITHIN_S):
                    raise RequestError(f"{text} did not arrive")
                taken.append(1000 * max(0.0, reader.seen[text] - written))
                time.sleep(PAUSE_S)
    how = f"median of {NOTES} from the reply of post; worst {max(taken):.0f}; three blind relays"
    return [Figure("note over four hops", median(taken), "ms", 200, how)]
