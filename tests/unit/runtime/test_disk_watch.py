"""A disk that is nearly full is told before it is full."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from meshd.runtime import disk_watch
from meshd.runtime.disk_watch import FLOOR_BYTES, DiskWatch, problem_of

GB, MB = 1_000_000_000, 1_000_000


@pytest.mark.parametrize(
    ("free", "total", "nearly"),
    [
        (FLOOR_BYTES, 32 * GB, False),
        (FLOOR_BYTES - 1, 32 * GB, True),
        (40 * MB, 500 * MB, False),
        (24 * MB, 500 * MB, True),
        (MB, 8 * MB, False),
        (MB // 3, 8 * MB, True),
        (0, 0, False),
    ],
)
def test_floor_is_a_part_of_a_small_disk_and_a_fixed_size_on_a_large_one(free, total, nearly):
    found = problem_of("/var/lib/meshd", free, total)
    assert (found is not None) is nearly
    if found:
        assert found.code == "disk-nearly-full" and "/var/lib/meshd" in found.text and found.remedy


def test_it_is_told_once_and_over_when_there_is_a_quarter_more(monkeypatch):
    told = []
    free = [100 * MB]
    disk = SimpleNamespace(f_frsize=1, f_blocks=32 * GB)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**vars(disk), f_bavail=free[0]))

    async def play():
        watch = DiskWatch("/somewhere", lambda kind, problem: told.append((kind, problem)))
        for room in (100, 60, 60, 70, 90, 90):
            free[0] = room * MB
            watch.look()
            watch.stop()
            assert watch._timer.cancelled()

    asyncio.run(play())
    assert [kind for kind, _ in told] == ["disk"] * 4
    assert [problem is not None for _, problem in told] == [True, True, True, False]


def test_disk_that_does_not_answer_is_left_to_the_store(monkeypatch):
    def fails(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk_watch.os, "statvfs", fails)

    async def play():
        watch = DiskWatch("/somewhere", pytest.fail)
        watch.look()
        watch.stop()

    asyncio.run(play())
