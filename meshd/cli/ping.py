"""ping: ask a node for an answer, time it, and say what is known when none comes."""

import time
from argparse import ArgumentParser, Namespace

from meshd.cli.client import Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import Waits, common, connect, positive, say, seconds, show, talk
from meshd.core.errors import Exit, RequestError
from meshd.status.causes import silence
from meshd.status.cells import clean, grouped, rows_of

Value = dict[str, object]

_LAST_ECHO_S = 10.0
_ECHO_S = 65.0
"""More than the daemon waits for an answer by LoRa, and for a key that it needs before."""


def add_ping(parser: ArgumentParser) -> Command:
    """Add the options of `meshd ping`."""
    common(parser)
    parser.add_argument(
        "node",
        metavar="NODE",
        help="a node's id, address or name: a member's, or what a neighbour calls itself",
    )
    parser.add_argument("-c", "--count", type=positive, default=4, metavar="N", help="default 4")
    parser.add_argument(
        "--interval", type=seconds, default=1.0, metavar="SECONDS", help="between pings; default 1"
    )
    return _ping


def _ping(options: Namespace) -> int:
    who = _who(options)
    whom: Value = {"node": who["node"]} if who else {"address": options.node}
    if who.get("own"):
        return _own(options, who)
    times: list[float] = []
    value: Value = {}
    silent: RequestError | None = None
    waits = Waits()
    # People see each answer as it comes; a script gets all of them at the end.
    steps = 1 if options.json else options.count
    for step in range(steps):
        if step:
            time.sleep(options.interval)
        args = {**whom, "count": options.count // steps, "interval_s": options.interval}
        try:
            value = _echo(options, args, waits)
        except RequestError as error:
            if error.code is not Exit.TIMEOUT:
                raise
            silent = error
            talk(f"{clean(options.node)}: no answer")
            continue
        answered = [item for item in _times(value) if isinstance(item, int | float)]
        times += answered
        if not options.json:
            say("\n".join(_line(value, item) for item in answered))
    if silent and not times:
        raise _unanswered(options, who, silent)
    rtt_ms = sorted(times)[len(times) // 2] if times else None
    show(options, "ping", {**value, "rtt_ms": rtt_ms, "rtts_ms": times}, "")
    talk(f"{len(times)} of {options.count} answered")
    return Exit.OK


def _who(options: Namespace) -> Value:
    """Ask whom the person means, and say so where that is not plain; {} for a foreign address."""
    try:
        with connect(options) as client:
            who = client.call("who", {"node": options.node})
    except RequestError as error:
        if ":" not in options.node or error.code is not Exit.NOT_FOUND:
            raise
        return {}
    names = [row.get("name") for row in rows_of(who, "names")]
    if options.node == who.get("calls_itself") and options.node not in names:
        talk(
            f"{grouped(who.get('node'))} calls itself {clean(options.node)}; nobody vouches for it"
        )
    if near := grouped(who.get("nearest")):
        options.count = 1  # each try may take half a minute
        talk(f"nothing was heard of {clean(options.node)}, it is asked once; did you mean {near}?")
    return who


def _own(options: Namespace, who: Value) -> int:
    with connect(options) as client:
        value = client.call("ping", {"node": who["node"], "count": 1})
    show(options, "ping", {**value, "rtt_ms": 0.0, "rtts_ms": [0.0]}, "")
    talk(f"{clean(options.node)} is this node itself: it is there")
    return Exit.OK


def _echo(options: Namespace, args: Value, waits: Waits) -> Value:
    waits_s = options.count * (options.interval + _ECHO_S) + _LAST_ECHO_S
    with Client(state_dir(options.state_dir), timeout_s=waits_s) as client:
        return client.call("ping", args, on_progress=waits.update)


def _line(value: Value, rtt_ms: float) -> str:
    said = f" by {clean(value['medium'])}" if value.get("medium") else ""
    hops = value.get("hops")
    said += f", {clean(hops)} hop{'s' * (hops != 1)}" if hops else ""
    return f"{value.get('address')}: {rtt_ms:.1f} ms{said}"


def _unanswered(options: Namespace, who: Value, silent: RequestError) -> RequestError:
    """Say how many echoes found no answer in all, and why that may be; a script gets counts."""
    why, remedy = "", silent.remedy
    if who:
        with connect(options) as client:
            why, remedy = silence(client.call("status"), client.call("who", {"node": who["node"]}))
    echoes = "1 echo" if options.count == 1 else f"{options.count} echoes"
    text = f"no answer from {clean(options.node)} to {echoes}{': ' if why else ''}{why}"
    if options.json:
        counts: Value = {"sent": options.count, "received": 0, "loss": 1.0, "rtts_ms": []}
        told: Value = {"error": text, "code": int(Exit.TIMEOUT), "remedy": remedy}
        show(options, "ping", {**counts, **told}, "")
    return RequestError(text, code=Exit.TIMEOUT, remedy=remedy)


def _times(value: Value) -> list[object]:
    listed = value.get("rtt_ms")
    return listed if isinstance(listed, list) else []
