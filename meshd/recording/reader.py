"""The lines of a recording, read back: each checked before anything acts on it.

Enters: a file. Leaves: a `Header` and `Line`s. A last line that was cut is left out; any other that
does not hold what it should is a `RecordingError` with its number.
"""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any, BinaryIO, NamedTuple, TypeVar

from meshd.core.events import Link, StoreImage
from meshd.core.identity import Identity
from meshd.node import Boot, NodeOptions
from meshd.recording.recorder import SCHEMA
from meshd.recording.tape import IMAGE_BYTES_MAX, LINE_BYTES_MAX
from meshd.recording.values import RecordingError, coder, refuse
from meshd.recording.witness import INPUTS, Verb

ITEMS_MAX = 1 << 19
"""Values in one line: a short text of JSON can mean a thousand times as much memory."""

_HEAD = f'{{"schema":"{SCHEMA}",'.encode()
_RELOAD = re.compile(rb'\{(?:"at":\d{1,19},)?"do":"reload"')
_START_BYTES = 64
_WORDS = 625
"""What the state of Python's generator has: 624 words of 32 bits and a place among them."""
ADDRESS_LEN = 16
_Found = TypeVar("_Found")
_INT, _TEXT, _BYTES = coder(int).decode, coder(str).decode, coder(bytes).decode


class Header(NamedTuple):
    """What the node was made of."""

    version: str
    node: str
    crypto: str
    options: NodeOptions
    boot: Boot
    rng: Random
    identity: Identity
    image: StoreImage


class Done(NamedTuple):
    """What the host had polled since the input before, and the digest of it all."""

    polls: int
    seen: str


class Input(NamedTuple):
    """One call of a verb. `at` is None for the verbs that are not told the time."""

    done: Done
    verb: Verb
    at: int | None
    args: tuple[Any, ...]


class Check(NamedTuple):
    """A digest of the state; `last` at the clean end of the recording."""

    done: Done
    state: str
    last: bool


class Entropy(NamedTuple):
    """Bytes that the node drew at this point."""

    data: bytes


class Raised(NamedTuple):
    """The node failed at this point, by this exception."""

    kind: str


Line = Input | Check | Entropy | Raised


class Reader:
    """The lines one by one; `number` is that of the line that `peek` shows."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header. Raises: RecordingError."""
        self._file = file
        self.number = 0
        self.cut = False
        self._next: Line | None = None
        start = file.read(len(_HEAD))
        if start.startswith(b'{"schema":') and start != _HEAD[: len(start)]:
            raise RecordingError(f"line 1: {refuse(f'a recording (schema {SCHEMA})', start)}")
        if start != _HEAD:
            raise RecordingError("this is no recording: it has no whole first line")
        first = self._parsed(_header, start, IMAGE_BYTES_MAX)
        if first is None:
            raise RecordingError("this is no recording: it has no whole first line")
        self.header = first
        self.advance()

    def peek(self) -> Line | None:
        """Return the next line, None at the end."""
        return self._next

    def advance(self) -> Line | None:
        """Take the next line. Raises: RecordingError when the one after it is damaged."""
        taken = self._next
        start = self._file.readline(_START_BYTES)
        longest = IMAGE_BYTES_MAX if _RELOAD.match(start) else LINE_BYTES_MAX
        self._next = self._parsed(_line, start, longest)
        return taken

    def _parsed(
        self, parse: Callable[[dict[str, object]], _Found], start: bytes, longest: int
    ) -> _Found | None:
        """Read the rest of the line that begins with `start`; judge its size, then parse it."""
        raw = start if start.endswith(b"\n") else start + self._file.readline(longest - len(start))
        if not raw.endswith(b"\n"):
            if len(raw) >= longest:
                raise RecordingError(f"line {self.number + 1}: longer than {longest >> 20} MiB")
            self.cut = self.cut or bool(raw)
            return None
        self.number += 1
        if sum(map(raw.count, (b",", b"[", b"{"))) > ITEMS_MAX:
            raise RecordingError(f"line {self.number}: holds more than {ITEMS_MAX} values")
        try:
            value = json.loads(raw)
            if not isinstance(value, dict):
                raise refuse("an object", value)
            return parse(value)
        except RecordingError as error:
            raise RecordingError(f"line {self.number}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"line {self.number}: this is no JSON: {error}") from error


def _header(value: dict[str, object]) -> Header:
    if value.get("schema") != SCHEMA:
        raise refuse(f"a recording (schema {SCHEMA})", value.get("schema"))
    identity = coder(Identity).decode(value.get("identity"))
    if {len(secret) for secret in identity} != {32}:
        raise RecordingError("the device's keys have the wrong length")
    return Header(
        _TEXT(value.get("version")),
        _TEXT(value.get("node")),
        _crypto(value.get("crypto")),
        coder(NodeOptions).decode(value.get("options")),
        coder(Boot).decode(value.get("boot")),
        _random(value.get("rng")),
        identity,
        coder(StoreImage).decode(value.get("image")),
    )


def _crypto(value: object) -> str:
    if value not in ("real", "stand-in"):
        raise refuse("crypto real or stand-in", value)
    return str(value)


def _random(value: object) -> Random:
    rng = Random(0)
    fits = isinstance(value, list) and len(value) == 3 and isinstance(value[1], list)
    if not isinstance(value, list) or not fits or len(value[1]) != _WORDS:
        raise refuse("the state of a generator", value)
    words = tuple(_INT(word) for word in value[1])
    gauss = value[2]
    if value[0] != 3 or not all(0 <= word < 1 << 32 for word in words) or words[-1] >= _WORDS:
        raise refuse("the state of a generator", value[0])
    if gauss is not None and not isinstance(gauss, float):
        raise refuse("a number", gauss)
    rng.setstate((3, words, gauss))
    return rng


def _line(value: dict[str, object]) -> Line:
    if "do" in value:
        return _input(value)
    if "entropy" in value:
        return Entropy(_BYTES(value["entropy"]))
    if "raised" in value:
        return Raised(_TEXT(value["raised"]))
    if "check" in value or "end" in value:
        return Check(_done(value), _TEXT(value.get("state")), "end" in value)
    raise refuse("an input, a check or an end", sorted(value))


def _done(value: dict[str, object]) -> Done:
    return Done(_INT(value.get("polls")), _TEXT(value.get("seen")))


def _input(value: dict[str, object]) -> Input:
    verb = INPUTS.get(_TEXT(value["do"]))
    if verb is None:
        raise refuse("a verb of the node", value["do"])
    at = _INT(value.get("at")) if verb.timed else None
    if at is not None and at < 0:
        raise refuse("a time", at)
    for name, _ in verb.args:
        if name not in value:
            raise RecordingError(f"{verb.name} without {name}")
    args = tuple(form.decode(value[name]) for name, form in verb.args)
    if any(isinstance(item, Link) and len(item.address) != ADDRESS_LEN for item in args):
        raise RecordingError("the address of a link has the wrong length")
    return Input(_done(value), verb, at, args)
