"""The right to change this host's network, and the claim that only one daemon does.

In: nothing but the process itself. Out: a socket that holds the claim while it is open. Two daemons
in one network namespace would each undo what the other set up, in whatever state directories they
keep their records.
"""

import errno
import os
import socket
import struct
from pathlib import Path

from meshd.core.errors import Exit
from meshd.runtime.netlink import RIGHTS_REMEDY, KernelError

_CAP_NET_ADMIN = 12
_CLAIM = "\0meshd-kernel"


def may_administer() -> bool:
    """Tell whether this process has CAP_NET_ADMIN."""
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bool(mask >> _CAP_NET_ADMIN & 1)


def require_rights() -> None:
    """Refuse to begin without CAP_NET_ADMIN. Raises: KernelError."""
    if not may_administer():
        raise KernelError(
            "meshd has no right to change routes (CAP_NET_ADMIN)",
            code=Exit.DENIED,
            remedy=RIGHTS_REMEDY,
        )


def claim() -> socket.socket:
    """Claim this network namespace, so that no second daemon undoes what the first one set up.

    An abstract socket lives in the namespace and goes with its process. A name held by another user
    who has no say here is passed over. Raises: KernelError.
    """
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(_CLAIM)
        held.listen(1)
        return held
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            held.close()
            raise KernelError(f"cannot claim the network namespace: {error.strerror}") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.setblocking(False)
            probe.connect(_CLAIM)
            said = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            said = struct.pack("iII", 0, 0, 0)
    process, user, _ = struct.unpack("iII", said)
    if user not in (0, os.geteuid()):
        return held
    held.close()
    raise KernelError(
        f"another meshd (process {process or 'unknown'}) works in this network namespace",
        remedy="stop it first, or run this one in leaf mode",
    )
