"""Greetings: packets that hold a multicast hello, and IHUs at most beside it.

Enters: the bytes of a packet. Leaves: the hello, and the IHUs by whom they are for, so that none of
those who hear it looks through what is for the others; a greeting and the page that rides behind it
as two packets, which mean the same. Must not know: neighbours, costs.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from meshd.core.errors import WireError
from meshd.wire.babel import HEADER, HEADER_LEN, MAGIC, T_HELLO, T_IHU, VERSION, Hello, Ihu
from meshd.wire.babel_parser import KEPT, KEPT_LEN_MAX, decode
from meshd.wire.babel_words import begins

Greeting = tuple[Hello, Mapping[bytes | None, Ihu]]

_HELLO = bytes((T_HELLO,))
_RIDE_LEN_MIN = HEADER_LEN + 8 + 28


class Parts(NamedTuple):
    """A packet as two: what may be a greeting, read if it is one, and what may be a page."""

    front: bytes
    said: Greeting | None
    page: bytes


def parts(data: bytes, source: bytes) -> Parts:
    """Return what a packet begins with, and the page behind it; either may be missing."""
    return _parts(data, source) if len(data) <= KEPT_LEN_MAX else Parts(b"", None, data)


@lru_cache(maxsize=KEPT)
def _parts(data: bytes, source: bytes) -> Parts:
    if data[HEADER_LEN : HEADER_LEN + 1] != _HELLO:
        return Parts(b"", None, data)
    front, page = apart(data) or (data, b"")
    return Parts(front, greeting(front, source), page)


def apart(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the greeting that a packet begins with, and the page behind it; None if it has none.

    Hellos and IHUs leave no parser state, and such a page needs none: so two packets would say the
    same. Whether the page is sound is not looked at.
    """
    end, at = len(data), HEADER_LEN
    if not _RIDE_LEN_MIN <= end <= KEPT_LEN_MAX:
        return None
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
