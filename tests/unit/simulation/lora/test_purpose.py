"""What a LoRa frame is counted for."""

import pytest

from meshd.link.ledger import Priority, Share
from meshd.link.queue import Outgoing
from meshd.simulation.lora.purpose import purpose_of
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_items import Object
from meshd.wire.lora_payload import Local, ObjectKind, Sub, encode


def frame(*items, kind=FrameKind.LOCAL):
    return Outgoing(kind, encode(items), Share.OWN, Priority.TEXT)


@pytest.mark.parametrize(
    ("items", "purpose"),
    [
        ((), "control"),
        ((Local(Sub.ECHOES, bytes(8)),), "control"),
        ((Local(31, b"of a later version"),), "control"),
        ((Local(Sub.ECHOES, bytes(8)), Local(Sub.DIGESTS, bytes(12))), "sync"),
        ((Object(bytes([ObjectKind.WORD]) + b"x", 2),), "sync"),
        ((Local(Sub.DIGESTS, bytes(12)), Object(bytes([ObjectKind.ENTRY]) + b"x", 1)), "entries"),
        ((Local(Sub.PIECE, b"x"), Local(Sub.HELD, b"x")), "files"),
        ((Local(Sub.PACKET, b"x"),), "packets"),
    ],
)
def test_a_frame_counts_for_what_is_worth_most(items, purpose):
    assert purpose_of(frame(*items)) == "LoRa " + purpose


def test_a_beacon_is_control_whatever_its_bytes():
    assert (
        purpose_of(Outgoing(FrameKind.BEACON, b"\xff" * 9, Share.CONTROL, Priority.MEMBERSHIP))
        == "LoRa control"
    )
