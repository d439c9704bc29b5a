"""Killed at 50 seeded points, inside commits too: what was said to be committed is there."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from integration.store_crasher import ANN, BOB, SPACE, chunk, entry

from meshd.core.crypto import chunk_name
from meshd.core.events import ChunkQuery, EntriesQuery, EntryRow
from meshd.store.sqlite import SqliteStore

POINTS = 50
ROOT = Path(__file__).resolve().parents[2]


def crash(folder):
    """Run the writers; return {seed: what it said before it was killed}."""
    program = Path(__file__).with_name("store_crasher.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder), "1", str(POINTS)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nothing_committed_is_lost_by_kill(tmp_path):
    runs = crash(tmp_path)
    assert len(runs) == POINTS
    open_when_killed = 0
    for run in runs:
        where = f"seed {run['seed']}"
        assert run["signal"] in {signal.SIGKILL, signal.SIGALRM}, where
        folder = tmp_path / str(run["seed"])
        with closing(SqliteStore(folder)) as store:
            held = {author: feed(store, author, where) for author in (ANN, BOB)}
            assert held[ANN] == held[BOB] + 1, f"{where}: half a group"
            assert held[ANN] >= max(run["said"]["a"]), where
            assert held[BOB] >= max(run["said"]["b"], default=0), where
            open_when_killed += held[ANN] == max(run["said"]["a"])
            for number in run["said"]["c"]:
                data = chunk(number)
                answer = store.answer(ChunkQuery(chunk_name(data), 0, len(data)))
                assert answer == (len(data), data), where
            assert list((folder / "chunks" / "tmp").iterdir()) == [], where
            goes_on(store, held[ANN], where)
    assert open_when_killed > POINTS // 4, "too few were killed inside a commit"


def feed(store, author, where):
    """Return the head of a feed after checking each entry and the image."""
    heads = {image.author: image for image in store.load().feeds}
    if author not in heads:
        return 0
    head = heads[author]
    entries = store.answer(EntriesQuery(SPACE, author, 1, head.seq, 1 << 30))
    assert entries == tuple(entry(author, seq) for seq in range(1, head.seq + 1)), where
    assert head.last == entries[-1] and head.bytes_total == sum(map(len, entries)), where
    return head.seq


def goes_on(store, seq, where):
    store.commit([(EntryRow(SPACE, ANN, seq + 1, entry(ANN, seq + 1)),)])
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",), where
