"""The shared context: bounded reads in order, numbered appends, counted drops."""

from random import Random

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import ChunkQuery, MetaRow, StoreRead
from meshd.core.limits import STORE_READS_MAX


def make() -> Context:
    return Context(rng=Random(1), entropy=bytes)


def test_reads_in_flight_are_bounded_and_the_rest_follows_in_order():
    ctx = make()
    tokens = [ctx.read("files", ChunkQuery(bytes(32), 0, 0)) for _ in range(STORE_READS_MAX + 2)]
    asked = [event.token for event in ctx.events if isinstance(event, StoreRead)]
    assert asked == tokens[:STORE_READS_MAX]
    assert ctx.read_finished(tokens[3]) == "files"
    assert ctx.events[-1].token == tokens[STORE_READS_MAX]


def test_unknown_or_repeated_answer_is_nobodys():
    ctx = make()
    token = ctx.read("sync", ChunkQuery(bytes(32), 0, 0))
    assert ctx.read_finished(99) is None
    assert ctx.read_finished(token) == "sync"
    assert ctx.read_finished(token) is None


def test_append_numbers_rise_by_one():
    ctx = make()
    assert [ctx.append((MetaRow("a", b""),)) for _ in range(3)] == [1, 2, 3]


def test_drops_are_counted_by_reason_and_link():
    ctx = make()
    ctx.drop(DropReason.UNKNOWN_LINK, "w0")
    ctx.drop(DropReason.UNKNOWN_LINK, "w0")
    ctx.drop(DropReason.UNKNOWN_LINK)
    assert ctx.drops.total(DropReason.UNKNOWN_LINK) == 3
    assert ctx.drops.as_dict() == {"unknown-link": {"-": 1, "w0": 2}}
