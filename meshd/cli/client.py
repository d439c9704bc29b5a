"""A blocking client of the control socket, with no event loop: it must start fast.

Enters: a verb and its arguments, perhaps an open file. Leaves: the value, or a RequestError that
carries the exit code.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator

from meshd.config.paths import (
    CONFIG_FILE,
    CONTROL_GROUP,
    CONTROL_SOCKET,
    SYSTEM_STATE_DIR,
    default_state_dir,
)
from meshd.core.errors import Exit, RequestError

GRACE_S = 5.0
"""How much longer a command waits than the time that the daemon itself keeps for it."""

ANSWER_BYTES_MAX = 32 * 1024 * 1024
_CODES = {int(code): code for code in Exit}

OnProgress = Callable[[str, int, int], None]


def state_dir(said: str | None) -> str:
    """Return the state directory to use; without one of our own, the system's daemon is meant."""
    if said:
        return os.path.abspath(said)
    path = default_state_dir()
    system = os.path.join(SYSTEM_STATE_DIR, CONTROL_SOCKET)
    if not os.environ.get("MESHD_STATE_DIR") and not os.path.isdir(path) and os.path.exists(system):
        return SYSTEM_STATE_DIR
    return path


class Client:
    """One connection to the daemon of a state directory. `timeout_s` None waits for ever."""

    def __init__(self, path: str, *, timeout_s: float | None = 10.0) -> None:
        self._where = path
        self._timeout_s = timeout_s
        self._number = 0
        self._input = bytearray()
        name = os.path.join(path, CONTROL_SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(name)
        except OSError as error:
            self._socket.close()
            raise self._unreachable(name, error) from error

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(
        self,
        verb: str,
        args: dict[str, object] | None = None,
        *,
        file: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, object]:
        """Ask for `verb` and return its value; `file` is an open descriptor to send along.

        Raises: RequestError.
        """
        self._number += 1
        asked = dict(args or {})
        if file is not None:
            asked["file"] = 0
        self._send({"id": self._number, "verb": verb, "args": asked}, file)
        while True:
            answer = self._receive()
            if answer.get("id") not in (self._number, None):
                continue
            progress = answer.get("progress")
            if isinstance(progress, dict):
                if on_progress:
                    on_progress(
                        str(progress.get("what")),
                        int(progress.get("done", 0)),
                        int(progress.get("total", 0)),
                    )
                continue
            if answer.get("ok") is True:
                value = answer.get("value")
                return value if isinstance(value, dict) else {}
            if "ok" in answer:
                raise _error(answer)

    def watch(self) -> Iterator[dict[str, object]]:
        """Begin to watch at once; return the notices until the daemon ends the connection."""
        self.call("watch")
        self._socket.settimeout(None)
        return self._notices()

    def _notices(self) -> Iterator[dict[str, object]]:
        while True:
            answer = self._receive()
            notice = answer.get("notice")
            if isinstance(notice, dict):
                yield notice

    def _send(self, message: dict[str, object], file: int | None) -> None:
        try:
            data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        except UnicodeEncodeError as error:
            raise RequestError(
                "an argument is not UTF-8 text",
                code=Exit.USAGE,
                remedy="a file can be given another name with --name",
            ) from error
        try:
            if file is None:
                self._socket.sendall(data)
            else:
                sent = socket.send_fds(self._socket, [data], [file])
                self._socket.sendall(data[sent:])
        except TimeoutError as error:
            raise self._late() from error
        except OSError:
            return  # whoever ended the connection has said why: the answer will be read

    def _receive(self) -> dict[str, object]:
        while True:
            end = self._input.find(b"\n")
            if end >= 0:
                line = bytes(self._input[:end])
                del self._input[: end + 1]
                return _decode(line)
            try:
                data = self._socket.recv(65536)
            except TimeoutError as error:
                raise self._late() from error
            except OSError:
                data = b""
            if not data or len(self._input) > ANSWER_BYTES_MAX:
                raise RequestError(
                    "the daemon ended the connection",
                    code=Exit.NOT_RUNNING,
                    remedy="it may have stopped; its log says why",
                )
            self._input += data

    def _late(self) -> RequestError:
        return RequestError(
            f"no answer within {self._timeout_s:g} s",
            code=Exit.TIMEOUT,
            remedy="wait longer with --timeout SECONDS; meshd status shows what is connected",
        )

    def _unreachable(self, name: str, error: OSError) -> RequestError:
        if isinstance(error, PermissionError):
            return RequestError(
                f"{name}: this user may not control the daemon",
                code=Exit.DENIED,
                remedy=f"use sudo, or join the group {CONTROL_GROUP} and log in again",
            )
        if isinstance(error, TimeoutError | BlockingIOError):
            return self._late()
        start = f"meshd run --state-dir {self._where}"
        remedy = f"start it with: {start}"
        if not os.path.exists(os.path.join(self._where, CONFIG_FILE)):
            remedy += (
                f" --interface NAME\n  with a LoRa radio alone: {start} --radio PORT --region NAME"
            )
        if self._where != SYSTEM_STATE_DIR and os.path.isdir(SYSTEM_STATE_DIR):
            remedy += (
                "\n  for the system's daemon: sudo meshd status,"
                f" or join the group {CONTROL_GROUP} and log in again"
            )
        return RequestError(
            f"no daemon runs on {self._where}", code=Exit.NOT_RUNNING, remedy=remedy
        )


def _decode(line: bytes) -> dict[str, object]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RequestError(
            "the daemon sent something that is not JSON", remedy="compare the versions of both"
        )
    return answer


def _error(answer: dict[str, object]) -> RequestError:
    code, reached = answer.get("code"), answer.get("reached")
    return RequestError(
        str(answer.get("error") or "the daemon refused"),
        code=_CODES.get(code, Exit.ERROR) if isinstance(code, int) else Exit.ERROR,
        remedy=str(answer.get("remedy") or ""),
        reached=reached if isinstance(reached, dict) else None,
    )
