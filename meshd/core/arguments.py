"""Arguments of local requests, as JSON brought them: not trusted, checked where they are used.

Enters: a request's arguments and the name of one. Leaves: its value, or a `RequestError` that says
what is wrong with it.
"""

from meshd.core.errors import Exit, RequestError

Args = dict[str, object]

DEPTH_MAX = 32
"""Lists and objects within each other; no argument needs more than two."""


def deeper(value: object, depth_max: int) -> bool:
    """Tell whether a JSON value is nested more deeply than that."""
    layer = [value]
    for _ in range(depth_max + 1):
        layer = [
            item
            for holder in layer
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not layer:
            return False
    return True


def text_of(args: Args, name: str, default: str | None = None) -> str:
    """Return a text argument.

    Raises: RequestError when it is missing, empty, no text, or holds what UTF-8 cannot carry.
    """
    value = args.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name} is missing or empty", code=Exit.USAGE, remedy=f"give {name}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{name} is not valid text", code=Exit.USAGE) from error
    return value


def number_of(args: Args, name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number within bounds.

    Raises: RequestError.
    """
    value = args.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RequestError(f"{name} must be a whole number from {least} to {most}", code=Exit.USAGE)
    return value


def seconds_of(
    args: Args, name: str, *, default: float, least: float = 0.001, most: float
) -> float:
    """Return a time span within bounds.

    Raises: RequestError.
    """
    value = args.get(name)
    if value is None:
        return default
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    text = f"{name} must be a number of seconds from {least:g} to {most:g}"
    raise RequestError(text, code=Exit.USAGE)
