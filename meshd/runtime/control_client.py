"""One connection to the control socket: its input by lines, its calls, its output within bounds.

Enters: lines of at most 64 KiB, with file descriptors for put and get; replies, progress and
notices of the daemon. Leaves: requests to the daemon, lines. Every line is answered or ends the
connection, and nothing that the client sends, or does not read, can grow without bound.
"""

import asyncio
import logging
import os
import socket
import stat
from collections import deque
from collections.abc import Callable
from fcntl import F_GETFL, fcntl
from typing import Protocol

from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.events import Notice, Progress, Reply
from meshd.core.snapshot import NodeSnapshot, to_json
from meshd.runtime.control_lines import (
    call_number,
    error_line,
    line_of,
    parse,
    reply_line,
    verb_and_args,
)

LINE_BYTES_MAX = 64 * 1024
CALLS_PER_CLIENT_MAX = 16
CALLS_MAX = 128
FILES_PER_LINE_MAX = 4
LINES_PER_TURN_MAX = 8
OUTPUT_BYTES_SOFT = 256 * 1024
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
FILE_VERBS = {"put": False, "get": True}
"""Verbs that take an open file, and whether they write to it."""

_LOG = logging.getLogger("meshd.control")
_SEE_LOG = "the daemon's log says more"


class Host(Protocol):
    """What the control socket needs of the daemon."""

    def request(
        self,
        verb: str,
        args: dict[str, object],
        on_event: Callable[[Reply | Progress], None],
    ) -> None:
        """Start a local request; `on_event` gets any number of Progress and one Reply.

        Raises: RequestError, instead of a Reply.
        """

    def snapshot(self) -> NodeSnapshot:
        """Describe the node now."""

    def watch(self, on_notice: Callable[[Notice], None]) -> Callable[[], None]:
        """Pass on every Notice until the returned function is called."""

    def register_file(self, fd: int, writable: bool) -> int:
        """Take ownership of an open regular file and return the handle that queries name it by."""

    def release_file(self, handle: int) -> None:
        """Close the file of a handle; called once for each `register_file`."""


class Server(Protocol):
    """What a connection needs of the server: the daemon, the calls of all, and whom to tell."""

    host: Host
    calls: int

    def closed(self, number: int) -> None:
        """Forget a connection."""


class ControlClient:
    """One connection: its input up to a line, its calls in flight, its output within bounds."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._number = connection.fileno()
        self._loop = asyncio.get_running_loop()
        self._input = bytearray()
        self._files: deque[int] = deque()
        self._output = bytearray()
        self._calls = 0
        self._missed = 0
        self._watches: list[Callable[[], None]] = []
        self._reading = False
        self._writing = False
        self._scheduled = False
        self._open = True
        self._ending = False
        self._half_closed = False
        self.last_used = self._loop.time()
        self._read(True)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by ending this connection."""
        return not self._calls and not self._watches and not self._output

    def close(self) -> None:
        """End the connection; calls in flight go on, their answers go nowhere."""
        if not self._open:
            return
        self._open = False
        self._read(False)
        self._write(False)
        for cancel in self._watches:
            cancel()
        for fd in self._files:
            os.close(fd)
        self._files.clear()
        self._connection.close()
        self._server.closed(self._number)

    # --- input ------------------------------------------------------------------------------------

    def _read(self, on: bool) -> None:
        if on and not self._reading:
            self._loop.add_reader(self._number, self._readable)
        elif self._reading and not on:
            self._loop.remove_reader(self._number)
        self._reading = on

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._connection, LINE_BYTES_MAX, FILES_PER_LINE_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        self._files.extend(fds)
        for fd in fds:
            os.set_inheritable(fd, False)
        if not data:
            self._half_closed = True
            self._read(False)
            self._close_if_done()
            return
        self.last_used = self._loop.time()
        self._input += data
        if len(self._files) > FILES_PER_LINE_MAX:
            self._end("more open files than one line may carry")
            return
        self._take_lines()

    def _take_lines(self) -> None:
        """Serve some of the lines at hand, as long as their answers find room."""
        self._scheduled = False
        for _ in range(LINES_PER_TURN_MAX):
            if not self._open or self._ending:
                return
            if len(self._output) > OUTPUT_BYTES_SOFT:
                self._read(False)
                return
            end = self._input.find(b"\n")
            if end > LINE_BYTES_MAX or (end < 0 and len(self._input) > LINE_BYTES_MAX):
                self._end(f"a line is longer than {LINE_BYTES_MAX} bytes")
                return
            if end < 0:
                self._read(True)
                return
            line = bytes(self._input[:end])
            del self._input[: end + 1]
            if line.strip():
                self._serve(line)
        self._take_lines_soon()

    def _take_lines_soon(self) -> None:
        """Let others have their turn first."""
        if self._open and not self._scheduled:
            self._scheduled = True
            self._read(False)
            self._loop.call_soon(self._take_lines)

    def _end(self, why: str) -> None:
        """Say why, and close when that has left."""
        self._ending = True
        self._read(False)
        remedy = "send less at once; a file is handed over open, not written into a line"
        self._send(error_line(None, RequestError(why, code=Exit.USAGE, remedy=remedy)))

    def _serve(self, line: bytes) -> None:
        number: int | str | None = None
        try:
            message = parse(line)
            number = call_number(message)
            self._dispatch(number, *verb_and_args(message))
        except RequestError as error:
            self._send(error_line(number, error))
        except UsageError as error:
            self._send(error_line(number, RequestError(str(error), code=Exit.USAGE)))
        except Exception:
            _LOG.exception("a control call failed")
            self._send(error_line(number, RequestError("internal error", remedy=_SEE_LOG)))

    def _dispatch(self, number: int | str, verb: str, args: dict[str, object]) -> None:
        view = _VIEWS.get(verb)
        if view is not None:
            self._send(line_of({"id": number, "ok": True, "value": view(self._server.host)}))
        elif verb == "watch":
            self._watch(number)
        else:
            self._call(number, verb, args)

    # --- calls ------------------------------------------------------------------------------------

    def _call(self, number: int | str, verb: str, args: dict[str, object]) -> None:
        server = self._server
        if self._calls >= CALLS_PER_CLIENT_MAX or server.calls >= CALLS_MAX:
            raise RequestError(
                "too many calls are in flight", code=Exit.TEMPORARY, remedy="wait for an answer"
            )
        handle = self._take_file(verb, args)
        self._calls += 1
        server.calls += 1
        ended = False

        def finish() -> None:
            nonlocal ended
            ended = True
            self._calls -= 1
            server.calls -= 1
            self.last_used = self._loop.time()
            if handle is not None:
                server.host.release_file(handle)

        def on_event(event: Reply | Progress) -> None:
            if ended:
                return
            if isinstance(event, Progress):
                shown = {"what": event.what, "done": event.done, "total": event.total}
                if len(self._output) <= OUTPUT_BYTES_SOFT:
                    self._send(line_of({"id": number, "progress": shown}))
                return
            finish()
            self._send(reply_line(number, event))

        try:
            server.host.request(verb, args, on_event)
        except BaseException:
            if not ended:
                finish()
            raise

    def _take_file(self, verb: str, args: dict[str, object]) -> int | None:
        """Hand the file that came with the line to the host; `args` then names its handle."""
        args.pop("handle", None)
        if verb not in FILE_VERBS:
            return None
        files = list(self._files)
        self._files.clear()
        try:
            index = args.pop("file", None)
            if type(index) is not int or not 0 <= index < len(files):
                raise RequestError(
                    f"{verb} needs an open file, sent along with the line", code=Exit.USAGE
                )
            fd = files[index]
            access = fcntl(fd, F_GETFL) & os.O_ACCMODE
            writable = FILE_VERBS[verb]
            refused = (os.O_RDONLY,) if writable else (os.O_WRONLY,)
            if not stat.S_ISREG(os.fstat(fd).st_mode) or access in refused:
                need = "to write to" if writable else "to read from"
                raise RequestError(f"{verb} needs a regular file {need}", code=Exit.USAGE)
            handle = self._server.host.register_file(fd, writable)
            files.pop(index)
        finally:
            for fd in files:
                os.close(fd)
        args["handle"] = handle
        return handle

    def _watch(self, number: int | str) -> None:
        if self._watches:
            raise RequestError("this connection watches already", code=Exit.USAGE)

        def on_notice(notice: Notice) -> None:
            if not self._open or len(self._output) > OUTPUT_BYTES_SOFT:
                self._missed += 1
                return
            shown: dict[str, object] = {"kind": notice.kind, "fields": to_json(notice.fields)}
            if notice.warning:
                shown["warning"] = True
            if self._missed:
                shown["missed"] = self._missed
                self._missed = 0
            self._send(line_of({"id": number, "notice": shown}))

        self._watches.append(self._server.host.watch(on_notice))
        self._send(line_of({"id": number, "ok": True, "value": {"watching": True}}))

    # --- output -----------------------------------------------------------------------------------

    def _send(self, line: bytes) -> None:
        if not self._open:
            return
        self._output += line
        if len(self._output) > OUTPUT_BYTES_MAX:
            self.close()
        elif not self._writing:
            self._writable()

    def _write(self, on: bool) -> None:
        if on and not self._writing:
            self._loop.add_writer(self._number, self._writable)
        elif self._writing and not on:
            self._loop.remove_writer(self._number)
        self._writing = on

    def _writable(self) -> None:
        try:
            sent = self._connection.send(self._output)
            del self._output[:sent]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        self._write(bool(self._output))
        if self._ending or self._half_closed:
            self._close_if_done()
        elif not self._reading and len(self._output) <= OUTPUT_BYTES_SOFT:
            self._take_lines_soon()

    def _close_if_done(self) -> None:
        """Close once what is owed has left; a client that stopped sending still gets answers."""
        owed = self._output or (self._calls and not self._ending)
        if not owed or (self._watches and self._half_closed):
            self.close()


# --- what the snapshot answers --------------------------------------------------------------------


def _id(host: Host) -> object:
    now = host.snapshot()
    return {"node": now.node, "address": now.address, "mesh": now.mesh}


def _version(host: Host) -> object:
    return {"version": host.snapshot().version}


_VIEWS: dict[str, Callable[[Host], object]] = {
    "id": _id,
    "version": _version,
    "status": lambda host: to_json(host.snapshot()),
    "neighbours": lambda host: {"neighbours": to_json(host.snapshot().neighbours)},
    "routes": lambda host: {"routes": to_json(host.snapshot().routes)},
    "sessions": lambda host: {"sessions": to_json(host.snapshot().sessions)},
}
