"""Answers go to who asked, notices to all who watch."""

from meshd.core.events import Notice, Progress, Reply
from meshd.runtime.listeners import Listeners


def test_progress_and_the_reply_go_to_who_asked_and_nothing_after_it():
    listeners, one, other = Listeners(), [], []
    first, second = listeners.expect(one.append), listeners.expect(other.append)
    told = [Progress(first, "bytes", 1, 2), Reply(first, {}), Reply(second, {})]
    for event in told:
        listeners.answer(event)
    listeners.answer(Reply(first, {}))
    listeners.answer(Progress(second, "bytes", 2, 2))
    assert one == told[:2] and other == told[2:]


def test_notices_go_to_all_who_watch_until_they_cancel():
    listeners, one, other = Listeners(), [], []
    cancel = listeners.watch(one.append)
    listeners.watch(lambda notice: cancel())
    listeners.watch(other.append)
    for kind in ("first", "second"):
        listeners.tell(Notice(kind, {}))
    cancel()
    assert [notice.kind for notice in one] == ["first"]
    assert [notice.kind for notice in other] == ["first", "second"]
