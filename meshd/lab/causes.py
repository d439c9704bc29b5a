"""What the logs of one place say that may be why something did not come.

Enters: the folder of a place. Leaves: sentences of the daemon and of the programs beside it.
"""

import re
from pathlib import Path

CAUSES_MAX = 3
"""Of each place, the last ones."""
CAUSE_LETTERS_MAX = 300
_LINE = re.compile(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) +\S+ (.*)")
_PROBLEM = re.compile(r"\bproblem code=(\S+) text=(.*)")
_OVER = re.compile(r"\bproblem-over code=(\S+)")


def causes(folder: Path) -> list[str]:
    """Return what a place complained of last: problems that are not over, errors, refusals."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            _take(line, found)
    return [text[:CAUSE_LETTERS_MAX] for text in list(found.values())[-CAUSES_MAX:]]


def _take(line: str, found: dict[str, str]) -> None:
    """Note a line: a problem by its code, anything else by itself."""
    if over := _OVER.search(line):
        found.pop(over[1], None)
    elif problem := _PROBLEM.search(line):
        found[problem[1]] = problem[2].replace(" next=", "; next: ")
    elif complaint := _LINE.match(line):
        found[complaint[1]] = complaint[1]
    elif line.startswith("meshd: "):
        found[line] = line.removeprefix("meshd: ")
    elif line.startswith("  next: ") and found:
        found[next(reversed(found))] += f"; {line.strip()}"
