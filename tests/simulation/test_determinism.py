"""One seed, one run: whatever the process, its hash seed, and whichever crypto."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import trace as world_trace
from worlds.trace import trace


@pytest.mark.parametrize(
    ("crypto", "hash_seeds"), [("stand-in", ("0", "12345")), ("real", ("777",))]
)
def test_same_seed_gives_the_same_run_in_any_process(crypto, hash_seeds):
    here = trace(5, crypto)
    for hash_seed in hash_seeds:
        done = subprocess.run(
            [sys.executable, str(Path(world_trace.__file__)), "5", crypto],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == here, f"PYTHONHASHSEED={hash_seed}"


def test_another_seed_gives_another_run():
    assert len({trace(seed, "stand-in") for seed in (5, 6)}) == 2


def test_a_second_world_in_one_process_is_not_disturbed_by_the_first():
    assert trace(9, "stand-in") == trace(9, "stand-in")
