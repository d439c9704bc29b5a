"""Bytes that look random and are the same in each run, so that a red test can be played again.

Enters: how many, and what tells them from others of that size. Leaves: bytes.
"""

from random import Random


def bytes_of(size: int, seed: object = "") -> bytes:
    """Return so many bytes; other ones for each seed, whose repr counts."""
    return Random(f"{size} {seed!r}").randbytes(size)
