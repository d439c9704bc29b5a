"""Where emulators of several processes meet: the first to name an air hosts it for all.

Enters: the name of an air and a modem that is wanted on it. Leaves: the modem, placed by whoever
hosts the air. One process holds the lock of the name and listens on a socket beside it; others ask
it for their modem and stay connected: who ends takes its modem along. When the host ends, another
takes over, and to the programs on their ports that is a plug pulled out and put in again.

Over the socket goes one JSON object a line: the wanted modem, then the answer.
"""

import asyncio
import errno
import fcntl
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from meshd.core.errors import Exit, RequestError
from meshd.simulation.modems.air import RealAir, Wanted

SOCKET_PATH_MAX = 107
"""What the kernel's address of a socket has room for."""

_LINE_BYTES_MAX = 16_384
_ANSWER_MAX_S = 10.0
_JOIN_TRIES, _JOIN_PAUSE_S = 50, 0.1

Shown = dict[str, object]
"""What is told of a modem that is up."""


def folder() -> str:
    """Return the folder where airs of this user meet; it is theirs alone.

    Raises: RequestError.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    path = os.path.join(base, "meshd-air") if base else f"/tmp/meshd-air-{os.getuid()}"
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError as error:
        raise RequestError(f"{path} cannot be made: {error.strerror}", code=Exit.DENIED) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RequestError(
            f"{path} is not a folder of yours alone",
            code=Exit.DENIED,
            remedy="remove it, or set XDG_RUNTIME_DIR to a folder that only you may read",
        )
    return path


def socket_of(name: str) -> str:
    """Return where the processes of an air meet. Raises: RequestError when it is no path for it."""
    path = os.path.join(folder(), name) + ".sock"
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise RequestError(
            f"{path}: longer than {SOCKET_PATH_MAX} bytes, the most for a socket",
            remedy="set XDG_RUNTIME_DIR to a shorter folder of yours alone, as /run/user/$UID, or "
            "unset it, or name the --air shorter",
        )
    return path


async def take_part(wanted: Wanted, name: str, seed: int) -> AsyncIterator[Shown]:
    """Hold a modem on an air: yields what is up, again after each change of the host.

    Without a name the air is this modem's alone. Raises: RequestError.
    """
    while True:
        async with _hosting(name, seed) as air:
            if air is not None:
                placed = air.place(wanted)
                try:
                    yield shown(wanted, placed.device, placed.baud)
                    await asyncio.Event().wait()
                finally:
                    air.remove(placed)
        async for answer in _joined(wanted, name):
            yield answer


def shown(wanted: Wanted, device: str, baud: int) -> Shown:
    """Return what is told of a modem that is up."""
    return {
        "kind": wanted.kind,
        "port": wanted.port,
        "device": device,
        "baud": baud,
        "at": list(wanted.at),
        "faults": list(wanted.faults),
    }


# --- the host -------------------------------------------------------------------------------------


@asynccontextmanager
async def _hosting(name: str, seed: int) -> AsyncIterator[RealAir | None]:
    """Hold an air if nobody else does; None when somebody does."""
    lock = -1
    if name:
        path = socket_of(name)
        held = _locked(_lock_of(path))
        if held is None:
            yield None
            return
        lock = held
    air = RealAir(seed)
    server = None
    guests: set[asyncio.Task[None]] = set()
    try:
        if name:
            with suppress(FileNotFoundError):
                os.unlink(path)
            server = await asyncio.start_unix_server(
                lambda reader, writer: _keep(guests, _serve(air, reader, writer)),
                path,
                limit=_LINE_BYTES_MAX,
            )
        yield air
    finally:
        if server is not None:
            server.close()
        for guest in list(guests):
            guest.cancel()
        air.close()
        if lock >= 0:
            for left in (path, _lock_of(path)):
                with suppress(FileNotFoundError):
                    os.unlink(left)
            os.close(lock)


def _lock_of(path: str) -> str:
    return path.removesuffix(".sock") + ".lock"


def _locked(path: str) -> int | None:
    """Return the held lock of an air; None while another process holds it."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)  # who held it took the file along


async def _keep(guests: set[asyncio.Task[None]], serving: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    guests.add(task)
    try:
        await serving
    finally:
        guests.discard(task)


async def _serve(air: RealAir, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Place the modem of one guest, for as long as it stays."""
    placed = None
    try:
        try:
            wanted = _wanted(await reader.readline())
            placed = air.place(wanted)
            answer = shown(wanted, placed.device, placed.baud)
        except RequestError as error:
            answer = {"error": error.text, "code": int(error.code), "remedy": error.remedy}
        except (ValueError, TypeError, KeyError):
            answer = {"error": "this is no request for a modem", "code": 1, "remedy": ""}
        writer.write(json.dumps(answer).encode() + b"\n")
        if placed is not None:
            await reader.read()
    except (OSError, asyncio.CancelledError):
        pass
    finally:
        if placed is not None:
            air.remove(placed)
        writer.close()


def _wanted(line: bytes) -> Wanted:
    value = json.loads(line)
    x_m, y_m = value["at"]
    faults = tuple(str(fault) for fault in value["faults"])
    return Wanted(str(value["kind"]), str(value["port"]), (float(x_m), float(y_m)), faults)


# --- a guest --------------------------------------------------------------------------------------


async def _joined(wanted: Wanted, name: str) -> AsyncIterator[Shown]:
    """Have the host place a modem, and stay until the host ends."""
    opened = await _connected(socket_of(name))
    if opened is None:
        return
    reader, writer = opened
    try:
        asked = {"kind": wanted.kind, "port": wanted.port, "at": wanted.at, "faults": wanted.faults}
        writer.write(json.dumps(asked).encode() + b"\n")
        try:
            line = await asyncio.wait_for(reader.readline(), _ANSWER_MAX_S)
        except TimeoutError:
            raise RequestError(
                f'the process that hosts the air "{name}" does not answer',
                code=Exit.TIMEOUT,
                remedy="end that `meshd emulate`, or name another --air",
            ) from None
        if not line:
            return
        answer: Shown = json.loads(line)
        if "error" in answer:
            code = Exit(int(str(answer["code"])))
            raise RequestError(str(answer["error"]), code=code, remedy=str(answer["remedy"]))
        yield answer
        await reader.read()
    except ConnectionError:
        return
    finally:
        writer.close()


async def _connected(
    path: str,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Connect to the host, who may just be beginning; None when there is none after all."""
    for _ in range(_JOIN_TRIES):
        try:
            return await asyncio.open_unix_connection(path, limit=_LINE_BYTES_MAX)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                raise
            await asyncio.sleep(_JOIN_PAUSE_S)
    return None
