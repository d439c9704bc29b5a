"""Plain pages: packets that hold nothing but updates of node addresses, handled word by word.

Enters: the bytes of packets as `wire/babel.py` writes them. Leaves: what one says otherwise than an
earlier one, and the bytes of one in which some words were exchanged; neither reads what stays. A
word is the bytes of one Update TLV: the first names the whole address, the others leave out what
they share with it, and each names its router-id by the prefix. So equal words mean the same in two
packets that begin with the same address. Whatever else a packet holds makes it no plain page, and
None is the answer: then it has to be decoded. Must not know: routes, neighbours.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from meshd.core.ids import Prefix
from meshd.wire import babel
from meshd.wire.babel import (
    AE_IPV6,
    FLAG_PREFIX,
    FLAG_ROUTER_ID,
    HEADER_LEN,
    INFINITY,
    T_UPDATE,
    Update,
)
from meshd.wire.babel_parser import KEPT, host_of


class Changes(NamedTuple):
    """`updates` in the order of the later packet; `gone` are prefixes that only the earlier had."""

    updates: tuple[Update, ...]
    gone: tuple[Prefix, ...]


GONE_MAX = 16
"""When more prefixes than this are gone, the packets have little to do with each other."""

_SHARED_MAX = 8
_FIRST = bytes((T_UPDATE, 26, AE_IPV6, FLAG_PREFIX | FLAG_ROUTER_ID, 128, 0))
_NEXT = frozenset(
    bytes((T_UPDATE, 26 - shared, AE_IPV6, FLAG_ROUTER_ID, 128, shared))
    for shared in range(1, _SHARED_MAX + 1)
)
_FIRST_LEN = 28
_NO_ROUTER = (bytes(8), b"\xff" * 8)


def head(data: bytes) -> Prefix | None:
    """Return the prefix that a packet begins with, if it may be a plain page."""
    if not begins(data, HEADER_LEN):
        return None
    return host_of(data[HEADER_LEN + 12 : HEADER_LEN + _FIRST_LEN])


def begins(data: bytes, at: int) -> bool:
    """Tell whether a plain page may begin at a place of a packet."""
    return data[at : at + 6] == _FIRST and len(data) >= at + _FIRST_LEN


@lru_cache(maxsize=KEPT)
def words(data: bytes) -> tuple[bytes, ...] | None:
    """Return the words of a packet; None when it is no plain page."""
    end, at = len(data), HEADER_LEN + _FIRST_LEN
    if data[:HEADER_LEN] != babel.HEADER.pack(babel.MAGIC, babel.VERSION, end - HEADER_LEN):
        return None
    if head(data) is None:
        return None
    found = [data[HEADER_LEN:at]]
    if at + 6 <= end and (known := data[at : at + 6]) in _NEXT:
        size = _FIRST_LEN - known[5]
        rest = [data[start : start + size] for start in range(at, end, size)]
        if not (end - at) % size and len({word[:6] for word in rest}) == 1:
            return (*found, *rest)
    while at < end:
        if data[at : at + 6] not in _NEXT:
            return None
        after = at + _FIRST_LEN - data[at + 5]
        found.append(data[at:after])
        at = after
    return tuple(found) if at == end else None


@lru_cache(maxsize=KEPT)
def differences(before: bytes, after: bytes, source: bytes) -> Changes | None:
    """Compare a sound packet of a source with a later one; None when that says nothing."""
    old, new = words(before), words(after)
    if old is None or new is None or old[0][6:8] != new[0][6:8] or old[0][12:] != new[0][12:]:
        return None
    there, here, first = frozenset(old), frozenset(new), new[0]
    if len(here) != len(new):
        return None
    interval_cs = first[6] << 8 | first[7]
    updates = tuple(_update(first, word, source) for word in new if word not in there)
    for update in updates:
        if update.metric == INFINITY or update.interval_cs != interval_cs or not interval_cs:
            return None
        if update.router_id in _NO_ROUTER or after.count(update.router_id) != 1:
            return None
    said = {update.prefix for update in updates}
    past = (_prefix(first, word) for word in old if word not in here)
    gone = tuple(prefix for prefix in past if prefix not in said)
    return Changes(updates, gone) if len(gone) <= GONE_MAX else None


def chosen(data: bytes, prefixes: Collection[Prefix], source: bytes) -> list[Update] | None:
    """Return the updates of some node addresses out of a plain page; None when it is none."""
    found = words(data)
    if found is None:
        return None
    names, first = {prefix.address[8:] for prefix in prefixes}, found[0]
    updates = [_update(first, word, source) for word in found if word[-8:] in names]
    return [update for update in updates if update.prefix in prefixes]


def exchanged(
    data: bytes, prefixes: Iterable[Prefix], news: Mapping[Prefix, Update | None], source: bytes
) -> bytes | None:
    """Return a plain page with other words for some prefixes, or with none; new ones come last.

    Words that are about none of `prefixes` go. None when that is no plain page any more.
    """
    known = words(data)
    if known is None:
        return None
    first = known[0]
    begin = first[12:]
    kept = {begin[: word[5]] + word[12:]: word for word in known}
    for gone in kept.keys() - {address for address, length in prefixes if length == 128}:
        del kept[gone]
    for (address, length), update in news.items():
        if update is None:
            if length == 128:
                kept.pop(address, None)
        elif (word := _word(first, update, source)) is None:
            return None
        else:
            kept[address] = word
    if not kept or next(iter(kept)) != begin:
        return None
    body = b"".join(kept.values())
    return babel.HEADER.pack(babel.MAGIC, babel.VERSION, len(body)) + body


def _prefix(first: bytes, word: bytes) -> Prefix:
    return host_of(first[12 : 12 + word[5]] + word[12:])


def _update(first: bytes, word: bytes, source: bytes) -> Update:
    _, _, _, _, _, _, interval_cs, seqno, metric = babel.UPDATE.unpack_from(word)
    prefix = _prefix(first, word)
    return Update(prefix, prefix.address[8:], seqno, metric, interval_cs, source)


def _word(first: bytes, update: Update, source: bytes) -> bytes | None:
    """Return an update as a word of a page with that first one; None when it cannot be one."""
    (address, length), router_id, seqno, metric, interval_cs, next_hop, thin = update
    if length != 128 or router_id != address[8:] or next_hop != source or thin:
        return None
    if address == first[12:]:
        shared, flags = 0, FLAG_PREFIX | FLAG_ROUTER_ID
    else:
        shared, flags = babel.common(address, first[12:], _SHARED_MAX), FLAG_ROUTER_ID
        if not shared:
            return None
    numbers = (interval_cs, seqno, metric)
    word = babel.UPDATE.pack(T_UPDATE, 26 - shared, AE_IPV6, flags, 128, shared, *numbers)
    return word + address[shared:] if word[6:8] == first[6:8] else None
