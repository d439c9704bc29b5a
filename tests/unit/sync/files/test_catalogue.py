"""Which files a space has: read once from the feeds, bounded, and only what is sound."""

import pytest
from devices.file_devices import MIB, household, sync
from devices.seeded_bytes import bytes_of

from meshd.core.drops import DropReason
from meshd.core.events import EntriesQuery
from meshd.space.entries import Draft
from meshd.sync.files import catalogue
from meshd.wire.entry import Kind
from meshd.wire.payload import FileClear, FileSecret

SECRET = FileSecret(bytes(32), 5, "name", "").encode()


def append(device, clear, payload=SECRET):
    device.spaces.append(device.space(), Draft(Kind.FILE, clear, payload), device.now)
    device.run()


@pytest.mark.parametrize(
    ("clear", "payload"),
    [
        (b"", SECRET),
        (FileClear(bytes(32), 1, 0, 0).encode(), SECRET),
        (FileClear(bytes(32), 2, 1, 21).encode(), SECRET),
        (FileClear(bytes(32), 1, 1, 15).encode(), SECRET),
        (FileClear(bytes(32), 1, 2, 21 + 16).encode(), SECRET),
        (FileClear(bytes(32), 1, 1, 21).encode(), b"no manifest"),
        (FileClear(bytes(32), 1, 1, 21).encode(), SECRET[:41] + b"a/b"),
        (FileClear(bytes(32), 1, 1, 22).encode(), SECRET),
    ],
    ids=range(8),
)
def test_manifest_whose_parts_do_not_fit_is_dropped(clear, payload):
    (anna,) = household("anna")
    append(anna, clear, payload)
    assert anna.listed() == []
    assert anna.ctx.drops.total(DropReason.FILE_MANIFEST) == 1


def test_table_of_files_is_bounded_and_the_oldest_goes(monkeypatch):
    monkeypatch.setattr(catalogue, "MANIFESTS_MAX", 3)
    (anna,) = household("anna")
    for number in range(5):
        anna.put(b"x", name=f"file {number}")
    assert [line["name"] for line in anna.listed()] == ["file 2", "file 3", "file 4"]
    assert anna.ctx.drops.total(DropReason.FILE_TABLE_FULL) == 2


def test_writer_of_many_files_pushes_out_only_its_own(monkeypatch):
    monkeypatch.setattr(catalogue, "MANIFESTS_MAX", 4)
    anna, ben = household("anna", "ben")
    ben.put(b"x", name="of ben")
    sync(anna, ben)
    for number in range(9):
        anna.put(b"x", name=f"file {number}")
    names = {line["name"] for line in anna.listed()}
    assert names == {"of ben", "file 6", "file 7", "file 8"}


def test_feeds_are_read_once_and_new_entries_not_at_all(monkeypatch):
    anna, ben = household("anna", "ben")
    for number in range(3):
        anna.put(b"x", name=f"file {number}")
    sync(anna, ben)
    asked = []
    answer = ben.store.answer

    def note(query):
        if isinstance(query, EntriesQuery) and query.bytes_max == catalogue.BATCH_BYTES:
            asked.append(query)
        return answer(query)

    monkeypatch.setattr(ben.store, "answer", note)
    assert len(ben.listed()) == 3
    assert len(asked) == len(ben.space().feeds)
    anna.put(b"x", name="one more")
    sync(anna, ben)
    assert len(ben.listed()) == 4
    assert len(asked) == len(ben.space().feeds)


def test_nothing_is_read_before_anybody_asks(monkeypatch):
    anna, ben = household("anna", "ben")
    anna.put(b"x")
    sync(anna, ben)
    ben.start()
    monkeypatch.setattr(ben.store, "answer", lambda query: pytest.fail(f"asked {query}"))
    ben.run()


def test_large_feed_is_read_in_batches(monkeypatch):
    monkeypatch.setattr(catalogue, "BATCH_BYTES", 300)
    (anna,) = household("anna")
    for number in range(9):
        anna.put(b"x", name=f"file {number}")
    anna.start()
    assert len(anna.listed()) == 9


def test_store_that_cannot_read_leaves_the_list_for_later():
    (anna,) = household("anna")
    anna.put(bytes_of(MIB))
    anna.start()
    anna.read_fault = lambda query: True
    assert anna.listed() == []
    anna.read_fault = None
    assert len(anna.listed()) == 1


def test_reload_after_a_failed_commit_reads_again():
    (anna,) = household("anna")
    anna.put(b"x")
    assert len(anna.listed()) == 1
    anna.files.reload(anna.store.load(), anna.now)
    anna.put(b"x", name="two")
    assert len(anna.listed()) == 2


def test_entry_that_was_not_on_disk_when_asked_is_listed_once_it_is():
    anna, ben = household("anna", "ben")
    anna.put(b"x")
    ben.held = True
    ben.spaces.accept(ben.space(), *list(anna.entries(anna.space()))[-1], ben.now)
    ben.run()
    assert ben.listed() == []
    ben.commit()
    ben.run()
    assert len(ben.listed()) == 1
