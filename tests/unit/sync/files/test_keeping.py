"""What a relay promises of its quota: shared out, never on a claim alone for long."""

from itertools import count
from random import Random

import pytest

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import MetaRow, StoreAppend, StoreImage
from meshd.sync.files import keeping
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.jobs import Fetch
from meshd.sync.files.keeping import TRIES_MAX, Keeper
from meshd.sync.files.layout import SEALED_BYTES, chunks_of, disk_size, levels_of, sealed_size
from meshd.wire.payload import FileClear

QUOTA = 64 << 20
ANNA, MALLORY = b"a" * 32, b"m" * 32
HOME, CLUB = b"h" * 32, b"c" * 32


class Relay:
    """A keeper between a catalogue and fetches that the test ends itself."""

    def __init__(self, metas=()):
        self.ctx = Context(rng=Random(1), entropy=bytes)
        self.shelf = {}
        self.fetches = []
        self.numbers = count(1)
        self.metas = dict(metas)
        self.authors = {HOME: 2, CLUB: 2}
        self.keeper = Keeper(
            self.ctx, self, self, lambda space, held: None, authors=lambda: self.authors
        )
        self.keeper.quota_bytes = QUOTA
        self.keeper.load(StoreImage(self.metas, (), ()))

    def get(self, space, root):
        return self.shelf.get((space, root))

    def new(self, manifest):
        return Fetch(next(self.numbers), manifest, None, 0)

    def start(self, fetch, now):
        self.fetches.append(fetch)

    def found(self, number, size, author=ANNA, space=HOME):
        """Learn of a file; tell whether it is promised."""
        chunks = chunks_of(size)
        clear = FileClear(bytes([number]) * 32, levels_of(chunks), chunks, sealed_size(size))
        manifest = Manifest(space, author, 1, clear)
        self.shelf[space, clear.root] = manifest
        before = self.keeper.used_bytes
        self.keeper.found(manifest, 0)
        self.commit()
        return self.keeper.used_bytes == before + disk_size(clear)

    def commit(self):
        while self.ctx.events:
            event = self.ctx.events.popleft()
            if isinstance(event, StoreAppend):
                for row in event.rows:
                    assert isinstance(row, MetaRow)
                    self.metas[row.key] = row.value
                self.keeper.committed(event.number, 0)
        self.metas = {key: value for key, value in self.metas.items() if value is not None}

    def starve(self, times, *, chunks=0):
        """Let tries end, so many chunks being here."""
        for _ in range(times):
            fetch = self.fetches.pop()
            if chunks:
                fetch.root, fetch.done = b"index", chunks
            self.keeper.gave_up(fetch, 0, starved=True)
            self.commit()
            self.keeper.again(fetch.manifest.space, fetch.manifest.clear.root, 0)
            self.commit()


def test_size_that_one_author_claims_takes_no_part_of_others():
    relay = Relay()
    assert not relay.found(1, QUOTA - (1 << 20), MALLORY), "more than its part and the common half"
    assert relay.found(2, QUOTA * 5 // 8 - (1 << 20), MALLORY)
    assert not relay.found(3, QUOTA // 8, MALLORY)
    assert relay.found(4, QUOTA // 16), "another author of the space"
    assert relay.found(5, QUOTA // 16, ANNA, CLUB), "another space"
    assert relay.ctx.drops.total(DropReason.FILE_QUOTA) == 2


def test_one_author_of_one_space_has_the_whole_quota():
    relay = Relay()
    relay.authors = {HOME: 1}
    assert relay.found(1, QUOTA - (1 << 20))


def test_promise_to_which_nothing_comes_ends_and_news_give_it_one_more_try():
    relay = Relay()
    assert relay.found(1, QUOTA // 2, MALLORY)
    relay.starve(TRIES_MAX - 1)
    assert relay.keeper.used_bytes > QUOTA // 2 and relay.metas
    relay.starve(1)
    assert relay.keeper.used_bytes > QUOTA // 2, "the pause was cut short by news"
    relay.starve(1)
    fetch = relay.fetches.pop()
    relay.keeper.gave_up(fetch, 0, starved=True)
    relay.commit()
    assert relay.keeper.used_bytes == 0 and not relay.metas and not relay.keeper._promises


def test_failing_store_ends_no_promise():
    relay = Relay()
    assert relay.found(1, QUOTA // 4)
    for _ in range(TRIES_MAX + 1):
        fetch = relay.fetches.pop()
        relay.keeper.gave_up(fetch, 0)
        relay.keeper.again(HOME, fetch.manifest.clear.root, 0)
    assert relay.keeper.used_bytes > QUOTA // 4


def test_promise_shrinks_to_what_is_here_and_grows_with_news():
    relay = Relay()
    assert relay.found(1, QUOTA // 4)
    whole = relay.keeper.used_bytes
    relay.starve(TRIES_MAX, chunks=3)
    assert relay.keeper.used_bytes == whole
    fetch = relay.fetches.pop()
    fetch.root, fetch.done = b"index", 3
    relay.keeper.gave_up(fetch, 0, starved=True)
    relay.commit()
    here = relay.keeper.used_bytes
    assert 3 * SEALED_BYTES < here < whole
    after = Relay(relay.metas)
    assert after.keeper.used_bytes == here, "a restart counts the same"
    assert not relay.fetches
    relay.keeper.news(HOME, fetch.manifest.clear.root, 0)
    relay.commit()
    assert relay.keeper.used_bytes == whole and len(relay.fetches) == 1


def test_refused_file_is_taken_with_news_once_there_is_room():
    relay = Relay()
    assert relay.found(1, QUOTA // 2, MALLORY)
    assert not relay.found(2, QUOTA // 4)
    relay.keeper.news(HOME, bytes([2]) * 32, 0)
    assert len(relay.keeper._promises) == 1
    relay.keeper.set_quota(2 * QUOTA)
    relay.keeper.news(HOME, bytes([2]) * 32, 0)
    assert len(relay.keeper._promises) == 2


@pytest.mark.parametrize("author", [b"", ANNA])
def test_rows_of_promises_are_read_with_and_without_an_author(author):
    key = keeping.PREFIX + (HOME + bytes(32)).hex()
    relay = Relay({key: b"\1" + (1000).to_bytes(8, "big") + author})
    assert relay.keeper.used_bytes == 1000
