"""Greetings: packets that hold a multicast hello, and IHUs at most beside it.

Enters: the bytes of a packet. Leaves: the hello, and the IHUs by whom they are for, so that none of
those who hear it looks through what is for the others. Must not know: neighbours, costs.
"""

from collections.abc import Mapping
from functools import lru_cache

from meshd.core.errors import WireError
from meshd.wire.babel import HEADER_LEN, T_HELLO, Hello, Ihu
from meshd.wire.babel_parser import KEPT, KEPT_LEN_MAX, decode

Greeting = tuple[Hello, Mapping[bytes | None, Ihu]]


def greeting(data: bytes, source: bytes) -> Greeting | None:
    """Return the greeting that a packet is; None when it says more or less than that."""
    if data[HEADER_LEN : HEADER_LEN + 1] != _HELLO or len(data) > KEPT_LEN_MAX:
        return None
    return _greeting(data, source)


_HELLO = bytes((T_HELLO,))


@lru_cache(maxsize=KEPT)
def _greeting(data: bytes, source: bytes) -> Greeting | None:
    try:
        packet = decode(data, source)
    except WireError:
        return None
    if packet.ignored or not packet.tlvs:
        return None
    hello, *others = packet.tlvs
    if not isinstance(hello, Hello) or hello.unicast or not hello.interval_cs:
        return None
    ihus: dict[bytes | None, Ihu] = {}
    for other in others:
        if not isinstance(other, Ihu) or other.address is None:
            return None
        ihus[other.address] = other
    return hello, ihus
