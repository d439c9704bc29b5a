"""post, log: people's words in a space.

Enters: what is written, entries and what is known of them. Leaves: entries as lines for people.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping

from meshd.cli.client import GRACE_S, Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import (
    SPACE_HELP,
    awaited,
    common,
    connect,
    positive,
    print_json,
    say,
    show,
    show_late,
    talk,
)
from meshd.core.errors import Exit, RequestError
from meshd.core.limits import ENTRY_PAYLOAD_MAX
from meshd.status.cells import Row, clean, grouped, number, rows_of, size, when
from meshd.status.text import waits_of

WAIT_S = 60.0
_TEXT_BYTES_MAX = 1 << 20

Value = dict[str, object]


def add_post(parser: ArgumentParser) -> Command:
    """Add the options of `meshd post`."""
    common(parser, timeout_s=WAIT_S)
    parser.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    parser.add_argument("text", metavar="TEXT", help="what to write; - reads standard input")
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--to", metavar="NODE", help="a message to this member, not to all")
    whom.add_argument(
        "--distress",
        action="store_true",
        help="a call for help: goes before all else by LoRa; once in ten minutes, 320 bytes",
    )
    parser.add_argument(
        "--wait",
        type=_wait_for,
        metavar="kept:N|delivered",
        help="until N relays hold it under a lease, or a receiver acknowledged it",
    )
    return _post


def _wait_for(text: str) -> Value:
    """Parse `kept:N` or `delivered` to arguments of the verb wait."""
    if text == "delivered":
        return {"delivered": True}
    word, _, amount = text.partition(":")
    if word == "kept" and amount.isascii() and amount.isdigit() and 1 <= int(amount[:4]) <= 255:
        return {"kept": int(amount[:4])}
    raise ArgumentTypeError(f'"{text}" is not kept:N or delivered')


def _post(options: Namespace) -> int:
    text = standard_input() if options.text == "-" else options.text
    if (length := len(os.fsencode(text))) > ENTRY_PAYLOAD_MAX:
        raise RequestError(
            f"the text has {size(length)}, a post holds {size(ENTRY_PAYLOAD_MAX)}",
            code=Exit.USAGE,
            remedy=f"send it as a file: meshd put {options.space} FILE",
        )
    args: Value = {"space": options.space, "text": text}
    if options.to:
        args["to"] = options.to
    if options.distress:
        args["distress"] = True
    timeout_s = options.timeout or WAIT_S
    with Client(state_dir(options.state_dir), timeout_s=timeout_s + GRACE_S) as client:
        value = client.call("post", args)
        late: RequestError | None = None
        if options.wait:
            kept = options.wait.get("kept")
            what = f"kept by {kept}" if kept else "delivered"
            talk(f"written; {awaited(what, timeout_s)}")
            wait: Value = {"space": value.get("space", options.space), "seq": value.get("seq")}
            wait |= {**options.wait, "timeout_s": timeout_s}
            if options.to:
                wait["to"] = options.to
            try:
                value |= client.call("wait", wait)
            except RequestError as error:
                late = error
    if late:
        show_late(options, "post", value, late)
        raise late
    show(options, "post", value, "")
    waits = f"; {clean(value['waits'])}" if value.get("waits") else ""
    talk(f"written{_promises(value)}{waits}")
    return Exit.OK


def _promises(value: Row) -> str:
    kept, delivered = value.get("kept_by"), value.get("delivered_to")
    words = ""
    if isinstance(kept, list):
        words += f", kept by {len(kept)}"
    if isinstance(delivered, list):
        words += f", delivered to {len(delivered)}"
    return words


def standard_input() -> str:
    """Return what stands on standard input. Raises: RequestError for no text, or too much."""
    data = sys.stdin.buffer.read(_TEXT_BYTES_MAX + 1)
    if len(data) > _TEXT_BYTES_MAX:
        raise RequestError("the text is too long", remedy="send it as a file: meshd put")
    try:
        return data.decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise RequestError(
            "standard input is not UTF-8 text",
            code=Exit.USAGE,
            remedy="send it as a file: meshd put",
        ) from error


# --- log ------------------------------------------------------------------------------------------


def add_log(parser: ArgumentParser) -> Command:
    """Add the options of `meshd log`."""
    common(parser, timeout_s=30.0)
    parser.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    parser.add_argument(
        "-n", "--limit", type=positive, default=50, metavar="N", help="the newest N; default 50"
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="then show new ones as they come; with --json one object a line",
    )
    return _log


def _log(options: Namespace) -> int:
    args: Value = {"space": options.space, "limit": options.limit}
    if options.follow:
        return _follow(options, args)
    with connect(options) as client:
        value = client.call("log", args)
        rows = rows_of(value, "entries")
        files = {} if options.json else _files_shown(client, options.space, rows)
    if rows and all("sealed" in row for row in rows) and not options.json:
        talk(f"this node only carries {clean(options.space)} as a relay and cannot read it")
        return Exit.OK
    rows += rows_of(value, "ahead")
    show(options, "log", value, "\n".join(entry_text(row, files) for row in rows))
    if value.get("more"):
        talk("older entries are left out; --limit shows more")
    for said in waits_of(value):
        talk(clean(said))
    return Exit.OK


def _files_shown(client: Client, space: str, rows: list[Row]) -> dict[object, Row]:
    """Return what is known of files, by their entries, where an own one is shown."""
    if not any("file" in row and (row.get("written") or row.get("delivered_to")) for row in rows):
        return {}
    try:
        files = rows_of(client.call("files", {"space": space}), "files")
    except RequestError:  # they are still being read; the log is told all the same
        return {}
    return {(row.get("author"), row.get("seq")): row for row in files}


def _follow(options: Namespace, args: Value) -> int:
    """Watch first, then read: what comes between is not missed."""
    with connect(options) as watching, connect(options) as client:
        notices = watching.watch()
        value = client.call("log", args)
        ahead: list[Row] = []
        while True:
            early = [row for row in rows_of(value, "ahead") if row not in ahead]
            ahead = rows_of(value, "ahead")
            for row in (*rows_of(value, "entries"), *early):
                if options.json:
                    print_json("entry", dict(row))
                else:
                    say(entry_text(row))
            cursor = value.get("cursor")
            for notice in notices:
                if _is_news(notice, value.get("space"), cursor):
                    break
            else:
                return Exit.OK
            value = client.call("log", {**args, "limit": 500, "after": cursor or {}})


def _is_news(notice: Row, space: object, cursor: object) -> bool:
    """Tell whether a notice is of an entry that was not read yet; missed notices may be."""
    if notice.get("missed"):
        return True
    fields = notice.get("fields")
    if notice.get("kind") not in ("entry", "distress") or not isinstance(fields, dict):
        return False
    known = cursor if isinstance(cursor, dict) else {}
    seen = known.get(fields.get("author"), 0)
    return fields.get("space") == space and number(fields, "seq") > seen


def entry_text(row: Row, files: Mapping[object, Row] | None = None) -> str:
    """Return one entry as a person reads it; further lines of a text are indented.

    `files` says how far own files came; an entry tells of a file's notice alone.
    """
    who = clean(row.get("by") or grouped(row.get("node")) or str(row.get("author", "-"))[:16])
    if row.get("to"):
        who += f" to {grouped(row['to'])}"
    if "text" in row:
        lines = str(row["text"]).splitlines() or [""]
        said = "\n    ".join(clean(line) for line in lines)
        said += f"\n    … {row['cut']} characters in all" if row.get("cut") else ""
        said = f"DISTRESS {said}" if row.get("kind") == "distress" else said
    elif "file" in row:
        said = f"file {clean(row['file'])} ({size(number(row, 'size'))})"
    elif "sealed" in row:
        said = f"({size(number(row, 'sealed'))} that this node cannot read)"
    else:
        said = f"(damaged: {clean(row.get('damaged', 'unknown'))})"
    marks = _marks(row, files or {})
    if row.get("kind") == "distress" and row.get("own") and not marks:
        marks = ["nobody said yet to have it"]
    return f"{when(row.get('time'))}  {who}: {said}" + (f"  [{', '.join(marks)}]" if marks else "")


def _marks(row: Row, files: Mapping[object, Row]) -> list[str]:
    if "file" in row:
        return _file_marks(row, files.get((row.get("author"), row.get("seq")), {}))
    marks = [f"kept by {row['kept']}"] if row.get("kept") else []
    if row.get("ahead"):
        marks.append("ahead of its order: what was written before it is not here yet")
    reached = row.get("delivered_to")
    if row.get("delivered"):
        marks.append("delivered")
    elif reached and isinstance(reached, list) and "delivered" not in row:
        marks.append(f"delivered to {len(reached)}")
    return marks


def _file_marks(row: Row, file: Row) -> list[str]:
    """Return how far a file came: who holds its entry knows of it, and may hold no byte of it."""
    complete, reached = file.get("complete_at"), row.get("delivered_to")
    marks = [f"complete at {len(complete)}"] if complete and isinstance(complete, list) else []
    marks += [f"kept by {number(file, 'kept_by')}"] if file.get("kept_by") else []
    if reached and isinstance(reached, list):
        marks.append(f"notice delivered to {len(reached)}")
    elif row.get("kept"):
        marks.append(f"notice kept by {row['kept']}")
    marks += [clean(file["giving"])] if file.get("giving") else []
    return marks
