"""Golden bytes of entries over LoRa: `python -m vectors.air` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from vectors import space as space_vectors
from vectors.golden import shown
from vectors.space import EPOCH_KEY, FOUNDER, SEED, TIME_S, fill

from meshd.core import crypto
from meshd.space.entries import Draft, Place, write
from meshd.space.keys import SpaceKeys, commit
from meshd.sync.air.names import FEED_LEN
from meshd.wire import entry as wire_entry
from meshd.wire.air_entry import Part, Thin
from meshd.wire.air_messages import (
    FORKED,
    AirHead,
    AirHeld,
    AirProbe,
    AirRange,
    Digest,
    Digests,
    Heads,
    Mark,
    Needs,
)
from meshd.wire.entry import Kind
from meshd.wire.payload import Post

PATH = Path(__file__).with_name("air.json")
NODE, SALT = bytes(range(10)), b"sa"


def made(kind=Kind.POST):
    """Return the space id, its keys, an entry of it and the running hash before the entry."""
    space = bytes.fromhex(space_vectors.make()["genesis"]["space"])
    keys = SpaceKeys(commitment=commit(EPOCH_KEY), space=space, epoch_key=EPOCH_KEY, fetch=fill(0))
    running = crypto.digest(b"running")
    place = Place(300, running, crypto.digest(b"members"), TIME_S)
    draft = Draft(kind, b"", Post("All well at the hut.").encode())
    return space, keys, write(keys, space, SEED, place=place, draft=draft), running


def thin_of(entry, *, whole):
    """Make a thin entry by the page alone."""
    head = entry.head
    return Thin(
        head.kind,
        head.flags,
        head.author_id,
        head.seq,
        head.time_s,
        head.membership if whole else head.membership[:2],
        head.prev[:4],
        head.seed,
        entry.clear,
        entry.sealed,
        entry.signature,
    )


def stub_of(entry):
    """Make a stub by the page alone."""
    thin = thin_of(entry, whole=True)
    return thin._replace(prev=entry.head.prev, clear=b"", sealed=entry.body_hash, is_stub=True)


def call_of(entry):
    """Make a call for help by the page alone."""
    return thin_of(entry, whole=True)._replace(prev=entry.head.prev)


def tagged(keys, sub, message):
    """Make the tag of what is said by the page alone: over all that is behind it."""
    behind = message.encode()[len(SALT) :]
    text = NODE + SALT + bytes([sub]) + behind
    tag = crypto.digest(text, key=keys.fetch, size=4, person=b"meshd-air-tag")
    return message._replace(tag=tag)


def make():
    """Return {name: {fields, bytes}}; bytes are hex."""
    space, keys, entry, _ = made()
    feed = keys.author_id(FOUNDER)[:FEED_LEN]
    tag = crypto.digest(NODE + SALT, key=keys.fetch, size=4, person=b"meshd-air-tag")
    state = fill(7, 16)
    heads = (
        Heads(SALT, b"", (AirHead(feed, 300),)),
        Heads(SALT, b"", (AirHead(feed, 2**32 - 1),), partial=True),
        Heads(SALT, b"", (AirHead(feed, FORKED),)),
    )
    needs = Needs(SALT, b"", (AirRange(feed, 128, 12),))
    probe = AirProbe(SALT, b"", (Mark(feed, 300, entry.digest(space, FOUNDER)[:4]),))
    said = crypto.digest(NODE + SALT + state, key=keys.fetch, size=4, person=b"meshd-air-state")
    number = (300).to_bytes(4, "big")
    term = crypto.digest(
        FOUNDER + number + entry.digest(space, FOUNDER), size=16, person=b"meshd-air-feed"
    )
    values = {
        "thin": thin_of(entry, whole=False),
        "thin, membership written out": thin_of(entry, whole=True),
        "part": Part(entry.head.author_id, 300, 1, 3, b"the second of three"),
        "digests": Digests(SALT, (Digest(tag, said),)),
        "heads": tagged(keys, 5, heads[0]),
        "heads, partial": tagged(keys, 5, heads[1]),
        "held": AirHeld(300, _mac(space, entry)),
        "needs": tagged(keys, 6, needs),
        "heads, forked": tagged(keys, 5, heads[2]),
        "probe": tagged(keys, 17, probe),
        "stub": stub_of(entry),
        "thin, a call for help": call_of(made(Kind.DISTRESS)[2]),
    }
    vectors = {
        name: {"fields": shown(value), "bytes": value.encode().hex()}
        for name, value in values.items()
    }
    vectors["entry"] = {
        "fields": {"space": space.hex(), "author": FOUNDER.hex(), "fetch_key": keys.fetch.hex()},
        "bytes": entry.encode().hex(),
    }
    assert wire_entry.decode(entry.encode()) == entry
    vectors["names"] = {
        "fields": {"node": NODE.hex(), "salt": SALT.hex(), "state": state.hex()},
        "bytes": (tag + said).hex(),
    }
    vectors["state of that feed alone"] = {"fields": {}, "bytes": term.hex()}
    return vectors


def _mac(space, entry):
    """Make the proof of device 6 for device 4 that it has the founder's entry, by the page."""
    holder, author = (crypto.sign_public(fill(number)) for number in (6, 4))
    shared = crypto.exchange(crypto.exchange_secret_of(fill(6)), crypto.exchange_public_of(author))
    key = crypto.digest(holder + author, key=shared, person=b"meshd-air-held")
    said = space + FOUNDER + (300).to_bytes(4, "big") + entry.digest(space, FOUNDER)
    return crypto.digest(said, key=key, size=8)


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=1) + "\n")
