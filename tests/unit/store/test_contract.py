"""Both stores keep one contract: what the engine tests in memory holds on disk."""

import os

import pytest
from devices.seeded_bytes import bytes_of

from meshd.core.crypto import chunk_name, chunk_nonce, seal, unseal
from meshd.core.events import (
    ChunkQuery,
    EntriesQuery,
    EntryRow,
    FeedImage,
    ForgetQuery,
    KeepQuery,
    MetaRow,
    PlaceQuery,
    SealQuery,
    SyncFileQuery,
    UnsealQuery,
)
from meshd.core.limits import CHUNK_BYTES
from meshd.store.interface import StoreError, StoreFault
from meshd.store.memory import MemoryStore
from meshd.store.sqlite import SqliteStore

SPACE, ANN, BOB = b"s" * 32, b"a" * 32, b"b" * 32
KEY = b"k" * 32
NOTHING = b"n" * 32


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    backend = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def lend(store, tmp_path):
    """Return a function that lends a file with some bytes and one that reads it back."""

    def make(data=b""):
        if isinstance(store, MemoryStore):
            handle = store.files.lend(data)
            return handle, lambda: bytes(store.files.lent[handle])
        path = tmp_path / f"file-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return store.add_file(os.open(path, os.O_RDWR), writable=True), path.read_bytes

    return make


def entry(seq, author=ANN, *, data=None, membership=False):
    return EntryRow(SPACE, author, seq, data or f"entry {seq}".encode(), membership)


def test_new_store_is_empty(store):
    image = store.load()
    assert image == ({}, (), ())


def test_image_holds_heads_metas_and_membership(store):
    store.commit([(entry(1, membership=True), entry(2)), (entry(1, BOB), MetaRow("boot", b"7"))])
    store.commit([(entry(3, data=b"last"), MetaRow("gone", b"x")), (MetaRow("gone", None),)])
    image = store.load()
    assert image.metas == {"boot": b"7"}
    assert set(image.feeds) == {
        FeedImage(SPACE, ANN, 3, b"last", 18),
        FeedImage(SPACE, BOB, 1, b"entry 1", 7),
    }
    assert image.membership == (entry(1, membership=True),)


def test_entries_come_in_order_within_bytes_but_at_least_one(store):
    store.commit([tuple(entry(seq, data=bytes(10)) for seq in (1, 2, 3, 5))])

    def ask(first, last, bytes_max):
        return len(store.answer(EntriesQuery(SPACE, ANN, first, last, bytes_max)))

    assert ask(1, 3, 1000) == 3
    assert ask(1, 3, 25) == 2
    assert ask(2, 3, 1) == 1
    assert ask(1, 9, 1000) == 3, "a hole ends the run"
    assert ask(4, 9, 1000) == 0
    assert ask(1, 2**63 - 1, 10) == 1
    assert store.answer(EntriesQuery(SPACE, BOB, 1, 9, 1000)) == ()


def test_group_with_a_conflict_leaves_nothing(store):
    store.commit([(entry(1),)])
    with pytest.raises(StoreError) as caught:
        store.commit([(entry(2), MetaRow("a", b"b")), (entry(1, data=b"other"),)])
    assert caught.value.fault is StoreFault.CONFLICT
    image = store.reopen()
    assert image.feeds == (FeedImage(SPACE, ANN, 1, b"entry 1", 7),)
    assert image.metas == {}
    store.commit([(entry(2),)])


def test_chunk_is_kept_under_its_name_only(store):
    data = bytes_of(1000)
    name = chunk_name(data)
    assert store.answer(KeepQuery(name, data + b"!", durable=False)) is False
    assert store.answer(ChunkQuery(name, 0, 0)) is None
    assert store.answer(KeepQuery(name, data, durable=True)) is True
    assert store.answer(KeepQuery(name, data, durable=True)) is True
    assert store.answer(ChunkQuery(name, 0, 0)) == (1000, b"")
    assert store.answer(ChunkQuery(name, 990, 100)) == (1000, data[990:])
    assert store.answer(ChunkQuery(name, 0, 2000)) == (1000, data)


def test_file_is_sealed_and_unsealed_chunk_by_chunk(store, lend):
    plain = bytes_of(CHUNK_BYTES + 5)
    source, _ = lend(plain)
    sealed = [store.answer(SealQuery(source, KEY, place)) for place in (0, 1)]
    assert [length for _, length in sealed] == [CHUNK_BYTES, 5]
    _, ciphertext = store.answer(ChunkQuery(sealed[1][0], 0, CHUNK_BYTES))
    assert unseal(KEY, chunk_nonce(1), ciphertext) == plain[CHUNK_BYTES:]

    target, read_back = lend()
    for place in (1, 0):
        query = UnsealQuery(target, KEY, place, sealed[place][0])
        assert store.answer(query) == sealed[place][1]
    assert store.answer(SyncFileQuery(target)) is True
    assert read_back() == plain


def test_unseal_refuses_what_is_not_held_or_does_not_open(store, lend):
    source, _ = lend(b"text")
    name, _ = store.answer(SealQuery(source, KEY, 0))
    target, read_back = lend()
    assert store.answer(UnsealQuery(target, KEY, 0, NOTHING)) is None
    assert store.answer(UnsealQuery(target, b"x" * 32, 0, name)) is None
    assert store.answer(UnsealQuery(target, KEY, 1, name)) is None
    assert read_back() == b""


def test_chunk_that_comes_is_checked_kept_and_written_at_once(store, lend):
    plain = bytes_of(CHUNK_BYTES)
    sealed = seal(KEY, chunk_nonce(1), plain)
    name, parts = chunk_name(sealed), (sealed[:65536], sealed[65536:])
    target, read_back = lend()
    assert store.answer(PlaceQuery(target, KEY, 1, name, parts)) == CHUNK_BYTES
    assert store.answer(ChunkQuery(name, 0, len(sealed))) == (len(sealed), sealed)
    assert read_back() == bytes(CHUNK_BYTES) + plain
    assert store.answer(PlaceQuery(target, KEY, 1, name, parts)) == CHUNK_BYTES


def test_chunk_of_wrong_bytes_is_neither_kept_nor_written(store, lend):
    sealed = seal(KEY, chunk_nonce(0), b"text")
    target, read_back = lend()
    assert store.answer(PlaceQuery(target, KEY, 0, NOTHING, (sealed,))) is False
    assert store.answer(PlaceQuery(target, b"x" * 32, 0, chunk_name(sealed), (sealed,))) is None
    assert store.answer(PlaceQuery(target, KEY, 0, chunk_name(b"short"), (b"short",))) is None
    assert store.answer(ChunkQuery(NOTHING, 0, 0)) is None
    assert read_back() == b""


def test_empty_chunk_opens_to_nothing(store, lend):
    sealed = seal(KEY, chunk_nonce(0), b"")
    target, read_back = lend()
    answer = store.answer(PlaceQuery(target, KEY, 0, chunk_name(sealed), (sealed,)))
    assert answer == 0 and answer is not False
    assert read_back() == b""


def test_released_file_is_closed(store, lend):
    source, _ = lend(b"text")
    store.release_file(source)
    store.release_file(source)
    with pytest.raises(StoreError, match="closed"):
        store.answer(SealQuery(source, KEY, 0))


def test_forgotten_chunk_is_not_held(store):
    names = [chunk_name(data) for data in (b"one", b"three")]
    for name, data in zip(names, (b"one", b"three"), strict=True):
        store.answer(KeepQuery(name, data, durable=True))
    assert store.answer(ForgetQuery((*names, NOTHING))) == 8
    assert store.answer(ChunkQuery(names[0], 0, 0)) is None
