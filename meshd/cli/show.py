"""status, neighbours, routes, ping, watch: what the running daemon knows."""

import time
from argparse import ArgumentParser, Namespace

from meshd.cli.client import Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import (
    common,
    connect,
    positive,
    print_json,
    say,
    seconds,
    show,
    talk,
    use_colour,
)
from meshd.core.errors import Exit, RequestError
from meshd.status.text import (
    Row,
    clean,
    grouped,
    neighbours_text,
    routes_text,
    rows_of,
    status_text,
)

Value = dict[str, object]

_LAST_ECHO_S = 10.0
_ECHO_S = 65.0
"""More than the daemon waits for an answer by LoRa, and for a key that it needs before."""


def add_status(parser: ArgumentParser) -> Command:
    """Add the options of `meshd status`."""
    common(parser, timeout_s=10.0)
    parser.add_argument("--check", action="store_true", help="exit 8 when something is not well")
    return _status


def _status(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("status")
    show(options, "status", value, "" if options.json else status_text(value), paint=_coloured)
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
        talk("no neighbours yet; meshd status shows whether the links are up")
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
                print_json("notice", notice)
                continue
            say(f"{time.strftime('%H:%M:%S')} {notice_text(notice, names)}")
    return Exit.OK


class Names:
    """The names of spaces by their id, asked of the daemon when an unknown one comes up."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._known: dict[object, object] = {}

    def of(self, space: object) -> str:
        """Return a space's name, or the beginning of its id."""
        if space not in self._known:
            with connect(self._options) as client:
                rows = rows_of(client.call("space.list"), "spaces")
            self._known |= {space: None, **{row.get("space"): row.get("name") for row in rows}}
        return clean(self._known[space] or str(space)[:16])


def notice_text(notice: Row, names: Names) -> str:
    """Return one notice as a person reads it: what, in which space, from whom, and the rest."""
    found = notice.get("fields")
    fields = dict(found) if isinstance(found, dict) else {}
    said = ("! " if notice.get("warning") else "") + clean(notice.get("kind"))
    if notice.get("missed"):
        said = f"({clean(notice['missed'])} were missed) {said}"
    if space := fields.pop("space", None):
        said += f" in {names.of(space)}"
    author, node = fields.pop("author", None), fields.pop("node", None)
    if node or author:
        said += f" from {clean(grouped(node) or str(author)[:16])}"
    if notice.get("kind") == "entry":
        mine = " (own)" if fields.get("own") else ""
        return f"{said}: {clean(fields.get('entry_kind', '-'))}{mine}"
    shown = ", ".join(f"{clean(key)} {clean(item)}" for key, item in fields.items())
    return f"{said}: {shown}" if shown else said


def add_ping(parser: ArgumentParser) -> Command:
    """Add the options of `meshd ping`."""
    common(parser)
    parser.add_argument("node", metavar="NODE", help="a node's id, or its address")
    parser.add_argument("-c", "--count", type=positive, default=4, metavar="N", help="default 4")
    parser.add_argument(
        "--interval", type=seconds, default=1.0, metavar="SECONDS", help="between pings; default 1"
    )
    return _ping


def _ping(options: Namespace) -> int:
    whom: Value = {"address" if ":" in options.node else "node": options.node}
    times: list[float] = []
    value: Value = {}
    silent: RequestError | None = None
    # People see each answer as it comes; a script gets all of them at the end.
    steps = 1 if options.json else options.count
    for step in range(steps):
        if step:
            time.sleep(options.interval)
        args = {**whom, "count": options.count // steps, "interval_s": options.interval}
        try:
            value = _echo(options, args)
        except RequestError as error:
            if error.code is not Exit.TIMEOUT:
                raise
            silent = error
            talk(f"{clean(options.node)}: no answer")
            continue
        answered = [item for item in _times(value) if isinstance(item, int | float)]
        times += answered
        if not options.json:
            said = f" by {clean(value['medium'])}" if value.get("medium") else ""
            hops = value.get("hops")
            said += f", {clean(hops)} hop{'s' * (hops != 1)}" if hops else ""
            say("\n".join(f"{value.get('address')}: {item:.1f} ms{said}" for item in answered))
    if silent and not times:
        raise _unanswered(options, silent)
    rtt_ms = sorted(times)[len(times) // 2] if times else None
    show(options, "ping", {**value, "rtt_ms": rtt_ms, "rtts_ms": times}, "")
    talk(f"{len(times)} of {options.count} answered")
    return Exit.OK


def _echo(options: Namespace, args: Value) -> Value:
    waits_s = options.count * (options.interval + _ECHO_S) + _LAST_ECHO_S
    with Client(state_dir(options.state_dir), timeout_s=waits_s) as client:
        return client.call("ping", args)


def _unanswered(options: Namespace, silent: RequestError) -> RequestError:
    """Say how many echoes found no answer in all, and what a leaf cannot do."""
    with connect(options) as client:
        status = client.call("status")
    leaf = status.get("mode") == "leaf"
    remedy = (
        "this node is a leaf: it has no routes by WiFi or cable, and reaches others by LoRa alone;"
        " `meshd neighbours` shows whom"
        if status.get("radios")
        else "this node is a leaf: it syncs with its neighbours and peers, but has no routes to"
        " ping by; run as root without --leaf, it has"
    )
    echoes = "1 echo" if options.count == 1 else f"{options.count} echoes"
    return RequestError(
        f"no answer from {clean(options.node)} to {echoes}",
        code=Exit.TIMEOUT,
        remedy=remedy if leaf else silent.remedy,
    )


def _times(value: Value) -> list[object]:
    listed = value.get("rtt_ms")
    return listed if isinstance(listed, list) else []
