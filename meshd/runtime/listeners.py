"""Who waits for what the engine tells: answers to requests, and notices.

Enters: callbacks, replies, progress, notices. Leaves: calls of them, and one line of the log for
each notice. Must not know: what was asked.
"""

import logging
from collections.abc import Callable

from meshd.core.events import Notice, Progress, Reply

log = logging.getLogger("meshd")


class Listeners:
    """The local callers of one node."""

    __slots__ = ("_number", "_waiting", "_watchers")

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Callable[[Reply | Progress], None]] = {}
        self._watchers: dict[int, Callable[[Notice], None]] = {}

    def expect(self, on_event: Callable[[Reply | Progress], None]) -> int:
        """Return a ticket; what is answered to it goes to `on_event`, until the reply came."""
        self._number += 1
        self._waiting[self._number] = on_event
        return self._number

    def answer(self, event: Reply | Progress) -> None:
        """Hand an answer to who waits for it."""
        if isinstance(event, Reply):
            waits = self._waiting.pop(event.ticket, None)
        else:
            waits = self._waiting.get(event.ticket)
        if waits is not None:
            waits(event)

    def watch(self, on_notice: Callable[[Notice], None]) -> Callable[[], None]:
        """Pass on every notice until the returned function is called."""
        self._number += 1
        number = self._number
        self._watchers[number] = on_notice

        def cancel() -> None:
            self._watchers.pop(number, None)

        return cancel

    def tell(self, notice: Notice) -> None:
        """Log a notice, and pass it on."""
        level = logging.WARNING if notice.warning else logging.INFO
        if log.isEnabledFor(level):
            fields = " ".join(f"{key}={value}" for key, value in notice.fields.items())
            log.log(level, "%s %s", notice.kind, fields)
        for watcher in list(self._watchers.values()):
            watcher(notice)
