"""message, messages: a few words to one node, and what became of them."""

import os
from argparse import ArgumentParser, Namespace

from meshd.cli.client import GRACE_S, Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import awaited, common, connect, positive, show, show_late, talk
from meshd.cli.posts import standard_input
from meshd.core.errors import Exit, RequestError
from meshd.core.limits import MESSAGE_TEXT_MAX
from meshd.status.cells import Row, clean, grouped, rows_of, size, when

WAIT_S = 120.0
_LINES_SHOWN, _LETTERS_SHOWN = 8, 500
_NODE_HELP = "a node's id, or the name of a member of a space that you share"

Value = dict[str, object]


def add_message(parser: ArgumentParser) -> Command:
    """Add the options of `meshd message`."""
    common(parser, timeout_s=WAIT_S)
    parser.add_argument("node", metavar="NODE", help=_NODE_HELP)
    parser.add_argument("text", metavar="TEXT", help="what to say; - reads standard input")
    parser.add_argument(
        "--wait",
        choices=("sent", "delivered", "read"),
        help="until it left this node, is on the receiver's disk, or was seen there",
    )
    return _message


def _message(options: Namespace) -> int:
    text = standard_input() if options.text == "-" else options.text
    if (length := len(os.fsencode(text))) > MESSAGE_TEXT_MAX:
        raise RequestError(
            f"the text has {size(length)}, a message holds {size(MESSAGE_TEXT_MAX)}",
            code=Exit.USAGE,
            remedy="put it as a file into a space that you share: meshd put SPACE FILE",
        )
    args: Value = {"node": options.node, "text": text}
    timeout_s = options.timeout or WAIT_S
    late: RequestError | None = None
    with Client(state_dir(options.state_dir), timeout_s=timeout_s + GRACE_S) as client:
        value = client.call("message", args)
        _doubt(value)
        if options.wait:
            talk(f"{_state(value)}{_waits(value)}; {awaited(options.wait, timeout_s)}")
            wait: Value = {"number": value.get("number"), "state": options.wait}
            try:
                value = client.call("message.wait", {**wait, "timeout_s": timeout_s})
            except RequestError as error:
                late = error
    if late:
        show_late(options, "message", value, late)
        raise late
    show(options, "message", value, "")
    over = value.get("state") in ("delivered", "read")
    more = "" if over else f"; meshd messages shows how far it comes{_undo(value)}"
    talk(f"{_state(value)}{_waits(value)}{more}")
    return Exit.OK


def _doubt(value: Value) -> None:
    """Warn of an id that nobody was ever heard by: it may be mistyped."""
    if value.get("heard") is not False:
        return
    near = grouped(value.get("nearest"))
    meant = f"; did you mean {near}?" if near else "; is it right?"
    talk(f"nothing was heard of {grouped(value.get('node'))} since this node started{meant}")


def _undo(row: Row) -> str:
    """Say how a text is taken back that has not left."""
    number = clean(row.get("number"))
    return f", --cancel {number} takes it back" if row.get("state") == "queued" else ""


def _waits(row: Row) -> str:
    return f"; it {clean(row['waits'])}" if row.get("waits") else ""


def add_messages(parser: ArgumentParser) -> Command:
    """Add the options of `meshd messages`."""
    common(parser, timeout_s=10.0)
    parser.add_argument("node", metavar="NODE", nargs="?", help="only to and from this node")
    parser.add_argument(
        "-n", "--limit", type=positive, default=50, metavar="N", help="the newest N; default 50"
    )
    parser.add_argument(
        "--peek", action="store_true", help="look without counting as having read them"
    )
    parser.add_argument("--full", action="store_true", help="show long texts whole")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--waiting", action="store_true", help="only own ones that are not delivered")
    what.add_argument(
        "--cancel",
        type=positive,
        metavar="NUMBER",
        help="take an own one back that has not left this node; --waiting shows the numbers",
    )
    return _messages


def _messages(options: Namespace) -> int:
    if options.cancel is not None:
        return _cancel(options)
    args: Value = {"limit": options.limit, "peek": options.peek}
    if options.waiting:
        args["waiting"] = True
    if options.node:
        args["node"] = options.node
    with connect(options) as client:
        value = client.call("messages", args)
    rows = rows_of(value, "messages")
    show(
        options, "messages", value, "\n".join(message_text(row, full=options.full) for row in rows)
    )
    if not rows and not options.json:
        none = "no message waits" if options.waiting else "no messages yet"
        talk(f"{none}; write one with: meshd message NODE TEXT")
    if value.get("more"):
        talk("older messages are left out; --limit shows more")
    return Exit.OK


def _cancel(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("message.cancel", {"number": options.cancel})
    show(options, "message", value, "")
    talk(f"{_state(value)}: message {options.cancel} to {grouped(value.get('node'))}")
    return Exit.OK


def message_text(row: Row, *, full: bool = False) -> str:
    """Return one message as a person reads it; further lines of a text are indented.

    Unless `full`, a long text is cut.
    """
    text = str(row.get("text", ""))
    lines = text.splitlines() or [""]
    short = "\n".join(lines[:_LINES_SHOWN])[:_LETTERS_SHOWN].splitlines() or [""]
    shown = lines if full else short
    said = "\n    ".join(clean(line) for line in shown)
    if len("\n".join(shown)) < len("\n".join(lines)):
        said += f" … ({len(text)} characters in all; --full shows them)"
    names = row.get("names")
    known = ", ".join(clean(name) for name in names) if isinstance(names, list) else ""
    other = known or grouped(row.get("node"))
    if row.get("way") == "out":
        number = f"; number {clean(row.get('number'))}" if row.get("state") == "queued" else ""
        state = f"{_state(row)}{_waits(row)}{number}"
        return f"{when(row.get('time'))}  to {other}: {said}  [{state}]"
    new = "" if row.get("read") else "  [new]"
    return f"{when(row.get('time'))}  from {other}: {said}{new}"


def _state(row: Row) -> str:
    """Return what is true of an own message, in words."""
    state, reached = str(row.get("state", "-")), str(row.get("reached", "-"))
    keepers = row.get("kept_by")
    by = ", ".join(str(grouped(node)) for node in keepers) if isinstance(keepers, list) else ""
    words = f"kept by {by}" if state == "kept" and by else clean(state)
    if state == "given up" and reached not in ("-", "queued"):
        words += f" after it was {clean(reached)}"
    return words
