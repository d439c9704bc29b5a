"""Chunk files: torn, rotten and left-over ones are found, and never served."""

import os

import pytest
from devices.seeded_bytes import bytes_of

from meshd.core.crypto import chunk_name
from meshd.store.chunks import ChunkFolder
from meshd.store.interface import StoreError

DATA = bytes(range(256)) * 40
NAME = chunk_name(DATA)


@pytest.fixture
def folder(tmp_path):
    chunks = ChunkFolder(tmp_path / "chunks")
    chunks.open()
    return chunks


def place(folder):
    return folder.path / NAME.hex()[:2] / NAME.hex()


def test_chunk_lies_under_its_name(folder):
    assert folder.keep(NAME, DATA, durable=True)
    assert place(folder).read_bytes() == DATA


def test_durable_chunk_and_its_folders_are_synced(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    folder.keep(NAME, DATA, durable=True)
    assert synced[0].startswith(str(folder.path / "tmp"))
    assert synced[1:] == [str(folder.path), str(place(folder).parent)]


def test_chunk_of_passage_is_not_synced_until_it_must_last(folder, monkeypatch):
    synced = []
    folder.keep(chunk_name(b""), b"", durable=False)
    place(folder).parent.mkdir(exist_ok=True)
    monkeypatch.setattr(os, "fsync", synced.append)
    folder.keep(NAME, DATA, durable=False)
    assert synced == []
    folder.keep(NAME, DATA, durable=True)
    assert len(synced) == 3
    folder.keep(NAME, DATA, durable=True)
    assert len(synced) == 5


@pytest.mark.parametrize("torn", [b"", DATA[:100], bytes(len(DATA)), DATA[:-1] + b"!"])
def test_torn_chunk_is_removed_and_not_held(folder, torn):
    folder.keep(NAME, DATA, durable=True)
    place(folder).write_bytes(torn)
    folder.open()
    assert folder.read(NAME) is None
    assert folder.read_part(NAME, 0, 0) is None
    assert not place(folder).exists()
    assert folder.keep(NAME, DATA, durable=True)
    assert folder.read(NAME) == DATA


def test_torn_chunk_is_replaced_when_kept_again(folder):
    folder.keep(NAME, DATA, durable=True)
    place(folder).write_bytes(DATA[:7])
    assert folder.keep(NAME, DATA, durable=False)
    assert folder.read(NAME) == DATA


def test_leftovers_are_removed_at_start(folder):
    (folder.path / "tmp" / "3").write_bytes(b"half")
    folder.keep(NAME, DATA, durable=True)
    folder.open()
    assert list((folder.path / "tmp").iterdir()) == []
    assert folder.read(NAME) == DATA


def test_name_of_a_wrong_length_is_refused(folder):
    assert not folder.keep(NAME[:31], DATA, durable=False)


def test_part_beyond_the_end_is_empty(folder):
    folder.keep(NAME, DATA, durable=False)
    assert folder.read_part(NAME, len(DATA), 10) == (len(DATA), b"")


def test_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "chunks").write_text("a file")
    with pytest.raises(StoreError, match="chunks"):
        ChunkFolder(tmp_path / "chunks").open()


@pytest.mark.parametrize("size", [1, 256 * 1024, 300_001, 1024 * 1024, 1024 * 1024 + 16])
@pytest.mark.parametrize("durable", [False, True])
def test_chunk_of_any_size_is_whole(folder, size, durable):
    data = bytes_of(size)
    assert folder.keep(chunk_name(data), data, durable=durable)
    assert folder.read(chunk_name(data)) == data
