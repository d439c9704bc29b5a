"""A store that could not be opened refuses writes, and works once it can be opened."""

import pytest

from meshd.core.events import MetaRow, StoreImage
from meshd.store.absent import AbsentStore
from meshd.store.interface import StoreError, StoreFault
from meshd.store.memory import MemoryStore

ERROR = StoreError(StoreFault.CORRUPT, "damaged", remedy="move it aside")


def test_refuses_writes_and_reads_with_the_reason():
    store = AbsentStore(ERROR, MemoryStore)
    assert store.load() == StoreImage({}, (), ())
    with pytest.raises(StoreError, match="damaged"):
        store.commit([(MetaRow("a", b"1"),)])


def test_works_after_the_real_store_was_opened():
    store = AbsentStore(ERROR, MemoryStore)
    store.reopen()
    store.commit([(MetaRow("a", b"1"),)])
    assert store.load().metas == {"a": b"1"}


def test_stays_absent_while_opening_fails():
    def fails() -> MemoryStore:
        raise ERROR

    store = AbsentStore(ERROR, fails)
    with pytest.raises(StoreError):
        store.reopen()
    with pytest.raises(StoreError):
        store.commit([(MetaRow("a", b"1"),)])
