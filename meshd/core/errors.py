"""The four kinds of failure. A peer's mistake is none of them: it is a `DropReason`.

`WireError` leaves `wire/` and is turned into a drop by its caller; `UsageError` is our own caller's
mistake; `RequestError` is the answer to a person or a script; `ConfigError` names file and line.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_RUNNING = 3
    NOT_FOUND = 4
    TIMEOUT = 5
    DENIED = 6
    CONFIG = 7
    DEGRADED = 8
    HARDWARE = 9
    RULE_BROKEN = 10
    TEMPORARY = 75
    INTERRUPTED = 130


class MeshdError(Exception):
    """Any error that meshd raises on purpose."""


class WireError(MeshdError):
    """Bytes that are not a valid value of the format they claim to be."""


class UsageError(MeshdError):
    """The caller broke the contract of an interface."""


class RequestError(MeshdError):
    """A local request that cannot be met. Carries the exit code and what to do next.

    `reached` is the value as far as it came, of a request that was met in part.
    """

    def __init__(
        self,
        text: str,
        *,
        code: Exit = Exit.ERROR,
        remedy: str = "",
        reached: dict[str, object] | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.remedy = remedy
        self.reached = reached


class ConfigError(RequestError):
    """A configuration that cannot be used; the text says file and line."""

    def __init__(self, text: str, *, remedy: str = "") -> None:
        super().__init__(text, code=Exit.CONFIG, remedy=remedy)
