"""The TUN device by which the kernel gives meshd the packets whose route leads over LoRa.

In: nothing but a name. Out: an interface that is up, MTU 1280, without an address of its own, and
whole IPv6 packets to and from it. It goes when it is closed, or with the process; one that somebody
made to stay is taken over, and goes too.
Must not know: what packets hold, routes, the filter. Ref: tuntap in the kernel's documentation.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from meshd.core.errors import Exit
from meshd.runtime.netlink import IFF_UP, RIGHTS_REMEDY, KernelError
from meshd.wire.ipv6 import PACKET_MIN

TUN_NAME = "meshd-lora"
_DEVICE = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFMTU, _SIOCSIFTXQLEN = 0x8913, 0x8914, 0x8922, 0x8943
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_FLAGS, _NUMBER = struct.Struct("16sH22x"), struct.Struct("16si20x")
_BURST_MAX = 32
_QUEUE_MAX = 64
"""What the kernel keeps for a radio: it is slow, and old packets help nobody."""
_CONF = Path("/proc/sys/net/ipv6/conf")
_SETTINGS = {"disable_ipv6": "0", "addr_gen_mode": "1", "accept_ra": "0"}
"""No link-local address: who has one sends more than it is asked to."""
_DOWN = {errno.EIO, errno.EINVAL, errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM}

_REMEDIES = {
    errno.ENOENT: "load it (modprobe tun), or give the container /dev/net/tun; radios go on "
    "without IP",
    errno.EPERM: f"{RIGHTS_REMEDY}; radios go on without IP",
    errno.EBUSY: f"another program uses an interface {TUN_NAME}: stop it and start meshd again",
    errno.EINVAL: f"there is another interface {TUN_NAME}: `ip link del {TUN_NAME}`, then start "
    "meshd again",
}
_SAME = {errno.ENODEV: errno.ENOENT, errno.ENXIO: errno.ENOENT, errno.EACCES: errno.EPERM}


class Tun:
    """One device; it exists from construction until `close`."""

    def __init__(self) -> None:
        """Make the device, or take it over. Raises: KernelError."""
        self.name = name = TUN_NAME
        try:
            self._fd = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _error(_DEVICE, error) from error
        try:
            fcntl.ioctl(self._fd, _TUNSETIFF, _FLAGS.pack(name.encode(), _IFF_TUN | _IFF_NO_PI))
            fcntl.ioctl(self._fd, _TUNSETPERSIST, 0)
            self._set_up()
        except OSError as error:
            self.close()
            raise _error(name, error) from error

    def _set_up(self) -> None:
        for setting, value in _SETTINGS.items():
            try:
                (_CONF / self.name / setting).write_text(value)
            except OSError:
                continue  # /proc/sys may be read-only: the device then has an address too many
        name = self.name.encode()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, _SIOCSIFMTU, _NUMBER.pack(name, PACKET_MIN))
            fcntl.ioctl(sock, _SIOCSIFTXQLEN, _NUMBER.pack(name, _QUEUE_MAX))
            _, flags = _FLAGS.unpack(fcntl.ioctl(sock, _SIOCGIFFLAGS, _FLAGS.pack(name, 0)))
            fcntl.ioctl(sock, _SIOCSIFFLAGS, _FLAGS.pack(name, flags | IFF_UP))

    def fileno(self) -> int:
        """Return the descriptor to wait on; call `read` when it is readable."""
        return self._fd

    def read(self) -> Iterator[bytes]:
        """Yield packets that the kernel sent to the device, at most a burst of them."""
        for _ in range(_BURST_MAX):
            try:
                yield os.read(self._fd, 1 << 16)
            except OSError:
                return

    def write(self, packet: bytes) -> None:
        """Give the kernel a packet as if it came by the device; one that it refuses is lost."""
        try:
            os.write(self._fd, packet)
        except OSError as error:
            if error.errno not in _DOWN:
                raise

    def close(self) -> None:
        """Let the device go; calling it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _error(what: str, error: OSError) -> KernelError:
    number = error.errno or 0
    number = _SAME.get(number, number)
    return KernelError(
        f"no IP over LoRa: {what}: {error.strerror}",
        code=Exit.DENIED if number == errno.EPERM else Exit.ERROR,
        remedy=_REMEDIES.get(number, "radios go on without IP"),
    )
