"""The numbers of a start rise with each one, whatever the store's disk does."""

import pytest

from meshd.config.values import NodeConfig
from meshd.routing.own import BLOCK
from meshd.runtime import boot
from meshd.runtime.boot import boot_node
from meshd.runtime.counters_file import BOOT_MAX, COUNTERS_FILE, Counters, CountersFile
from meshd.runtime.statedir import open_state_dir
from meshd.runtime.twin_files import COPY
from meshd.store.interface import StoreError, StoreFault
from meshd.store.sqlite import SqliteStore


@pytest.fixture
def state(tmp_path):
    held = open_state_dir(str(tmp_path / "state"))
    yield held
    held.close()


@pytest.fixture
def full(monkeypatch):
    """Call it to have the store's disk full, or with False to have it mended."""

    def refuse(folder):
        raise StoreError(StoreFault.FULL, f"{folder}: no room", remedy="make room")

    return lambda is_full=True: monkeypatch.setattr(
        boot, "SqliteStore", refuse if is_full else SqliteStore
    )


def started(state):
    """Start once; return boot number and seqno."""
    node, store, _ = boot_node(NodeConfig(state_dir=state.path), state, leaf=True)
    store.close()
    return node.boot, node.routing.seqno


def test_boot_number_rises_without_a_store_too(state, full):
    assert [started(state)[0] for _ in range(2)] == [1, 2]
    full()
    assert [started(state)[0] for _ in range(2)] == [3, 4]
    full(False)
    assert started(state)[0] == 5


def test_seqno_without_a_store_begins_where_the_last_start_may_have_come_to(state, full):
    _, last = started(state)
    full()
    _, first = started(state)
    _, second = started(state)
    assert 0 < first - last <= BLOCK and second - first == BLOCK


def test_store_alone_is_enough(state):
    started(state)
    for name in (COUNTERS_FILE, COUNTERS_FILE + COPY):
        with open(state.file(name), "wb") as file:
            file.write(b"damaged")
    assert started(state)[0] == 2


def test_older_store_put_back_has_the_number_of_the_counters(state):
    started(state)
    CountersFile(state.file(COUNTERS_FILE)).write(Counters(70, 9))
    assert started(state)[0] == 71


def test_new_card_without_a_store_has_no_number(state, full):
    full()
    assert started(state)[0] == 0
    assert CountersFile(state.file(COUNTERS_FILE)).read() is None


def test_last_number_of_all_stays(state):
    CountersFile(state.file(COUNTERS_FILE)).write(Counters(BOOT_MAX, 0))
    assert started(state)[0] == BOOT_MAX
