"""`make bench [ONLY=group] [FIGURE=file]`: run the measurements of a group, one after the other.

A group is a folder beside this file; each of its modules has `measure() -> list[Figure]`, and runs
the rivals it compares with in the same call. A measurement that fails is told, the others go on.
"""

import argparse
import importlib
import sys
import traceback
from pathlib import Path

from report import Figure, table, write

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))


def modules(group: str) -> list[str]:
    """Return the names of the measurements of a group."""
    return sorted(path.stem for path in (HERE / group).glob("*.py") if path.stem[0] != "_")


def main() -> int:
    """Measure; return 1 when a measurement could not be made."""
    groups = sorted(path.name for path in HERE.iterdir() if path.is_dir() and path.name[0] != "_")
    parser = argparse.ArgumentParser(description="Measure, beside the rivals.")
    parser.add_argument("--only", choices=groups, help="one group (default: all)")
    parser.add_argument("--figure", help="one file of the group; nothing is written then")
    options = parser.parse_args()
    failed = False
    for group in [options.only] if options.only else groups:
        figures: list[Figure] = []
        for name in [options.figure] if options.figure else modules(group):
            print(f"bench: {group}: {name} …", file=sys.stderr, flush=True)
            try:
                figures += importlib.import_module(f"{group}.{name}").measure()
            except Exception:
                traceback.print_exc()
                failed = True
        print(table(figures))
        if not options.figure:
            print(f"written to {write(group, figures)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
