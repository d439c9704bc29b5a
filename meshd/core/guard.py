"""A value with its checksum, as rows of the store keep it: a flipped bit is damage, not a value.

Enters: bytes or fields, and the name of the row. Leaves: the same with a last line, and back, or
WireError. Ref: docs/wire-format.md#space-rows.
"""

from json import dumps

from meshd.core.crypto import digest
from meshd.core.errors import WireError
from meshd.core.events import MetaRow

GUARD_LEN = 16
DAMAGES = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a row raises when it is not what was written: bad JSON and UTF-8 are of these."""


def guarded(value: bytes, name: str = "") -> bytes:
    """Return a value and a line with its digest; with a `name` it counts under that one alone."""
    check = digest(name.encode() + value, size=GUARD_LEN, person=b"meshd-row")
    return value + b"\n" + check.hex().encode()


def unguarded(data: bytes, name: str = "") -> bytes:
    """Return the value in what `guarded` made. Raises: WireError for anything else."""
    value = data[: -2 * GUARD_LEN - 1]
    if guarded(value, name) != data:
        raise WireError("a kept row does not fit its checksum")
    return value


def json_row(key: str, fields: dict[str, object]) -> MetaRow:
    """Return a row that holds fields as compact JSON, guarded under its key."""
    text = dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return MetaRow(key, guarded(text.encode(), key))
