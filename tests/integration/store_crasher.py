"""Run by test_store_crash: for each seed, a child that writes to a store until it is killed.

    python store_crasher.py FOLDER FIRST COUNT

Prints one JSON line a seed: what the child said it had committed before it died. Even seeds die at
a chosen step of SQLite's own machine, odd ones when a timer of so many microseconds fires, which
also cuts system calls. The children share no thread and no open file with their parent.
"""

import json
import os
import signal
import sys
from pathlib import Path
from random import Random

from meshd.core.crypto import chunk_name, digest
from meshd.core.events import EntryRow, KeepQuery, MetaRow
from meshd.store.sqlite import SqliteStore

SPACE, ANN, BOB = b"s" * 32, b"a" * 32, b"b" * 32
STEPS_MAX = 12_000
TIMER_MAX_S = 0.06
COMMITS_MAX = 100_000


def entry(author, seq):
    """Return the entry that every run writes at this place: a hash and some bulk."""
    return digest(author + seq.to_bytes(8, "big")) * (1 + seq % 90)


def chunk(number):
    return digest(b"chunk" + number.to_bytes(8, "big")) * 700


def write_until_killed(folder, seed, out):
    rng = Random(seed)
    store = SqliteStore(folder)
    store.commit([(EntryRow(SPACE, ANN, 1, entry(ANN, 1), True),)])
    os.write(out, b"a 1\n")
    if seed % 2:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, TIMER_MAX_S))
    else:
        left = rng.randrange(1, STEPS_MAX)

        def step():
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        store._writer.set_progress_handler(step, 1)
    ann, bob = 1, 0
    for number in range(COMMITS_MAX):
        groups = []
        for _ in range(rng.randrange(1, 5)):
            ann, bob = ann + 1, bob + 1
            groups.append((EntryRow(SPACE, ANN, ann, entry(ANN, ann)), MetaRow("ann", b"%d" % ann)))
            groups.append((EntryRow(SPACE, BOB, bob, entry(BOB, bob)),))
        store.commit(groups)
        os.write(out, b"a %d\nb %d\n" % (ann, bob))
        data = chunk(number)
        if number % 3 == 0 and store.answer(KeepQuery(chunk_name(data), data, durable=True)):
            os.write(out, b"c %d\n" % number)


def main(folder, first, count):
    for seed in range(first, first + count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            write_until_killed(folder / str(seed), seed, writing)
            os._exit(0)
        os.close(writing)
        said = b""
        while part := os.read(reading, 65536):
            said += part
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        lines = [line.split() for line in said.decode().splitlines()]
        numbers = {kind: [int(n) for k, n in lines if k == kind] for kind in "abc"}
        signal_number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        print(json.dumps({"seed": seed, "signal": signal_number, "said": numbers}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
