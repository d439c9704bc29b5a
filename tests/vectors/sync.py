"""Golden bytes of sync messages: `python -m vectors.sync` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from vectors.golden import shown

from meshd.core.crypto import digest
from meshd.wire import sync_messages as wire

PATH = Path(__file__).with_name("sync.json")
AUTHOR = bytes(range(32))
MESSAGES = {
    "hello": wire.Hello(b"n" * 16),
    "spaces": wire.SpaceTags((wire.SpaceTag(0, b"t" * 16), wire.SpaceTag(65535, b"u" * 16))),
    "spaces, none": wire.SpaceTags(()),
    "have": wire.Have(3, (wire.Head(AUTHOR, 2**64 - 1, b"h" * 8),), kept=True, more=True),
    "have, none": wire.Have(3, ()),
    "want": wire.Want(3, (wire.Range(AUTHOR, 1, 128),)),
    "entries": wire.Entries(3, AUTHOR, 5, (b"one", b"three"), last=True),
    "entries, none": wire.Entries(3, AUTHOR, 5, ()),
    "lease": wire.Lease(3, 262144, 7776000),
    "lease, refused": wire.Lease(3, 0, 0, refused=True),
    "probe": wire.Probe(3, AUTHOR, 9),
    "probed": wire.Probed(3, AUTHOR, 9, b"entry"),
    "fork": wire.Fork(3, AUTHOR, 9, b"one", b"other"),
    "join": wire.Join(1, b"request"),
    "joined": wire.Joined(1, 0, b"answer"),
    "refused": wire.Joined(1, 4, b""),
}


def make():
    """Return {name: {fields, bytes}}; bytes are hex."""
    vectors = {
        name: {"fields": shown(message), "bytes": message.encode().hex()}
        for name, message in MESSAGES.items()
    }
    key, own, other = b"k" * 32, b"o" * 32 + b"n" * 16, b"p" * 32 + b"m" * 16
    tag = digest(own + other, key=key, size=16, person=b"meshd-space-tag")
    vectors["tag"] = {
        "fields": {"fetch_key": key.hex(), "own": own.hex(), "other": other.hex()},
        "bytes": tag.hex(),
    }
    return vectors


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=1) + "\n")
