"""What a key and a table of a TOML file are, and the conversions that files share.

Enters: what TOML held. Leaves: a value, or ValueError with one sentence that says what is wrong;
the reader adds where. Must not know: what any file is about.
"""

from collections.abc import Callable
from typing import NamedTuple

Convert = Callable[[object], object]


class Key(NamedTuple):
    """One key. `convert` takes what TOML held and raises ValueError with one sentence."""

    name: str
    shape: str
    convert: Convert
    default: str
    about: str
    example: str = ""


class Table(NamedTuple):
    """A table of keys; `many` for an array of tables, `required` names keys it cannot lack."""

    name: str
    about: str
    keys: tuple[Key, ...]
    many: bool = False
    required: tuple[str, ...] = ()


_TYPE_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


def type_name(value: object) -> str:
    """Return what a person calls the type of a TOML value."""
    return _TYPE_NAMES.get(type(value), "a date or time")


def figure(value: float) -> str:
    """Return a number as a message shows it, however long it was."""
    if isinstance(value, float):
        return f"{value:g}"
    if abs(value) < 10**20:
        return str(value)
    return f"a number of {value.bit_length()} bits"


def text(value: object) -> str:
    """Take a text that can be shown on one line."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {type_name(value)}")
    if not value.isprintable():
        raise ValueError("must not hold characters that cannot be printed")
    return value


def filled(value: object) -> str:
    """Take a text that is not empty."""
    if not text(value):
        raise ValueError("must not be empty")
    return text(value)


def boolean(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {type_name(value)}")
    return value


def parsed(parse: Callable[[str], object]) -> Convert:
    """Take a text that `parse` understands."""
    return lambda value: parse(text(value))


def each(parse: Callable[[str], object]) -> Convert:
    """Take a list of texts, each understood by `parse` and none given twice."""

    def convert(value: object) -> object:
        if not isinstance(value, list):
            raise ValueError(f"must be a list of texts, not {type_name(value)}")
        items = tuple(parse(text(item)) for item in value)
        seen: dict[object, None] = {}
        for item in items:
            if item in seen:
                raise ValueError(f'"{item}" stands there twice')
            seen[item] = None
        return items

    return convert


def integer(low: int, high: int) -> Convert:
    """Take an integer from `low` to `high`."""

    def convert(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be an integer, not {type_name(value)}")
        if not low <= value <= high:
            raise ValueError(f"{figure(value)} is not between {low} and {high}")
        return value

    return convert


def number(low: float, high: float, *, above: bool = False) -> Convert:
    """Take a number from `low` to `high`; `above`: more than `low`."""

    def convert(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number, not {type_name(value)}")
        if not low <= value <= high:  # nor is it when it is not a number at all
            raise ValueError(f"{figure(value)} is not between {low:g} and {high:g}")
        if above and value == low:
            raise ValueError(f"must be more than {low:g}")
        return float(value)

    return convert
