"""status, neighbours, routes, watch: what the running daemon knows."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from meshd.cli.client import Client
from meshd.cli.main import Command
from meshd.cli.output import (
    common,
    connect,
    print_json,
    say,
    show,
    talk,
    use_colour,
)
from meshd.core.errors import Exit, RequestError
from meshd.status.cells import Row, clean, grouped, rows_of
from meshd.status.text import neighbours_text, routes_text, status_text

_OWN_MESSAGES = ("message-state",)
"""Notices of what became of an own message: `node` is its receiver."""

ASK_AGAIN_S = 2.0
"""Many may speak in a space before their names are known: one question is for all of them."""

Value = dict[str, object]


def add_status(parser: ArgumentParser) -> Command:
    """Add the options of `meshd status`."""
    common(parser, timeout_s=10.0)
    parser.add_argument("--check", action="store_true", help="exit 8 when something is not well")
    return _status


def _status(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("status")
    show(options, "status", value, "" if options.json else status_text(value), paint=_coloured)
    means = ("links", "radios", "sessions", "problems")
    if not options.json and not any(rows_of(value, key) for key in means):
        talk(
            "no interface, no radio and no peer is given: this node looks for nobody, and meets"
            " only who names this one as its --peer"
        )
    return Exit.DEGRADED if options.check and value.get("problems") else Exit.OK


def _coloured(text: str) -> str:
    """Colour the first word, and make the titles stand out, on a terminal."""
    if not use_colour():
        return text
    word, rest = text.split(" ", 1)
    lines = [f"\x1b[{32 if word == 'OK' else 33}m{word}\x1b[0m {rest.splitlines()[0]}"]
    for line in rest.splitlines()[1:]:
        title = line.isalpha()
        lines.append(f"\x1b[1m{line}\x1b[0m" if title else line)
    return "\n".join(lines)


def add_neighbours(parser: ArgumentParser) -> Command:
    """Add the options of `meshd neighbours`."""
    common(parser, timeout_s=10.0)
    return _neighbours


def _neighbours(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("neighbours")
    text = neighbours_text(value)
    if not text and not options.json:
        talk("no neighbours yet; meshd status shows whether links and radios are up, and as what")
    show(options, "neighbours", value, text)
    return Exit.OK


def add_routes(parser: ArgumentParser) -> Command:
    """Add the options of `meshd routes`."""
    common(parser, timeout_s=10.0)
    return _routes


def _routes(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("routes")
    text = routes_text(value)
    if not text and not options.json:
        talk("no routes yet; meshd neighbours shows who is heard")
    show(options, "routes", value, text)
    return Exit.OK


def add_watch(parser: ArgumentParser) -> Command:
    """Add the options of `meshd watch`."""
    common(parser)
    return _watch


def _watch(options: Namespace) -> int:
    names = Names(options)
    with connect(options) as client:
        talk("watching; Ctrl-C ends it")
        for notice in client.watch():
            if options.json:
                print_json("notice", {"time": round(time.time(), 3), **notice})
                continue
            say(f"{time.strftime('%H:%M:%S')} {notice_text(notice, names)}")
    return Exit.OK


class Names:
    """The names of spaces, and of their members, asked of the daemon when an unknown comes up.

    What has no name yet may get one: it is asked for again, at most once in `ASK_AGAIN_S`.
    """

    def __init__(self, options: Namespace, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._spaces: dict[object, object] = {}
        self._members: dict[tuple[object, object], object] = {}
        self._asked_s: dict[tuple[str, object], float] = {}

    def of(self, space: object) -> str:
        """Return a space's name, or the beginning of its id."""
        if space not in self._spaces and self._may_ask("space", space):
            with connect(self._options) as client:
                rows = rows_of(client.call("space.list"), "spaces")
            self._spaces |= {row.get("space"): row["name"] for row in rows if row.get("name")}
        return clean(self._spaces.get(space) or str(space)[:16])

    def person(self, space: object, key: object) -> str:
        """Return what the members of a space call an author or a node, "" where they do not."""
        if not space or not key:
            return ""
        if (space, key) not in self._members and self._may_ask("members", space):
            with connect(self._options) as client:
                rows = rows_of(self._ask(client, space), "members")
            for row in rows:
                for one in (row.get("author"), row.get("node")):
                    if one and row.get("name"):
                        self._members[space, one] = row["name"]
        return clean(self._members.get((space, key)) or "")

    def _may_ask(self, what: str, space: object) -> bool:
        """Tell whether the last question was long enough ago; if so, this is one."""
        now_s, asked_s = self._clock(), self._asked_s.get((what, space))
        if asked_s is not None and now_s < asked_s + ASK_AGAIN_S:
            return False
        self._asked_s[what, space] = now_s
        return True

    def _ask(self, client: Client, space: object) -> Value:
        try:
            return client.call("space.members", {"space": space})
        except RequestError:  # a relay cannot read who is in it
            return {}


def notice_text(notice: Row, names: Names) -> str:
    """Return one notice as a person reads it: what, in which space, from whom, and the rest."""
    found = notice.get("fields")
    fields = dict(found) if isinstance(found, dict) else {}
    said = ("! " if notice.get("warning") else "") + clean(notice.get("kind"))
    if notice.get("missed"):
        said = f"({clean(notice['missed'])} were missed) {said}"
    space = fields.pop("space", None)
    if space:
        said += f" in {names.of(space)}"
    author, node = fields.pop("author", None), fields.pop("node", None)
    if node or author:
        way = "to" if notice.get("kind") in _OWN_MESSAGES else "from"
        who = names.person(space, author) or names.person(space, node)
        who = who or clean(grouped(node) or str(author)[:16])
        said += f" {way} {who}"
    if notice.get("kind") == "entry":
        mine = " (own)" if fields.get("own") else ""
        return f"{said}: {clean(fields.get('entry_kind', '-'))}{mine}"
    if notice.get("kind") == "distress":
        return f"{said}: a call for help, ahead of its order; `meshd log` shows it"
    shown = ", ".join(f"{clean(key)} {clean(item)}" for key, item in fields.items())
    return f"{said}: {shown}" if shown else said
