"""The values of the engine's border as plain JSON values and back, by their declared types.

Enters: a type as an annotation says it. Leaves: a `Coder` for it. Bytes become base64, a NamedTuple
or a dataclass an object by its field names. Decoding trusts nothing: it raises `RecordingError`.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from meshd.core.arguments import DEPTH_MAX, deeper
from meshd.core.errors import MeshdError

INTEGER_MAX = 1 << 63


class RecordingError(MeshdError):
    """A file that is no recording, or a damaged one; the text says where."""


class Coder(NamedTuple):
    """`encode` takes a value of the type, `decode` any JSON value."""

    encode: Callable[[Any], Any]
    decode: Callable[[object], Any]


@cache
def coder(kind: Any) -> Coder:
    """Return how values of a type are written. Raises: TypeError for a type that has no form."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) in (Union, UnionType):
        return _union(get_args(kind))
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind))
    if get_origin(kind) is dict:
        return _dict(get_args(kind)[1])
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Coder(str, lambda value: _one_of(kind, value))
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        return _record(kind, kind._fields)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, tuple(item.name for item in dataclass_fields(kind)))
    raise TypeError(f"{kind} has no form in a recording")


def refuse(wanted: str, value: object) -> RecordingError:
    """Return the error that says what was wanted instead of `value`."""
    shown = repr(value)
    return RecordingError(f"{wanted} is wanted, not {shown[:40]}{'…' * (len(shown) > 40)}")


def _keep(value: object) -> object:
    return value


def _shallow(value: object) -> object:
    """Take any value that is not nested deeper than what the control socket takes."""
    if deeper(value, DEPTH_MAX):
        raise RecordingError("a value is nested too deeply")
    return value


def _integer(value: object) -> int:
    if type(value) is not int or not -INTEGER_MAX < value < INTEGER_MAX:
        raise refuse("a whole number", value)
    return value


def _float(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if -INTEGER_MAX < value < INTEGER_MAX:  # nor is it when it is not a number at all
            return value
    raise refuse("a number", value)


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise refuse("true or false", value)
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise refuse("a text", value)
    return value


def _nothing(value: object) -> None:
    if value is not None:
        raise refuse("null", value)


def _bytes_out(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes_in(value: object) -> bytes:
    try:
        return b64decode(_text(value), validate=True)
    except ValueError as error:
        raise refuse("base64", value) from error


_PLAIN: dict[Any, Coder] = {
    int: Coder(_keep, _integer),
    bool: Coder(_keep, _boolean),
    float: Coder(_keep, _float),
    str: Coder(_keep, _text),
    bytes: Coder(_bytes_out, _bytes_in),
    object: Coder(_keep, _shallow),
    NoneType: Coder(_keep, _nothing),
}


def _one_of(kind: type[StrEnum], value: object) -> StrEnum:
    try:
        return kind(_text(value))
    except ValueError as error:
        raise refuse(f"one of {', '.join(kind)}", value) from error


def _union(kinds: tuple[Any, ...]) -> Coder:
    """A type or nothing; or an answer of the store, whose JSON form tells the types apart."""
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) > 1:
        return Coder(_answer_out, _answer_in)
    encode, decode = coder(others[0])
    return Coder(
        lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
    )


def _answer_out(value: object) -> object:
    if isinstance(value, tuple):
        return [_answer_out(item) for item in value]
    return _bytes_out(value) if isinstance(value, bytes) else value


def _answer_in(value: object) -> object:
    if isinstance(value, list):
        return tuple(_answer_in(item) for item in value if not isinstance(item, list))
    if value is None or isinstance(value, bool):
        return value
    return _bytes_in(value) if isinstance(value, str) else _integer(value)


def _tuple(kinds: tuple[Any, ...]) -> Coder:
    encode, decode = coder(kinds[0])
    if kinds[1:] != (...,):
        raise TypeError(f"a tuple of {kinds} has no form in a recording")

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise refuse("a list", value)
        return tuple(decode(item) for item in value)

    return Coder(lambda value: [encode(item) for item in value], read)


def _dict(kind: Any) -> Coder:
    encode, decode = coder(kind)

    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse("an object", value)
        return {key: decode(item) for key, item in value.items()}

    return Coder(lambda value: {key: encode(item) for key, item in value.items()}, read)


def _record(kind: Any, names: tuple[str, ...]) -> Coder:
    hints = get_type_hints(kind)
    coders = [(name, *coder(hints[name])) for name in names]

    def write(value: Any) -> dict[str, object]:
        return {name: encode(getattr(value, name)) for name, encode, _ in coders}

    def read(value: object) -> Any:
        if not isinstance(value, dict) or sorted(value) != sorted(names):
            raise refuse(f"an object of {', '.join(names)}", value)
        return kind(**{name: decode(value[name]) for name, _, decode in coders})

    return Coder(write, read)
