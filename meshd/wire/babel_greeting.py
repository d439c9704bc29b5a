"""Greetings: packets that hold a multicast hello, and IHUs at most beside it.

Enters: the bytes of a packet. Leaves: the hello, and the IHUs by whom they are for, so that none of
those who hear it looks through what is for the others; a greeting and the page that rides behind it
as two packets, which mean the same. Must not know: neighbours, costs.
"""

from collections.abc import Mapping
from functools import lru_cache

from meshd.core.errors import WireError
from meshd.wire.babel import HEADER, HEADER_LEN, MAGIC, T_HELLO, T_IHU, VERSION, Hello, Ihu
from meshd.wire.babel_parser import KEPT, KEPT_LEN_MAX, decode
from meshd.wire.babel_words import begins

Greeting = tuple[Hello, Mapping[bytes | None, Ihu]]


def apart(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the greeting that a packet begins with, and the page behind it; None if it has none.

    Hellos and IHUs leave no parser state, and such a page needs none: so two packets would say the
    same. Whether the page is sound is not looked at.
    """
    return _apart(data) if _RIDE_LEN_MIN <= len(data) <= KEPT_LEN_MAX else None


_RIDE_LEN_MIN = HEADER_LEN + 8 + 28


@lru_cache(maxsize=KEPT)
def _apart(data: bytes) -> tuple[bytes, bytes] | None:
    end, at = len(data), HEADER_LEN
    if data[at] != T_HELLO or data[:at] != HEADER.pack(MAGIC, VERSION, end - at):
        return None
    while at + 1 < end and data[at] in (T_HELLO, T_IHU):
        at += 2 + data[at + 1]
    if not begins(data, at):
        return None
    front, page = data[HEADER_LEN:at], data[at:]
    return (
        HEADER.pack(MAGIC, VERSION, len(front)) + front,
        HEADER.pack(MAGIC, VERSION, len(page)) + page,
    )


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
