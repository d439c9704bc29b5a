"""What people and scripts ask of spaces: create, list, members, invite, revoke, post, log.

Enters: a verb's arguments from JSON, not trusted. Leaves: one `Reply` each, now or when the entry
is on disk; a `RequestError` says what is wrong and what to do.
"""

from collections.abc import Callable

from meshd.core import crypto
from meshd.core.arguments import Args, number_of, text_of
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.events import Reply
from meshd.core.ids import encode_text, node_text, parse_node
from meshd.core.limits import DISTRESS_EACH_US, ENTRY_PAYLOAD_MAX, INVITATION_START
from meshd.core.names import shows
from meshd.core.snapshot import to_json
from meshd.space import invitations
from meshd.space.entries import Draft
from meshd.space.invitations import InviteKeys, Terms
from meshd.space.ports import Askable, Done
from meshd.space.space import Space
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.invitation import HINTS_MAX, SECRET_LEN, Invitation
from meshd.wire.membership import INVITABLE, NAME_MAX, Invite, Rank, RevokeInvite

INVITES_MAX = 256
"""Invitations of one space that are neither revoked nor used up; more are refused."""
LOG_LIMIT_MAX = 500
DISTRESS_MAX = 320
"""Bytes of a call for help: it has to be short to get through where nothing else does."""
_USES_MAX = 0xFFFF
_LIFE_S = 7 * 24 * 3600


class Verbs:
    """The verbs of this folder, by name."""

    def __init__(self, spaces: Askable) -> None:
        self._spaces = spaces
        self._may_call_us, self._called_in = 0, ""
        self.requests: dict[str, Callable[[Args, int, int], None]] = {
            "space.create": self.create,
            "space.list": self.list,
            "space.members": self.members,
            "invite": self.invite,
            "invite.list": self.invite_list,
            "invite.revoke": self.revoke,
            "post": self.post,
            "log": self.log,
        }

    def create(self, args: Args, ticket: int, now: int) -> None:
        """Begin a space: `name`, and optionally `as`, the name that its members see."""
        name, person = name_of(args, "name"), name_of(args, "as", default="")
        if any(space.name == name for space in self._spaces.all()):
            raise RequestError(
                f"there is a space {name!r} here already", remedy="choose another name"
            )
        value: Args = {"name": name, "state": "written"}
        space = self._spaces.create(name, person, now, self._reply(ticket, value))
        value["space"] = space.text_id

    def list(self, args: Args, ticket: int, now: int) -> None:
        """Show all spaces."""
        value: Args = {"spaces": to_json(self._spaces.shown(now))}
        self._spaces.ctx.emit(Reply(ticket, value))

    def members(self, args: Args, ticket: int, now: int) -> None:
        """Show who is in a space."""
        space = self._space(args)
        shown = [
            {
                "author": member.author.hex(),
                "node": node_text(member.node) if member.node else None,
                "name": member.name,
                "role": member.role,
                "current": member.current,
                "own": space.is_own(member.author),
            }
            for member in space.members()
        ]
        value: Args = {"space": space.text_id, "name": space.name, "members": shown}
        self._spaces.ctx.emit(Reply(ticket, value))

    def invite(self, args: Args, ticket: int, now: int) -> None:
        """Make an invitation: `role`, `uses`, `expires_s` from now (0: never)."""
        space = self._space(args)
        role = text_of(args, "role", default="writer")
        rank = INVITABLE.get(role)
        if rank is None:
            raise RequestError(
                f"no role {role!r}", code=Exit.USAGE, remedy=f"one of {', '.join(INVITABLE)}"
            )
        self._may_invite(space, rank)
        uses = number_of(args, "uses", default=1, least=1, most=_USES_MAX)
        life_s = number_of(args, "expires_s", default=_LIFE_S, least=0, most=10 * 365 * 86400)
        terms = Terms(rank, uses, self._expiry(life_s, "expires_s" in args, now))
        entropy = self._spaces.ctx.entropy
        secret = entropy(SECRET_LEN)
        keys = InviteKeys(secret, space.id)
        draft = invitations.invite_draft(space, keys, terms, entropy(crypto.KEY_LEN))
        link = Invitation(secret, space.id, self._hints(space)).encode()
        value: Args = {
            "url": link,
            "invite": encode_text(keys.public),
            "role": role,
            "uses": uses,
            "expires": terms.expires_s or None,
            "state": "written",
        }
        self._spaces.append(space, draft, now, self._reply(ticket, value))

    def invite_list(self, args: Args, ticket: int, now: int) -> None:
        """Show the invitations of a space."""
        space = self._space(args)
        shown = []
        for signed in space.log.invites():
            record = signed.record
            assert isinstance(record, Invite)
            shown.append(
                {
                    "invite": encode_text(record.public),
                    "role": record.rank.name.lower(),
                    "uses": record.uses,
                    "used": (used := len(space.log.admitted_by(signed.digest))),
                    "contested": used > record.uses,
                    "expires": record.expires_s or None,
                    "revoked": space.log.is_revoked(signed.digest),
                }
            )
        self._spaces.ctx.emit(Reply(ticket, {"space": space.text_id, "invitations": shown}))

    def revoke(self, args: Args, ticket: int, now: int) -> None:
        """Revoke an invitation: `invite` is its link, or the beginning of its id."""
        space = self._space(args)
        wanted = text_of(args, "invite")
        if wanted.lower().startswith(INVITATION_START):
            link = invitations.parse_link(wanted)
            wanted = encode_text(InviteKeys(link.secret, space.id).public)
        found = [
            signed
            for signed in space.log.invites()
            if isinstance(signed.record, Invite)
            and encode_text(signed.record.public).startswith(wanted.lower())
        ]
        if len(found) != 1:
            raise RequestError(
                f"{len(found) or 'no'} invitations of {space.name} begin with {wanted}",
                code=Exit.NOT_FOUND,
                remedy=f"`meshd invite {space.name} --list` shows them",
            )
        if space.log.is_revoked(found[0].digest):
            raise RequestError("the invitation is revoked already")
        record = RevokeInvite(space.log.frontier(space.author), found[0].digest)
        draft = Draft(Kind.REVOKE_INVITE, record.encode(), b"")
        value: Args = {"space": space.text_id, "state": "written"}
        self._spaces.append(space, draft, now, self._reply(ticket, value))

    def post(self, args: Args, ticket: int, now: int) -> None:
        """Append a post, with `to` a message to that node, with `distress` a call for help."""
        space = self._space(args)
        text = text_of(args, "text")
        distress = bool(args.get("distress"))
        if "to" in args and args["to"] is not None:
            message = payload.Message(self._recipient(space, text_of(args, "to")), text)
            draft = Draft(Kind.MESSAGE, b"", message.encode())
        else:
            kind = Kind.DISTRESS if distress else Kind.POST
            draft = Draft(kind, b"", payload.Post(text).encode())
        if len(draft.payload) > ENTRY_PAYLOAD_MAX:
            raise RequestError(
                f"the text has {len(draft.payload)} bytes, an entry holds {ENTRY_PAYLOAD_MAX}",
                remedy="send it as a file: meshd put",
            )
        if distress:
            self._check_distress(args, len(draft.payload), now)
        value: Args = {"space": space.text_id, "author": space.author.hex(), "state": "written"}
        seq = self._spaces.append(space, draft, now, self._reply(ticket, value))
        value["seq"] = seq
        waits, air = _alone(space), self._spaces.air
        if not waits and air is not None:
            waits = air.post_waits(space, seq, len(draft.payload), now)
        if waits:
            value["waits"] = waits
        if distress:
            self._may_call_us, self._called_in = now + DISTRESS_EACH_US, space.name

    def _check_distress(self, args: Args, length: int, now: int) -> None:
        if args.get("to") is not None:
            raise RequestError("a call for help goes to all", code=Exit.USAGE, remedy="omit --to")
        if length > DISTRESS_MAX:
            raise RequestError(
                f"a call for help has at most {DISTRESS_MAX} bytes, this has {length}",
                code=Exit.USAGE,
                remedy="say where, who and what is needed; the rest in a post of its own",
            )
        if now < self._may_call_us:
            left_s = -((now - self._may_call_us) // 1_000_000)
            raise RequestError(
                f"this node called for help in {self._called_in} just now; again in {left_s} s",
                code=Exit.TEMPORARY,
                remedy="that call goes on by itself until it is there; write more, or elsewhere, "
                "by a post without --distress",
            )

    def log(self, args: Args, ticket: int, now: int) -> None:
        """Show entries: at most `limit`, above the numbers in `after` (an earlier `cursor`)."""
        space = self._space(args)
        limit = number_of(args, "limit", default=50, least=1, most=LOG_LIMIT_MAX)
        after: dict[bytes, int] = {}
        given = args.get("after") or {}
        if not isinstance(given, dict):
            raise RequestError("after must be the cursor of an earlier log", code=Exit.USAGE)
        for author, seq in given.items():
            try:
                after[bytes.fromhex(author)] = int(seq)
            except (TypeError, ValueError) as error:
                raise RequestError(
                    "after must be the cursor of an earlier log", code=Exit.USAGE
                ) from error
        waits = () if self._spaces.air is None else self._spaces.air.waits(space, now)
        self._spaces.reader.start(space, limit=limit, after=after, ticket=ticket, waits=waits)

    def _space(self, args: Args) -> Space:
        return self._spaces.find(text_of(args, "space"))

    def _reply(self, ticket: int, value: Args) -> Done:
        def finished(why: str, now: int) -> None:
            if why:
                remedy = "nothing was written; see `meshd status` for the state of the store"
                reply = Reply(ticket, None, f"not written: {why}", int(Exit.ERROR), remedy)
            else:
                reply = Reply(ticket, value)
            self._spaces.ctx.emit(reply)

        return finished

    def _may_invite(self, space: Space, rank: Rank) -> None:
        own = space.rank
        if space.carries_only or (own is not None and own < max(rank, Rank.ADMIN)):
            raise RequestError(
                f"this node is {space.role} in {space.name or 'that space'} and may not invite",
                code=Exit.DENIED,
                remedy="ask an admin of the space",
            )
        live = sum(
            not space.log.is_revoked(signed.digest)
            and len(space.log.admitted_by(signed.digest)) < signed.record.uses
            for signed in space.log.invites()
            if isinstance(signed.record, Invite)
        )
        if live >= INVITES_MAX:
            raise RequestError(f"{live} invitations are open", remedy="revoke some")

    def _expiry(self, life_s: int, asked: bool, now: int) -> int:
        wall_s = self._spaces.wall_s(now)
        if not life_s or (wall_s is None and not asked):
            return 0
        if wall_s is None:
            raise RequestError(
                "this node does not know the time, so an invitation cannot expire",
                remedy="set the clock, or use --expires never",
            )
        return wall_s + life_s

    def _hints(self, space: Space) -> tuple[bytes, ...]:
        """This node first, then others that can let a joiner in, the mightiest first."""
        able = [member for member in space.members() if member.current and member.node]
        able.sort(key=lambda member: -Rank[member.role.upper()])
        nodes = [member.node for member in able if member.role != "relay"]
        unique = dict.fromkeys((space.node, *nodes))
        return tuple(unique)[:HINTS_MAX]

    def _recipient(self, space: Space, text: str) -> bytes:
        """The NodeId that `text` means: all of it, its beginning, or a member's name."""
        members = [member for member in space.members() if member.node and member.role != "relay"]
        try:
            node = parse_node(text)
            found = {member.node for member in members if member.node == node}
        except UsageError:
            start = text.lower().replace("-", "")
            found = {
                member.node
                for member in members
                if member.name == text or node_text(member.node).startswith(start)
            }
        if len(found) != 1:
            raise RequestError(
                f"{text!r} is {'no' if not found else 'more than one'} member of {space.name}",
                code=Exit.NOT_FOUND,
                remedy=f"`meshd space members {space.name}` shows them",
            )
        if space.node in found:
            raise RequestError("that is this node itself", remedy="choose another member")
        return found.pop()


def _alone(space: Space) -> str:
    """Say that nobody else can read a space; "" where somebody can."""
    others = (one for one in space.members() if one.author != space.author)
    if any(one.current and one.role != "relay" for one in others):
        return ""
    return (
        f"nobody else is in {space.name} yet: `meshd invite {space.name}` makes a link for others"
    )


def name_of(args: Args, name: str, default: str | None = None) -> str:
    """Return a name: all of it can be seen, at most `NAME_MAX` bytes.

    Raises: RequestError.
    """
    value = text_of(args, name, default)
    if len(value.encode()) > NAME_MAX or not shows(value):
        raise RequestError(
            f"{name} is too long or has characters that cannot be printed",
            code=Exit.USAGE,
            remedy=f"use at most {NAME_MAX} bytes",
        )
    return value
