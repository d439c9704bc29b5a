"""The lines of the control socket: newline-delimited JSON to values and back.

Enters: a line of whoever connected, not trusted; replies of the engine. Leaves: a request's parts,
or a `RequestError`; lines to send. Knows neither sockets nor verbs. Ref: docs/control-socket.md.
"""

import json

from meshd.core.arguments import DEPTH_MAX, deeper
from meshd.core.errors import Exit, RequestError
from meshd.core.events import Reply
from meshd.core.snapshot import to_json

_NAME_MAX = 64


def parse(line: bytes) -> dict[str, object]:
    """Parse a line.

    Raises: RequestError when it is no JSON object, or holds what UTF-8 cannot carry.
    """
    try:
        message = json.loads(line, parse_constant=_no_constant)
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestError(
            "a line is not JSON", code=Exit.USAGE, remedy='send {"id":1,"verb":"status","args":{}}'
        ) from None
    if not isinstance(message, dict):
        raise RequestError("a line is not a JSON object", code=Exit.USAGE)
    if deeper(message, DEPTH_MAX):
        raise RequestError("a line is nested too deeply", code=Exit.USAGE)
    return message


def _no_constant(name: str) -> object:
    raise ValueError(name)


def call_number(message: dict[str, object]) -> int | str:
    """Return the number or short text by which the client knows this request.

    Raises: RequestError.
    """
    number = message.get("id")
    if type(number) is int and abs(number) < 1 << 53:
        return number
    if isinstance(number, str) and len(number) <= _NAME_MAX:
        return number
    raise RequestError('"id" must be an integer or a short text', code=Exit.USAGE)


def verb_and_args(message: dict[str, object]) -> tuple[str, dict[str, object]]:
    """Return what is asked, and with which arguments.

    Raises: RequestError.
    """
    verb, args = message.get("verb"), message.get("args", {})
    if not isinstance(verb, str) or not 0 < len(verb) <= _NAME_MAX:
        raise RequestError('"verb" must be a short text', code=Exit.USAGE)
    if not isinstance(args, dict):
        raise RequestError('"args" must be an object', code=Exit.USAGE)
    return verb, args


def line_of(message: dict[str, object]) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def error_line(number: int | str | None, error: RequestError) -> bytes:
    """Return the answer to a request that failed; `number` None when it had none."""
    reached = {} if error.reached is None else {"reached": to_json(error.reached)}
    return line_of(
        {
            "id": number,
            "ok": False,
            "error": error.text,
            "code": int(error.code),
            "remedy": error.remedy,
            **reached,
        }
    )


def reply_line(number: int | str, reply: Reply) -> bytes:
    """Return the answer that a `Reply` of the engine is."""
    if reply.value is not None:
        return line_of({"id": number, "ok": True, "value": to_json(reply.value)})
    code = Exit(reply.code) if reply.code in Exit.__members__.values() else Exit.ERROR
    error = RequestError(reply.error, code=code, remedy=reply.remedy, reached=reply.reached)
    return error_line(number, error)
