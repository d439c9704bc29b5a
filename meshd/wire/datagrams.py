"""Name the kinds of datagram on 6697/udp: the first byte of each.

Enters: nothing. Leaves: the kinds that knock, echo and later formats share.
Ref: docs/wire-format.md#datagrams.
"""

from enum import IntEnum


class DatagramKind(IntEnum):
    """First byte of a datagram on 6697/udp."""

    KNOCK = 1
    KNOCK_ANSWER = 2
    ECHO_REQUEST = 3
    ECHO_REPLY = 4
    DIRECT = 5
    DIRECT_ANSWER = 6


KNOCK_KINDS = frozenset({DatagramKind.KNOCK, DatagramKind.KNOCK_ANSWER})
ECHO_KINDS = frozenset({DatagramKind.ECHO_REQUEST, DatagramKind.ECHO_REPLY})
DIRECT_KINDS = frozenset({DatagramKind.DIRECT, DatagramKind.DIRECT_ANSWER})
