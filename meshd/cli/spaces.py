"""space, invite, join, post, log: people's words in a space."""

import os
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping

from meshd.cli.client import GRACE_S, Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import (
    SPACE_HELP,
    Waits,
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
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.limits import ENTRY_PAYLOAD_MAX, INVITATION_START
from meshd.status.cells import Row, clean, count, grouped, number, rows_of, size, table
from meshd.status.text import waits_of
from meshd.wire.invitation import decode_link

JOIN_S = 60.0
WAIT_S = 60.0
AS_HELP = "what its members call you; default: the name of this node, if it has one"
_NAMELESS = "you have no name there: members see this node's id instead"
_ROLES = ("reader", "writer", "admin", "relay")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_TEXT_BYTES_MAX = 1 << 20

Value = dict[str, object]


# --- space ----------------------------------------------------------------------------------------


def add_space(parser: ArgumentParser) -> Command:
    """Add `meshd space create|list|members`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|members")
    create = verbs.add_parser("create", help="create a space", allow_abbrev=False)
    create.add_argument("name", metavar="NAME", help="what its members call it")
    create.add_argument("--as", dest="person", metavar="NAME", help=AS_HELP)
    listing = verbs.add_parser("list", help="the spaces on this node", allow_abbrev=False)
    members = verbs.add_parser("members", help="who is in a space", allow_abbrev=False)
    members.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    for sub, run in ((create, _create), (listing, _list), (members, _members)):
        common(sub, timeout_s=10.0)
        sub.set_defaults(run=run)
    return _space


def _space(options: Namespace) -> int:
    run: Callable[[Namespace], int] = options.run
    return run(options)


def _create(options: Namespace) -> int:
    args: Value = {"name": options.name}
    if options.person:
        args["as"] = options.person
    with connect(options) as client:
        value = client.call("space.create", args)
        nameless = not options.json and _is_nameless(client, value)
    show(options, "space.create", value, clean(value.get("space")))
    talk(f"created {clean(options.name)}; invite others with: meshd invite {options.name!r}")
    if nameless:
        talk(f"{_NAMELESS}; to have one, make the space anew: meshd space create NAME --as YOU")
    return Exit.OK


def _is_nameless(client: Client, told: Value) -> bool:
    """Tell whether members see no name of this node's person in a space."""
    try:
        value = client.call("space.members", {"space": told.get("space")})
    except RequestError:  # a relay cannot read who is in it
        return False
    return any(row.get("own") and not row.get("name") for row in rows_of(value, "members"))


def _list(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("space.list")
    rows = [
        (
            row.get("name"),
            str(row.get("space", ""))[:16],
            row.get("role"),
            row.get("entries"),
            row.get("behind"),
            size(number(row, "bytes")),
        )
        for row in rows_of(value, "spaces")
    ]
    text = table(("name", "id", "role", "entries", "behind", "size"), rows) if rows else ""
    if not rows and not options.json:
        talk("no spaces yet; create one with: meshd space create NAME")
    show(options, "space.list", value, text)
    return Exit.OK


def _members(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("space.members", {"space": options.space})
    rows = [
        (
            row.get("name") or None,
            grouped(row.get("node")),
            row.get("role"),
            "this node" if row.get("own") else "",
        )
        for row in rows_of(value, "members")
    ]
    show(options, "space.members", value, table(("name", "node", "role", ""), rows))
    return Exit.OK


# --- invite and join ------------------------------------------------------------------------------


def add_invite(parser: ArgumentParser) -> Command:
    """Add the options of `meshd invite`."""
    common(parser, timeout_s=10.0)
    parser.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show the invitations of the space")
    what.add_argument("--revoke", metavar="LINK|ID", help="make an invitation void")
    parser.add_argument("--role", choices=_ROLES, default="writer", help="default writer")
    parser.add_argument(
        "--uses", type=positive, default=1, metavar="N", help="how many may use it; default 1"
    )
    parser.add_argument(
        "--expires", type=_life, metavar="7d", help="30m, 12h, 7d, 2w or never; default 7d"
    )
    parser.add_argument("--qr", action="store_true", help="show it as a QR code too")
    return _invite


def _life(text: str) -> int:
    """Parse a time span to seconds; never is 0."""
    if text == "never":
        return 0
    amount, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not amount.isascii() or not amount.isdigit() or not int(amount[:6]):
        raise ArgumentTypeError(f'"{text}" is not a time span; write 30m, 12h, 7d, 2w or never')
    return int(amount[:6]) * unit


def _invite(options: Namespace) -> int:
    if options.list:
        return _invitations(options)
    if options.revoke:
        return _revoke(options)
    args: Value = {"space": options.space, "role": options.role, "uses": options.uses}
    if options.expires is not None:
        args["expires_s"] = options.expires
    with connect(options) as client:
        value = client.call("invite", args)
    url = clean(value.get("url"))
    show(options, "invite", value, url)
    end = value.get("expires")
    until = f"until {when(end)}" if end else "with no end"
    talk(f"for {count(options.uses, options.role)}, {until}; whoever has the link may use it")
    if options.qr:
        _show_qr(url)
    return Exit.OK


def _show_qr(url: str) -> None:
    try:
        import segno
    except ImportError:
        talk(f"no QR code: segno is missing; next: {sys.executable} -m pip install segno")
        return
    # Upper case needs a third less of the code; links are read in either case.
    segno.make(url.upper(), error="m").terminal(out=sys.stderr, compact=True)


def _invitations(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("invite.list", {"space": options.space})
    rows = [
        (
            str(row.get("invite", ""))[:16],
            row.get("role"),
            f"{row.get('used')} of {row.get('uses')}",
            when(row.get("expires")) if row.get("expires") else "never",
            "revoked" if row.get("revoked") else "",
        )
        for row in rows_of(value, "invitations")
    ]
    text = table(("id", "role", "used", "expires", ""), rows) if rows else ""
    if not rows and not options.json:
        talk("no invitations")
    show(options, "invite.list", value, text)
    return Exit.OK


def _revoke(options: Namespace) -> int:
    with connect(options) as client:
        value = client.call("invite.revoke", {"space": options.space, "invite": options.revoke})
    show(options, "invite.revoke", value, "")
    talk("revoked; who is in already stays in, and nodes that did not hear of it may still admit")
    return Exit.OK


def add_join(parser: ArgumentParser) -> Command:
    """Add the options of `meshd join`."""
    common(parser, timeout_s=JOIN_S)
    parser.add_argument(
        "link", metavar="LINK", help="the invitation; - reads it from standard input"
    )
    parser.add_argument("--as", dest="person", metavar="NAME", help=AS_HELP)
    return _join


def _join(options: Namespace) -> int:
    link = sys.stdin.readline().strip() if options.link == "-" else options.link
    timeout_s = options.timeout or JOIN_S
    args: Value = {"url": link, "timeout_s": timeout_s}
    if options.person:
        args["as"] = options.person
    if not link.lower().startswith(INVITATION_START):
        raise RequestError(
            f"{clean(link)!r} is no invitation",
            code=Exit.USAGE,
            remedy=f"a link begins with {INVITATION_START}; a member makes one with:"
            " meshd invite SPACE",
        )
    with Client(state_dir(options.state_dir), timeout_s=timeout_s + GRACE_S) as client:
        if _is_whole(link):
            talk(f"asking the members that can be reached, for up to {timeout_s:g} s …")
        value = client.call("join", args, on_progress=Waits().update)
        nameless = not options.json and _is_nameless(client, value)
    show(options, "join", value, clean(value.get("space")))
    talk(f"joined {clean(value.get('name') or 'the space')}")
    if nameless:
        talk(f"{_NAMELESS}; --as NAME gives one, with the next invitation")
    return Exit.OK


def _is_whole(link: str) -> bool:
    """Tell whether a link is one; what is wrong with another is the daemon's to say."""
    try:
        decode_link(link)
    except WireError:
        return False
    return True


# --- post -----------------------------------------------------------------------------------------


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
    return f"{when(row.get('time'))}  {who}: {said}{_marks(row, files or {})}"


def _marks(row: Row, files: Mapping[object, Row]) -> str:
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
    return f"  [{', '.join(marks)}]" if marks else ""


def _file_marks(row: Row, file: Row) -> str:
    """Return how far a file came: who holds its entry knows of it, and may hold no byte of it."""
    complete, reached = file.get("complete_at"), row.get("delivered_to")
    marks = [f"complete at {len(complete)}"] if complete and isinstance(complete, list) else []
    marks += [f"kept by {number(file, 'kept_by')}"] if file.get("kept_by") else []
    if reached and isinstance(reached, list):
        marks.append(f"notice delivered to {len(reached)}")
    elif row.get("kept"):
        marks.append(f"notice kept by {row['kept']}")
    marks += [clean(file["giving"])] if file.get("giving") else []
    return f"  [{', '.join(marks)}]" if marks else ""


def when(seconds: object) -> str:
    """Return UTC; authors' clocks may lie, and some have none."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 1 << 36:
        return "(no clock)       "
    return time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(seconds))
