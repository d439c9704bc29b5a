"""`python -m meshd`, and the `meshd` command."""

import os
import sys
from types import TracebackType


def main() -> int:
    """Run one command and return its exit code."""
    if not os.environ.get("MESHD_DEBUG"):
        sys.excepthook = _mistake
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show must not end the command.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from meshd.cli.main import main as run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


def _mistake(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """Tell of a mistake of ours in one line; people are not shown tracebacks."""
    from meshd.status.cells import visible

    said = visible(f"{kind.__name__}: {error}")
    sys.stderr.write(
        f"meshd: this is a mistake in meshd: {said}\n"
        "  next: run it again with MESHD_DEBUG=1, and report what it shows\n"
    )


if __name__ == "__main__":
    sys.exit(main())
