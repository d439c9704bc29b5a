"""What a LoRa frame of a node is for: the word under which the report counts its airtime.

Enters: a frame before it is sealed. Leaves: one word. A frame that serves many is counted for what
is worth most of what it carries.
"""

from meshd.core.errors import WireError
from meshd.link.queue import Outgoing
from meshd.wire.lora_frame import GROUP_KINDS
from meshd.wire.lora_items import Heard, Object
from meshd.wire.lora_payload import Item, Local, ObjectKind, Sub, parse
from meshd.wire.lora_routes import Answer, Direct, Receipt, Routes

ENTRIES, MESSAGES, FILES = "LoRa entries", "LoRa messages", "LoRa files"
PACKETS, SYNC = "LoRa packets", "LoRa sync"
ROUTING, CONTROL = "LoRa routing", "LoRa control"
PURPOSES = (ENTRIES, MESSAGES, FILES, PACKETS, SYNC, ROUTING, CONTROL)
"""The most valuable first. Sync: who has what, and who wants it. Control: who is there."""

_OF_SUBS: dict[int, str] = {
    **dict.fromkeys((Sub.ENTRY, Sub.ENTRY_PART), ENTRIES),
    **dict.fromkeys((Sub.PIECE, Sub.PIECES_WANTED, Sub.OFFER, Sub.MARKS), FILES),
    **dict.fromkeys((Sub.PIECES_LATER, Sub.FILE_HELD), FILES),
    **dict.fromkeys((Sub.DIGESTS, Sub.HEADS, Sub.NEEDS, Sub.SYMBOLS, Sub.HELD, Sub.PROBE), SYNC),
    Sub.PACKET: PACKETS,
}


def purpose_of(outgoing: Outgoing) -> str:
    """Return what a frame is for."""
    if outgoing.kind in GROUP_KINDS:
        return CONTROL
    try:
        items = parse(outgoing.plaintext)
    except WireError:
        return CONTROL
    return min(map(_of_item, items), key=PURPOSES.index, default=CONTROL)


def _of_item(item: Item) -> str:
    if isinstance(item, Object):
        return SYNC if item.body[:1] == bytes([ObjectKind.WORD]) else ENTRIES
    if isinstance(item, Direct | Answer | Receipt):
        return MESSAGES
    if isinstance(item, Routes):
        return ROUTING
    if isinstance(item, Local):
        return _OF_SUBS.get(item.sub, CONTROL)
    return CONTROL if isinstance(item, Heard) else SYNC
