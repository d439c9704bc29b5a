"""What people ask of direct messages: send one, take one back, show them. And the answers.

Enters: the local requests "message", "message.cancel" and "messages". Leaves: texts for the outbox,
marks of what was read, replies. Must not know: keys, ways.
"""

from collections.abc import Callable

from meshd.core.arguments import Args, number_of, text_of
from meshd.core.context import Context
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Reply
from meshd.core.limits import MESSAGE_TEXT_MAX
from meshd.messages.inbox import Inbox
from meshd.messages.letter import Got, Letter
from meshd.messages.outbox import Outbox
from meshd.messages.people import People
from meshd.messages.sending import Sending

LIST_MAX = 500
_REPLY_BYTES = 40 * 1024
_DOUBTS = ("heard", "nearest")


class MessageRequests:
    """The verbs about texts. `pump` lets go out what a new text gave rise to."""

    def __init__(
        self,
        ctx: Context,
        people: People,
        sending: Sending,
        *,
        outbox: Outbox,
        inbox: Inbox,
        wall_s: Callable[[int], int | None],
        pump: Callable[[int], None],
    ) -> None:
        self._ctx = ctx
        self._people = people
        self._sending = sending
        self._outbox = outbox
        self._inbox = inbox
        self._wall_s = wall_s
        self._pump = pump

    def message(self, args: Args, ticket: int, now: int) -> None:
        """Send `text` to `node`; answers once it is on disk."""
        node = self._recipient(text_of(args, "node"))
        text = text_of(args, "text")
        if len(text.encode()) > MESSAGE_TEXT_MAX:
            raise RequestError(
                f"the text has {len(text.encode())} bytes, a message holds {MESSAGE_TEXT_MAX}",
                code=Exit.USAGE,
                remedy="send it as a file: meshd put",
            )

        def written(letter: Letter, why: str, at: int) -> None:
            if why:
                remedy = "nothing was written; see `meshd status` for the state of the store"
                self._ctx.emit(Reply(ticket, None, f"not written: {why}", int(Exit.ERROR), remedy))
                return
            self._sending.go(letter.number, at)
            self._ctx.emit(Reply(ticket, self._shown(letter, at) | self._unheard(node)))
            self._pump(at)

        loose = self._sending.has_way(node)
        self._outbox.add(node, text, self._wall_s(now) or 0, written, loose=loose)

    def cancel(self, args: Args, ticket: int, now: int) -> None:
        """Take the own text `number` back, if it has not left; answers once that is on disk."""
        letter = self._outbox.find(args)

        def written(why: str, at: int) -> None:
            if why:
                text = f"message {letter.number} was not taken back, it is still queued: {why}"
                remedy = "try again; see `meshd status` for the state of the store"
                self._ctx.emit(Reply(ticket, None, text, int(Exit.ERROR), remedy))
            else:
                self._ctx.emit(Reply(ticket, self._shown(letter, at)))

        self._sending.take_back(letter, now, written)

    def messages(self, args: Args, ticket: int, now: int) -> None:
        """Show the newest `limit` texts both ways, of one `node` or all; `peek` reads none.

        `waiting`: only own ones for which something is still to be done.
        """
        limit = number_of(args, "limit", default=50, least=1, most=LIST_MAX)
        node = self._people.find(text_of(args, "node")) if args.get("node") else None
        waiting = bool(args.get("waiting"))
        own = self._outbox.waiting() if waiting else self._outbox.letters.values()
        came = () if waiting else self._inbox.texts.values()
        out = [letter for letter in own if node in (None, letter.to)]
        got = [one for one in came if node in (None, one.node)]
        rows: list[tuple[int, dict[str, object], Got | None]]
        rows = [(letter.time_s, self._shown(letter, now), None) for letter in out[-limit:]]
        rows += [(one.time_s, one.shown(), one) for one in got[-limit:]]
        rows.sort(key=lambda row: row[0])
        rows = rows[-limit:]
        shown: list[dict[str, object]] = []
        members = self._people.members()
        room = _REPLY_BYTES
        for _, value, text in reversed(rows):
            if names := members.get(str(value["node"])):
                value["names"] = list(names)
            room -= len(str(value)) + 16
            if room < 0 and shown:
                break
            shown.insert(0, value)
            if text is not None and not text.read and not args.get("peek"):
                self._inbox.mark(text, read=True)
                self._ctx.timers.set_earlier(("messages", "read"), now + 1)
                if self._inbox.turned_away:
                    self._ctx.timers.set_earlier(("messages", "again"), now + 1)
        self._ctx.emit(Reply(ticket, {"messages": shown, "more": len(shown) < len(out) + len(got)}))

    def _recipient(self, text: str) -> bytes:
        """Return the NodeId that `text` means: an id, or the name of a member of some space."""
        node = self._people.find(text)
        if node == self._people.node:
            raise RequestError("that is this node itself", remedy="choose another one")
        return node

    def _shown(self, letter: Letter, now: int) -> dict[str, object]:
        """Return what people see of an own text, and what it waits for."""
        waits = self._sending.waits(letter, now)
        return letter.shown(self._people.node) | ({"waits": waits} if waits else {})

    def _unheard(self, node: bytes) -> dict[str, object]:
        """Return a warning about a node that was never heard of: its id may be mistyped."""
        about = self._people.about(node)
        return {} if about["heard"] else {key: about[key] for key in _DOUBTS if key in about}
