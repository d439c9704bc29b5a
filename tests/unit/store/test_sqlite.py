"""The store on disk: what survives, and what a person is told when it cannot open or write."""

import os
import resource
import signal
import sqlite3
import subprocess
from contextlib import closing, contextmanager

import pytest
from devices.seeded_bytes import bytes_of

from meshd.core.crypto import chunk_name
from meshd.core.events import ChunkQuery, EntriesQuery, EntryRow, KeepQuery, MetaRow
from meshd.store.interface import StoreError, StoreFault
from meshd.store.sqlite import SqliteStore

SPACE, ANN = b"s" * 32, b"a" * 32


def entry(seq, size=100):
    return EntryRow(SPACE, ANN, seq, bytes([seq % 256]) * size)


def fault_of(folder):
    with pytest.raises(StoreError) as caught:
        SqliteStore(folder)
    assert caught.value.remedy and str(folder) in caught.value.text
    return caught.value.fault


@contextmanager
def file_size_limit(size):
    """Make each write beyond `size` bytes fail, as on a full disk."""
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old_handler)


def test_what_was_committed_is_there_after_opening_again(tmp_path):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(entry(1), MetaRow("boot", b"1"))])
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(entry(2),)])
        image = store.load()
        assert (image.feeds[0].seq, image.feeds[0].bytes_total) == (2, 200)
        assert image.metas == {"boot": b"1"}


def test_files_are_private(tmp_path):
    with closing(SqliteStore(tmp_path / "state")) as store:
        store.commit([(entry(1),)])
        for path in (tmp_path / "state").iterdir():
            assert path.stat().st_mode & 0o077 == 0, path


def test_writes_are_synchronous_in_wal(tmp_path):
    with closing(SqliteStore(tmp_path)) as store:
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_garbage_is_corrupt_and_left_in_place(tmp_path):
    (tmp_path / "store.db").write_bytes(b"no database at all" * 1000)
    assert fault_of(tmp_path) is StoreFault.CORRUPT
    assert (tmp_path / "store.db").read_bytes().startswith(b"no database")


def test_damaged_page_is_corrupt_at_start(tmp_path):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([tuple(entry(seq, 1000) for seq in range(1, 60))])
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    for page in range(6, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    assert fault_of(tmp_path) is StoreFault.CORRUPT


def test_damaged_page_is_corrupt_when_read(tmp_path, monkeypatch):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([tuple(entry(seq, 1000) for seq in range(1, 60))])
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    for page in range(8, len(data) // 4096 - 2):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    monkeypatch.setattr("meshd.store.sqlite.CHECK_AT_START_BYTES_MAX", 0)
    with closing(SqliteStore(tmp_path)) as store:
        with pytest.raises(StoreError) as caught:
            store.answer(EntriesQuery(SPACE, ANN, 1, 99, 1 << 20))
        assert caught.value.fault is StoreFault.CORRUPT
        with pytest.raises(StoreError):
            store.reopen()
        with pytest.raises(StoreError):
            store.commit([(entry(60),)])


def test_full_disk_is_read_though_not_written(tmp_path, monkeypatch):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(entry(1),)])
        monkeypatch.setattr("meshd.store.sqlite.ROOM_BYTES_MIN", 1 << 62)
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                store.reopen()
            assert caught.value.fault is StoreFault.FULL
            assert len(store.answer(EntriesQuery(SPACE, ANN, 1, 9, 1 << 20))) == 1
        monkeypatch.undo()
        assert store.reopen().feeds[0].seq == 1
        store.commit([(entry(2),)])
        assert len(store.answer(EntriesQuery(SPACE, ANN, 1, 9, 1 << 20))) == 2


def test_database_of_a_newer_meshd_is_refused(tmp_path):
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        other.execute("PRAGMA user_version = 99")
    assert fault_of(tmp_path) is StoreFault.NEWER


def test_database_of_another_program_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        other.execute("CREATE TABLE theirs (a)")
    assert fault_of(tmp_path) is StoreFault.CORRUPT


def test_database_held_by_another_program_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr("meshd.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert fault_of(tmp_path) is StoreFault.BUSY


def test_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "state").write_text("in the way")
    assert fault_of(tmp_path / "state") is StoreFault.BROKEN


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any folder")
def test_folder_without_permission_is_denied(tmp_path):
    (tmp_path / "state").mkdir(mode=0o500)
    assert fault_of(tmp_path / "state") is StoreFault.DENIED


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_read_only_disk_is_named(tmp_path):
    SqliteStore(tmp_path).close()
    if subprocess.run(["mount", "--bind", tmp_path, tmp_path], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", tmp_path], check=True)
        assert fault_of(tmp_path) is StoreFault.READ_ONLY
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_full_disk_fails_the_commit_and_loses_nothing(tmp_path):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(entry(1),)])
        with file_size_limit(200_000):
            with pytest.raises(StoreError) as caught:
                store.commit([tuple(entry(seq, 10_000) for seq in range(2, 60))])
            assert caught.value.fault is StoreFault.FULL
            assert "df -h" in caught.value.remedy
            assert store.reopen().feeds[0].seq == 1
        store.commit([tuple(entry(seq, 10_000) for seq in range(2, 60))])
        assert store.load().feeds[0].seq == 59


def test_full_disk_refuses_a_chunk_and_leaves_no_piece(tmp_path):
    data = bytes_of(100_000)
    with closing(SqliteStore(tmp_path)) as store:
        with file_size_limit(50_000), pytest.raises(StoreError) as caught:
            store.answer(KeepQuery(chunk_name(data), data, durable=True))
        assert caught.value.fault is StoreFault.FULL
        assert list((tmp_path / "chunks" / "tmp").iterdir()) == []
        assert store.answer(ChunkQuery(chunk_name(data), 0, 0)) is None


def anywhere(folder, needle):
    """Tell which files of a folder hold some bytes."""
    return [
        path.name for path in folder.iterdir() if path.is_file() and needle in path.read_bytes()
    ]


def secret(number, value):
    return MetaRow(f"letter/own/{number:08x}", value, secret=True)


def test_bytes_of_a_deleted_secret_are_nowhere_in_the_files(tmp_path):
    secrets = [bytes([65 + number]) * 48 for number in range(12)]
    with closing(SqliteStore(tmp_path)) as store:
        for number, value in enumerate(secrets):
            store.commit([(secret(number, value), entry(number + 1, 3_000))])
            store.commit([(MetaRow(f"head/{number}", bytes(number * 40)),)])
            assert anywhere(tmp_path, value)
            if number >= 3:
                store.commit([(secret(number - 3, None), entry(100 + number, 900))])
                assert anywhere(tmp_path, secrets[number - 3]) == []
                assert store.load().metas[f"letter/own/{number:08x}"] == value
    assert [anywhere(tmp_path, value) for value in secrets[:9]] == [[]] * 9
    assert anywhere(tmp_path, secrets[9]) == ["store.db"]


def test_secret_deleted_before_a_crash_is_gone_after_the_next_start(tmp_path, monkeypatch):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(secret(1, b"S" * 48),)])
        monkeypatch.setattr(SqliteStore, "_erase", lambda self: None)
        store.commit([(secret(1, None),)])
        assert "store.db-wal" in anywhere(tmp_path, b"S" * 48)
        copy = tmp_path / "copy"  # what a power cut leaves
        copy.mkdir()
        for name in ("store.db", "store.db-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    with closing(SqliteStore(copy)):
        assert anywhere(copy, b"S" * 48) == []


def test_database_without_secrets_gets_room_for_them(tmp_path):
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(MetaRow("boot", b"1"),)])
    with closing(sqlite3.connect(tmp_path / "store.db")) as old:
        old.execute("DROP TABLE secrets")
        old.commit()
    with closing(SqliteStore(tmp_path)) as store:
        store.commit([(secret(1, b"S" * 48),)])
        assert store.load().metas == {"boot": b"1", "letter/own/00000001": b"S" * 48}
