"""Questions to the store, each with what to do about its answer; a few at a time.

Enters: queries with callbacks. Leaves: store reads, callbacks. At most `READS_MAX` are in flight,
so that bulk leaves room for others' reads; the rest waits here, in order.
Must not know: what the queries are for.
"""

from collections import deque
from collections.abc import Callable

from meshd.core.context import Context
from meshd.core.events import Answer, Query

READS_MAX = 10

Then = Callable[[Answer, str, int], None]
"""Called with (answer, "", now), or with (None, why, now) when the store cannot answer."""


class Reads:
    """The reads of the part named `owner`. Who asks bounds how often."""

    __slots__ = ("_ctx", "_owner", "_then", "_waiting")

    def __init__(self, ctx: Context, owner: str) -> None:
        self._ctx = ctx
        self._owner = owner
        self._then: dict[int, Then] = {}
        self._waiting: deque[tuple[Query, Then]] = deque()

    def __len__(self) -> int:
        return len(self._then) + len(self._waiting)

    def ask(self, query: Query, then: Then) -> None:
        """Ask the store; `then` is always called, once."""
        if len(self._then) >= READS_MAX:
            self._waiting.append((query, then))
        else:
            self._then[self._ctx.read(self._owner, query)] = then

    def done(self, token: int, answer: Answer, now: int) -> None:
        """Take an answer."""
        self._finish(token, answer, "", now)

    def failed(self, token: int, why: str, now: int) -> None:
        """Take a failure."""
        self._finish(token, None, why or "the store cannot answer", now)

    def _finish(self, token: int, answer: Answer, why: str, now: int) -> None:
        then = self._then.pop(token, None)
        if then is None:
            return
        if self._waiting:
            query, waiting = self._waiting.popleft()
            self._then[self._ctx.read(self._owner, query)] = waiting
        then(answer, why, now)
