"""space, invite, join: which spaces there are, and who is in them."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable

from meshd.cli.client import GRACE_S, Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import SPACE_HELP, Waits, common, connect, positive, show, talk
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.limits import INVITATION_START
from meshd.status.cells import clean, count, grouped, number, rows_of, size, table, when
from meshd.wire.invitation import decode_link

JOIN_S = 60.0
AS_HELP = "what its members call you; default: the name of this node, if it has one"
_NAMELESS = "you have no name there: members see this node's id instead"
_ROLES = ("reader", "writer", "admin", "relay")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

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
