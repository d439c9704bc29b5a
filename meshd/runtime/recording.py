"""When the operator asks for a recording: its file, what is said of it, its end.

Enters: a NodeConfig. Leaves: a tape for the node, and the warnings that people get.
"""

import logging

from meshd.config.values import NodeConfig
from meshd.core.snapshot import Problem
from meshd.node import Node
from meshd.recording.recorder import RecordingNode
from meshd.recording.tape import Tape
from meshd.runtime.tape_worker import TapeWorker

log = logging.getLogger("meshd")

_MB = 1_000_000


def start_tape(config: NodeConfig) -> TapeWorker | None:
    """Return the new file to record to; None when nobody asked. Raises: RequestError."""
    if not config.record:
        return None
    return TapeWorker(Tape(config.record, bytes_max=config.record_mb_max * _MB))


def recording_problem(tape: TapeWorker) -> Problem | None:
    """Return what `status` shows while a recording runs, so that nobody forgets it."""
    if tape.problem is not None:
        return tape.problem
    return Problem(
        "recording",
        f"all that this node is told is written to {tape.path}, and the device's keys with it",
        "keep that file as safe as the device key; start meshd without --record to end it",
    )


def end_recording(node: Node, tape: TapeWorker | None) -> None:
    """Write the last line of a recording and close it, if this node records."""
    if isinstance(node, RecordingNode):
        node.finish()
    if tape is not None and not tape.close():
        log.warning("recording cut path=%s: its disk did not take the end in time", tape.path)
