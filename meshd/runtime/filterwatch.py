"""Notices when another program removes our packet filter, as `nft flush ruleset` does.

The service nftables and some firewalls begin with that line, at boot and at each reload: the host
would stand open to the mesh and nobody would know. In: the kernel's messages about nftables. Out:
whether our table is gone. Ref: linux/netfilter/nf_tables.h, docs/threats.md.
"""

import errno
import socket

from meshd.runtime.netlink import HEADER, attributes, messages

_NETLINK_NETFILTER, _NFNLGRP_NFTABLES = 12, 7
_NEW_TABLE, _DELETE_TABLE = 0x0A00, 0x0A02
_HEADER_LEN, _NFTA_TABLE_NAME, _NFPROTO_INET = HEADER.size + 4, 1, 1
_BUFFER_BYTES = 1 << 16


class FilterWatch:
    """Wait for `fileno()` to be readable, then ask `lost()`."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        self._socket.bind((0, 1 << (_NFNLGRP_NFTABLES - 1)))

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when some table changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()

    def lost(self) -> bool:
        """Tell whether our table went, and did not come back, since the last call."""
        gone = False
        while True:
            try:
                buffer = self._socket.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return gone
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                gone = True  # Messages were lost: to install it once more does no harm.
                continue
            for kind, _, _, data in messages(buffer):
                if kind in (_NEW_TABLE, _DELETE_TABLE) and _is_ours(data):
                    gone = kind == _DELETE_TABLE


def _is_ours(data: bytes) -> bool:
    name = attributes(data, _HEADER_LEN).get(_NFTA_TABLE_NAME, b"")
    return data[HEADER.size] == _NFPROTO_INET and name.rstrip(b"\0") == b"meshd"
