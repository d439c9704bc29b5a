"""A Host that answers from a table, behind the real ControlServer in a thread of its own."""

import asyncio
import os
import threading
from contextlib import contextmanager

from meshd.cli.main import main
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Notice, Progress, Reply
from meshd.core.snapshot import (
    LinkStatus,
    NeighbourStatus,
    NodeSnapshot,
    Problem,
    RouteStatus,
    SessionStatus,
    SpaceStatus,
)
from meshd.runtime.control import ControlServer

NODE = "abcdefghijklmnop"
OTHER = "qrstuvwxyz234567"
FAR = "aaaabbbbccccdddd"
SPACE = "s" * 52
URL = "meshd:join/" + "x" * 40


def snapshot(**changes) -> NodeSnapshot:
    """One node with a bit of everything."""
    fields = {
        "node": NODE,
        "address": "fd7c:38e3:d782::1",
        "mesh": "pq4ohv4c",
        "version": "0.1.0",
        "mode": "router",
        "boot": 7,
        "seq": 12,
        "uptime_s": 3725.5,
        "links": (
            LinkStatus("mesh0", "mesh", "up", "fe80::1", "SAE"),
            LinkStatus("wlan1", "shared", "down"),
        ),
        "neighbours": (
            NeighbourStatus("mesh0", "fe80::2", OTHER, 96, 96, 96, 1.0, 60.2, True),
            NeighbourStatus("mesh0", "fe80::3", None, 300, 65535, 65535, 0.5, 4.0, False),
        ),
        "routes": (
            RouteStatus(
                "fd7c:38e3:d782::2/128", OTHER, "mesh0", "fe80::2", 96, 3, "00:01", True, True, 59.0
            ),
            RouteStatus(
                "fd7c:38e3:d782::3/128", FAR, "mesh0", "fe80::2", 192, 9, "00:02", True, True, 58.0
            ),
        ),
        "sessions": (SessionStatus(OTHER, "mesh0", "up", 55.0, 1000, 2000),),
        "spaces": (SpaceStatus(SPACE, "garden", "writer", 2, 40, 0, 8200, (), (OTHER,), 1),),
        "problems": (),
        "drops": {"unknown-port": {"mesh0": 2, "wlan1": 1}},
    }
    return NodeSnapshot(**{**fields, **changes})


PROBLEM = Problem("disk-full", "the disk is full", "free some space in /var/lib/meshd")

AUTHOR, PEER = "aa" * 32, "bb" * 32
FILE = "f" * 52
WRITTEN = {"space": SPACE, "state": "written"}
SENT = {
    "id": f"{NODE}-7",
    "number": 7,
    "way": "out",
    "node": OTHER,
    "text": "are you there",
    "time": 1795219200,
    "kept_by": [],
}
WHO = {"node": OTHER, "own": False, "heard": True, "names": [], "way": "ip"}
ANSWERS = {
    "who": WHO,
    "ping": {
        "address": "fd7c:38e3:d782::2",
        "sent": 1,
        "received": 1,
        "loss": 0.0,
        "rtt_ms": [12.25],
    },
    "message": {**SENT, "state": "queued", "reached": "queued"},
    "message.cancel": {**SENT, "state": "taken back", "reached": "queued"},
    "message.wait": {**SENT, "state": "delivered", "reached": "delivered"},
    "messages": {
        "messages": [
            {**SENT, "state": "kept", "reached": "kept", "kept_by": [FAR]},
            {**SENT, "state": "given up", "reached": "sent"},
            {
                "id": f"{OTHER}-3",
                "number": 3,
                "way": "in",
                "node": OTHER,
                "text": "yes\nindeed",
                "time": 1795219260,
                "read": False,
            },
        ],
        "more": True,
    },
    "space.create": {**WRITTEN, "name": "garden"},
    "space.list": {
        "spaces": [
            {
                "space": SPACE,
                "name": "garden",
                "role": "owner",
                "feeds": 2,
                "entries": 3,
                "behind": 0,
                "bytes": 900,
                "forks": [],
                "peers": [OTHER],
                "kept_by": 0,
            }
        ]
    },
    "space.members": {
        "space": SPACE,
        "name": "garden",
        "members": [
            {
                "author": AUTHOR,
                "node": NODE,
                "name": "Ada",
                "role": "owner",
                "current": True,
                "own": True,
            },
            {
                "author": PEER,
                "node": OTHER,
                "name": "",
                "role": "relay",
                "current": True,
                "own": False,
            },
        ],
    },
    "invite": {
        "url": URL,
        "invite": "i" * 52,
        "role": "writer",
        "uses": 1,
        "expires": 1795478400,
        "state": "written",
    },
    "invite.list": {
        "space": SPACE,
        "invitations": [
            {
                "invite": "i" * 52,
                "role": "writer",
                "uses": 2,
                "used": 1,
                "expires": None,
                "revoked": True,
            }
        ],
    },
    "invite.revoke": WRITTEN,
    "join": {"space": SPACE, "name": "garden"},
    "post": {**WRITTEN, "author": AUTHOR, "seq": 4},
    "wait": {"seq": 4, "written": True, "kept_by": [OTHER], "delivered_to": []},
    "log": {
        "space": SPACE,
        "name": "garden",
        "more": False,
        "cursor": {AUTHOR: 3, PEER: 2},
        "entries": [
            {
                "author": AUTHOR,
                "node": NODE,
                "by": "Ada",
                "seq": 3,
                "time": 1795219200,
                "kind": "post",
                "own": True,
                "text": "hello",
                "written": True,
                "kept": 2,
            },
            {
                "author": PEER,
                "node": OTHER,
                "by": "",
                "seq": 1,
                "time": None,
                "kind": "message",
                "own": False,
                "to": NODE,
                "text": "two\nlines",
            },
            {
                "author": PEER,
                "node": OTHER,
                "by": "",
                "seq": 2,
                "time": 1795219260,
                "kind": "file",
                "own": False,
                "file": "map.txt",
                "size": 1234567,
            },
        ],
    },
    "files": {
        "files": [
            {
                "file": FILE,
                "name": "map.txt",
                "size": 1234567,
                "chunks": 2,
                "author": PEER,
                "seq": 2,
                "time_s": 1795219260,
                "kept_by": 1,
            }
        ]
    },
}


class FakeHost:
    """Requests in `held` are answered by `finish`; put and get move real bytes."""

    def __init__(self) -> None:
        self.now = snapshot()
        self.answers = dict(ANSWERS)
        self.asked: list[tuple[str, dict]] = []
        self.hold: set[str] = set()
        self.held: list = []
        self.watchers: list = []
        self.files: dict[int, int] = {}
        self.released: list[int] = []
        self.stored = b""
        self.name = "a.bin"
        self.more: dict[str, object] = {}
        self.loop: asyncio.AbstractEventLoop | None = None

    def request(self, verb, args, on_event) -> None:
        self.asked.append((verb, args))
        if verb in self.hold:
            self.held.append(on_event)
        elif verb == "explode":
            raise ZeroDivisionError("on purpose")
        elif isinstance(self.answers.get(verb), RequestError):
            raise self.answers[verb]
        elif verb == "put":
            self.stored = os.pread(self.files[args["handle"]], args["size"], 0)
            on_event(Progress(1, "bytes", args["size"], args["size"]))
            named = {"file": FILE, "name": args["name"], "size": args["size"]}
            on_event(Reply(1, {**WRITTEN, **named, **self.more}))
        elif verb == "get":
            os.pwrite(self.files[args["handle"]], self.stored, 0)
            on_event(Progress(1, "bytes", 1, 2))
            on_event(Reply(1, {"file": FILE, "name": self.name, "size": len(self.stored)}))
        elif verb in self.answers:
            on_event(Reply(1, self.answers[verb]))
        else:
            raise RequestError(f"no verb {verb}", code=Exit.USAGE, remedy="meshd --help")

    def snapshot(self) -> NodeSnapshot:
        return self.now

    def watch(self, on_notice):
        self.watchers.append(on_notice)
        return lambda: self.watchers.remove(on_notice)

    def register_file(self, fd, writable) -> int:
        handle = 100 + len(self.files)
        self.files[handle] = fd
        return handle

    def release_file(self, handle) -> None:
        self.released.append(handle)
        os.close(self.files[handle])

    # --- from the test's thread ---

    def call(self, function, *args):
        """Run `function` in the server's loop and wait for it."""
        done = threading.Event()

        def run():
            function(*args)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def notify(self, kind, **fields):
        self.call(lambda: [tell(Notice(kind, fields)) for tell in list(self.watchers)])


@contextmanager
def served(folder, host=None, **options):
    """Yield (host, server) with the server at `folder`/control.sock."""
    host = host or FakeHost()
    ready = threading.Event()
    stop: list = []
    made: list[ControlServer] = []

    async def main():
        host.loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        stop.append(ended)
        server = ControlServer(os.path.join(folder, "control.sock"), host, **options)
        made.append(server)
        server.start()
        ready.set()
        await ended.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield host, made[0]
    finally:
        host.loop.call_soon_threadsafe(stop[0].set)
        thread.join(10)
        assert not thread.is_alive()


def say(capsys, *arguments: str) -> tuple[int, str, str]:
    """Give a command; return its exit code, and what it said on stdout and on stderr."""
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err
