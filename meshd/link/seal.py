"""Seal and open LoRa frames: one key for each sender and boot, and a synthetic IV.

Enters: keys, a sender's NodeId, a full counter, header and plaintext. Leaves: body and tag, or the
plaintext, or None when the tag does not fit. Pure functions; nothing is drawn at random and nothing
is remembered. Must not know: replay, neighbours, radios.

Each hop seals anew with its own key, so the tag covers all that changes on the way too, hop limit
and next hop. Tag: keyed hash over header, sender, epoch, counter and plaintext. Nonce: hash of
sender, epoch, counter and *tag*. So a counter used twice, after a copied card or lost state, gives
one nonce only to one and the same frame. The tag proves that the sender holds the link key, not
who it is. Ref: docs/wire-format.md#lora-frame, docs/security.md.
"""

from hmac import compare_digest
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.ids import EVERYONE, NODE_ID_LEN, SHORT_LEN
from meshd.wire.lora_frame import GROUP_KINDS, TAG_LEN, FrameKind, LoraFrame

EPOCH_LEN = 4
NOBODY = bytes(NODE_ID_LEN)
"""Stands for the sender where the receiver can not know it yet: in beacons and challenges."""


OPEN_LINK = b"meshd-open-link"
"""Everybody can derive the open mesh's link key: there a tag is no more than a checksum."""


class FrameKeys(NamedTuple):
    """The two keys under which frames are sealed."""

    tag: bytes
    cipher: bytes


class LinkKey(NamedTuple):
    """What all members of a mesh share at one time, and what follows from it alone.

    `context` is the byte in each frame that selects it, `epoch` a commitment to it.
    """

    key: bytes
    context: int
    epoch: bytes
    group: FrameKeys


def link_key(key: bytes) -> LinkKey:
    """Return a 32-byte link key with what follows from it."""
    epoch = crypto.digest(b"", key=key, size=EPOCH_LEN, person=b"meshd-link-epoch")
    context = crypto.digest(b"", key=key, size=1, person=b"meshd-link-ctx")[0]
    return LinkKey(key, context, epoch, _derive(key, b"", b"meshd-group"))


def open_link_key(mesh: bytes) -> LinkKey:
    """Return the link key of an open mesh: it follows from the mesh's id, and is no secret."""
    return link_key(crypto.digest(mesh, person=OPEN_LINK))


def sender_keys(link: LinkKey, *, public: bytes, boot: int, salt: bytes) -> FrameKeys:
    """Return the keys of one sender (its full Ed25519 key) in one boot (number and 8-byte salt)."""
    return _derive(link.key, public + boot.to_bytes(4, "big") + salt, b"meshd-frame")


class Mark(NamedTuple):
    """What makes a frame the only one of its kind: sender's NodeId, epoch, full counter."""

    node: bytes
    epoch: bytes
    counter: int

    def encode(self) -> bytes:
        """Return 22 bytes."""
        return self.node + self.epoch + self.counter.to_bytes(8, "big")


def seal(keys: FrameKeys, frame: LoraFrame, plaintext: bytes, mark: Mark) -> LoraFrame:
    """Return the frame with its body and tag."""
    tag = _tag(keys, frame, plaintext, mark)
    body = crypto.keystream_xor(keys.cipher, frame_nonce(mark, tag), plaintext)
    return frame._replace(body=body, tag=tag)


def unseal(keys: FrameKeys, frame: LoraFrame, mark: Mark) -> bytes | None:
    """Return the plaintext, or None when the frame was not sealed so."""
    plaintext = crypto.keystream_open(keys.cipher, frame_nonce(mark, frame.tag), frame.body)
    fits = compare_digest(frame.tag, _tag(keys, frame, plaintext, mark))
    return plaintext if fits else None


def frame_nonce(mark: Mark, tag: bytes) -> bytes:
    """Return the nonce of a frame: of its mark and its tag."""
    return crypto.digest(mark.encode() + tag, size=crypto.XNONCE_LEN, person=b"meshd-frame-iv")


def hop_address(keys: FrameKeys, mark: Mark, receiver: bytes) -> bytes:
    """Return the two bytes that name the next hop in the frame of this mark.

    They change with each frame: two nodes that would share a short address for good take each
    other's frame for their own once in 65,536, and a stranger cannot follow who is meant.
    """
    short = crypto.digest(
        mark.encode() + receiver, key=keys.tag, size=SHORT_LEN, person=b"meshd-frame-hop"
    )
    return short if short != EVERYONE else b"\xff\xfe"


def opens_by_link_key(kind: FrameKind) -> bool:
    """Tell whether a frame's keys are those of all members, not of its sender."""
    return kind in GROUP_KINDS


def _tag(keys: FrameKeys, frame: LoraFrame, plaintext: bytes, mark: Mark) -> bytes:
    header = frame.header()
    # Only the plaintext has neither a fixed length nor its length before it, and it is the last.
    message = bytes([len(header)]) + header + mark.encode() + plaintext
    return crypto.digest(message, key=keys.tag, size=TAG_LEN, person=b"meshd-frame-tag")


def _derive(key: bytes, material: bytes, person: bytes) -> FrameKeys:
    return FrameKeys(
        crypto.digest(material, key=key, person=person + b"-mac"),
        crypto.digest(material, key=key, person=person + b"-key"),
    )
