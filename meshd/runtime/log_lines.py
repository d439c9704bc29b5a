"""The daemon's log on standard error.

Enters: records of any logger. Leaves: lines.
"""

import logging

from meshd.status.cells import visible


class Lines(logging.Formatter):
    """Writes nothing that a terminal would act on: names and texts come from the air."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or the lines of a traceback."""
        return visible(super().format(record))


def set_up_log(level: str) -> None:
    """Write what is at least as important as `level`."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(asctime)s %(levelname)-7s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
