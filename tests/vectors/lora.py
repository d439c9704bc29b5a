"""Golden bytes of LoRa frames, made from fixed seeds: `python -m vectors.lora` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from meshd.core.identity import Identity
from meshd.link.account import Share, Spending
from meshd.link.seal import link_key
from meshd.link.sender import Sender
from meshd.wire.ledger_state import Account, LedgerState
from meshd.wire.lora_beacon import Challenge
from meshd.wire.lora_frame import FrameKind

PATH = Path(__file__).with_name("lora.json")
IDENTITY, NEIGHBOUR = Identity(b"\x01" * 32, b"\x02" * 32), Identity(b"\x03" * 32, b"\x04" * 32)
KEY, SALT, BOOT = b"\x05" * 32, b"\x06" * 8, 7
TEXT = b"all is well at the mill"


def make():
    """Return {name: {what it is: JSON value}}; bytes are hex."""
    link = link_key(KEY)
    sender = Sender(IDENTITY, link, boot=BOOT, salt=SALT)
    frames = {
        "beacon": sender.beacon(),
        "challenge": sender.challenge(Challenge(NEIGHBOUR.node, b"\x08" * 8)),
        "local": sender.seal(FrameKind.LOCAL, TEXT),
        "routed": sender.seal(
            FrameKind.ROUTED,
            TEXT,
            hop_limit=7,
            next_hop=NEIGHBOUR.node,
            destination=NEIGHBOUR.node[:2],
        ),
        "empty": sender.seal(FrameKind.LOCAL, b""),
    }
    sender.asked(b"\x09" * 8)
    sender.asked(b"\x0a" * 8)
    frames["answer"] = sender.beacon(with_key=False)
    spending = Spending(868_000_000, 868_600_000)
    spending.add(Share.OWN, 1_000_000, 100_000_000)
    spending.add(Share.CONTROL, 70_000, 100_000_000)
    account = Account(spending.low_hz, spending.high_hz, 1_800_000, spending.buckets())
    return {
        "keys": {
            "public": IDENTITY.public.hex(),
            "node": IDENTITY.node.hex(),
            "neighbour": NEIGHBOUR.node.hex(),
            "link_key": KEY.hex(),
            "boot": BOOT,
            "salt": SALT.hex(),
            "epoch": link.epoch.hex(),
            "context": link.context,
            "group_tag_key": link.group.tag.hex(),
            "group_cipher_key": link.group.cipher.hex(),
            "tag_key": sender.keys.tag.hex(),
            "cipher_key": sender.keys.cipher.hex(),
            "plaintext": TEXT.hex(),
        },
        "frames": {name: frame.hex() for name, frame in frames.items()},
        "ledger": {"state": LedgerState(b"b" * 16, 123_456_789, (account,)).encode().hex()},
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=2) + "\n")
