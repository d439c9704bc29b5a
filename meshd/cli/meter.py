"""How far a long computation is, on stderr: a bar on a terminal, a line a minute elsewhere."""

import sys
import time

from meshd.cli.output import bar
from meshd.core.spans import span
from meshd.status.cells import clean

_SPARSE_S = 60.0
_EVERY_S = 0.2
_GUESS_SHARE, _GUESS_S = 0.03, 10.0
"""Before so much is done, and so long it has taken, nobody can say how long the rest will take."""


class Meter:
    """Says at once that it has begun and what it does; then how far it is."""

    def __init__(self, label: str, about: str) -> None:
        self._label = label
        self._terminal = sys.stderr.isatty()
        self._began_s = self._told_s = time.monotonic()
        self._show(about)

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def update(self, done_us: int, total_us: int) -> None:
        """Show virtual time, how much faster than life it goes, and when it will be done."""
        now_s = time.monotonic()
        if now_s - self._told_s < (_EVERY_S if self._terminal else _SPARSE_S):
            return
        self._told_s = now_s
        spent_s = max(now_s - self._began_s, 1e-6)
        share = done_us / total_us if total_us else 1.0
        left = ""
        if share >= _GUESS_SHARE and spent_s >= _GUESS_S:
            left = f", {span(round(spent_s / share - spent_s))} left"
        text = (
            f"{share:4.0%}  {span(done_us / 1e6)} of {span(total_us / 1e6)}, "
            f"{done_us / 1e6 / spent_s:.2g} times as fast as life{left}"
        )
        if self._terminal:
            text = f"{bar(share)} {text}"
        self._show(text)

    def _show(self, text: str) -> None:
        line = clean(f"{self._label}: {text}")
        sys.stderr.write(f"\r{line}\x1b[K" if self._terminal else f"{line}\n")
        sys.stderr.flush()
