"""The control socket: who may connect, and how many at a time.

Enters: connections of the commands and scripts of this machine. Leaves: a `ControlClient` for each
that the peer credentials allow. Ref: docs/control-socket.md.
"""

import asyncio
import logging
import os
import socket
import stat
import struct
from contextlib import suppress

from meshd.core.errors import Exit, RequestError
from meshd.runtime.control_client import ControlClient, Host
from meshd.runtime.control_lines import error_line
from meshd.runtime.statedir import group_id

CLIENTS_MAX = 32
SOCKET_PATH_MAX = 107
ACCEPT_PAUSE_S = 1.0

_LOG = logging.getLogger("meshd.control")
_SO_PEERGROUPS = 59


class ControlServer:
    """Listens at `path` and serves `host`. Members of `group`, where it exists, may connect."""

    def __init__(self, path: str, host: Host, *, group: str = "") -> None:
        self.path = path
        self.host = host
        self.calls = 0
        self.refused = 0
        self._group = group_id(group)
        self._listener: socket.socket | None = None
        self._clients: dict[int, ControlClient] = {}

    def start(self) -> None:
        """Bind the socket; a stale one is replaced, one that answers is not.

        Raises: RequestError.
        """
        if len(os.fsencode(self.path)) > SOCKET_PATH_MAX:
            raise RequestError(
                f"{self.path}: longer than {SOCKET_PATH_MAX} bytes, the most for a socket",
                remedy="choose a shorter --state-dir",
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        try:
            self._remove_stale()
            before = os.umask(0o177)
            try:
                listener.bind(self.path)
            finally:
                os.umask(before)
            if self._group is not None:
                with suppress(PermissionError):
                    os.chown(self.path, -1, self._group)
                    os.chmod(self.path, 0o660)
            listener.listen(CLIENTS_MAX)
        except OSError as error:
            listener.close()
            raise RequestError(
                f"{self.path}: the control socket cannot be opened: {error.strerror or error}",
                remedy="choose another --state-dir",
            ) from error
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)

    def _remove_stale(self) -> None:
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise OSError(0, "something that is not a socket stands there")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self.path)
            except (ConnectionRefusedError, FileNotFoundError):
                os.unlink(self.path)
                return
        raise OSError(0, "another daemon answers there")

    async def stop(self) -> None:
        """Stop listening, end every connection and remove the socket."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._listener.close()
        self._listener = None
        for client in list(self._clients.values()):
            client.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def closed(self, number: int) -> None:
        """Forget a client; called by it."""
        self._clients.pop(number, None)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError, InterruptedError):
            return
        except OSError as error:
            self._make_room(error)
            return
        accepted.setblocking(False)
        if not self._may_enter(accepted):
            self._turn_away(accepted, "this user may not control the daemon", Exit.DENIED)
        elif len(self._clients) >= CLIENTS_MAX and not self._evict():
            self._turn_away(accepted, "too many commands are connected", Exit.TEMPORARY)
        else:
            self._clients[accepted.fileno()] = ControlClient(self, accepted)

    def _make_room(self, error: OSError) -> None:
        """End an idle connection when descriptors run out, or let those who knock wait a moment."""
        if self._evict():
            return
        _LOG.warning("accept failed error=%s", error.strerror)
        loop = asyncio.get_running_loop()
        if self._listener is not None:
            loop.remove_reader(self._listener.fileno())
            loop.call_later(ACCEPT_PAUSE_S, self._listen_again)

    def _listen_again(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def _evict(self) -> bool:
        """End the connection that was idle longest; False when all of them are at work."""
        idle = [client for client in self._clients.values() if client.idle]
        if idle:
            min(idle, key=lambda client: client.last_used).close()
        return bool(idle)

    def _turn_away(self, accepted: socket.socket, why: str, code: Exit) -> None:
        self.refused += 1
        with suppress(OSError):
            accepted.send(error_line(None, RequestError(why, code=code, remedy=_REMEDIES[code])))
        accepted.close()

    def _may_enter(self, accepted: socket.socket) -> bool:
        """Check who connects; where the system does not say, the socket's mode has decided."""
        if not hasattr(socket, "SO_PEERCRED"):
            return True
        raw = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, gid = struct.unpack("iII", raw)
        if uid in (0, os.geteuid()):
            return True
        return self._group is not None and self._group in (gid, *_peer_groups(accepted))


def _peer_groups(accepted: socket.socket) -> tuple[int, ...]:
    """Return the further groups of who connected; none when the kernel cannot say."""
    try:
        raw = accepted.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)


_REMEDIES = {
    Exit.DENIED: "become a member of the group that control_group names, or use sudo",
    Exit.TEMPORARY: "try again in a moment",
}
