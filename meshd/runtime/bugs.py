"""What is said of an exception that nobody caught: logged, and shown as a problem.

Enters: what asyncio tells of it. Leaves: lines of the log, a problem for `status`. Must not know:
the node, which goes on.
"""

import errno
import logging
from collections.abc import Mapping
from typing import Any

from meshd.core.snapshot import Problem

log = logging.getLogger("meshd")


def problem_of(context: Mapping[str, Any]) -> tuple[str, Problem]:
    """Log a fault; return under which name it is shown, and what is shown."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        log.warning("no descriptor left: %s", context.get("message"))
        text = "this process had as many files and connections open as it may have"
        remedy = "raise the limit: LimitNOFILE= of its systemd unit, or ulimit -n; 1024 is enough"
        return "descriptors", Problem("descriptors", text, remedy)
    log.error("bug %s", context.get("message"), exc_info=error)
    text = f"meshd has a fault: {type(error).__name__}: {error}"
    return "bug", Problem("bug", text, "please report it with the log; the node goes on")
