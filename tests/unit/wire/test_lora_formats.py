"""LoRa formats: golden bytes, a second declaration in construct, a second reckoning of the seal."""

import json
from hashlib import blake2b

import pytest
from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Checksum,
    Computed,
    Const,
    GreedyBytes,
    If,
    Int8ub,
    Int16ub,
    Int32ub,
    Int64ub,
    PrefixedArray,
    RawCopy,
    Struct,
    Switch,
    Terminated,
    this,
)
from nacl import bindings
from vectors import lora as lora_vectors

from meshd.core.errors import UsageError, WireError
from meshd.wire.ledger_state import ACCOUNTS_MAX, BOOT_LEN, LedgerState
from meshd.wire.lora_beacon import ECHOES_MAX, Beacon, Challenge
from meshd.wire.lora_frame import FRAME_LEN_MAX, FrameKind, LoraFrame, overhead

GOLDEN = json.loads(lora_vectors.PATH.read_text())
FRAMES = {name: bytes.fromhex(frame) for name, frame in GOLDEN["frames"].items()}
KEYS = {
    name: bytes.fromhex(value) if isinstance(value, str) else value
    for name, value in GOLDEN["keys"].items()
}

FRAME = Struct(
    "first"
    / BitStruct(
        "version" / Const(1, BitsInteger(2)),
        "kind" / BitsInteger(3),
        "hop_limit" / BitsInteger(3),
    ),
    "context" / Int8ub,
    "next_hop" / Bytes(2),
    "source" / Bytes(2),
    "counter" / Int16ub,
    "destination" / Switch(this.first.kind, {4: Bytes(2), 5: Bytes(10)}, Computed(b"")),
    "rest" / GreedyBytes,
)
BEACON = Struct(
    "flags"
    / BitStruct(
        "zero" / Const(0, BitsInteger(4)),
        "echoes" / BitsInteger(3),
        "key" / BitsInteger(1),
    ),
    "public" / If(this.flags.key, Bytes(32)),
    "boot" / Int32ub,
    "salt" / Bytes(8),
    "counter" / Int32ub,
    "echoes" / Array(this.flags.echoes, Bytes(8)),
    "signature" / Bytes(64),
    Terminated,
)
LEDGER = Struct(
    "body"
    / RawCopy(
        Struct(
            "version" / Const(1, Int8ub),
            "boot" / Bytes(16),
            "now_us" / Int64ub,
            "accounts"
            / PrefixedArray(
                Int8ub,
                Struct(
                    "low_hz" / Int32ub,
                    "high_hz" / Int32ub,
                    "claim_us" / Int32ub,
                    "buckets" / PrefixedArray(Int8ub, Array(5, Int32ub)),
                ),
            ),
        )
    ),
    "check"
    / Checksum(
        Bytes(8),
        lambda data: blake2b(data, digest_size=8, person=b"meshd-ledger").digest(),
        this.body.data,
    ),
    Terminated,
)


def hashed(message, size, key=b"", person=b""):
    return blake2b(message, digest_size=size, key=key, person=person).digest()


def opened(frame, *, tag_key, cipher_key, node, counter):
    """Open a frame by what docs/wire-format.md says, with nothing of meshd."""
    parsed, tag = FRAME.parse(frame), frame[-8:]
    header = frame[: 8 + len(parsed.destination)]
    body = frame[len(header) : -8]
    mark = node + KEYS["epoch"] + counter.to_bytes(8, "big")
    nonce = hashed(mark + tag, 24, person=b"meshd-frame-iv")
    stream = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        bytes(len(body)), None, nonce, cipher_key
    )
    plaintext = bytes(one ^ other for one, other in zip(body, stream, strict=False))
    again = hashed(bytes([len(header)]) + header + mark + plaintext, 8, tag_key, b"meshd-frame-tag")
    assert again == tag
    return plaintext


def test_vectors_are_what_the_code_makes():
    assert lora_vectors.make() == GOLDEN


def test_keys_follow_from_the_link_key_as_the_page_says():
    link = KEYS["link_key"]
    material = KEYS["public"] + KEYS["boot"].to_bytes(4, "big") + KEYS["salt"]
    assert KEYS["epoch"] == hashed(b"", 4, link, b"meshd-link-epoch")
    assert KEYS["context"] == hashed(b"", 1, link, b"meshd-link-ctx")[0]
    assert KEYS["tag_key"] == hashed(material, 32, link, b"meshd-frame-mac")
    assert KEYS["cipher_key"] == hashed(material, 32, link, b"meshd-frame-key")
    assert KEYS["group_tag_key"] == hashed(b"", 32, link, b"meshd-group-mac")
    assert KEYS["group_cipher_key"] == hashed(b"", 32, link, b"meshd-group-key")


@pytest.mark.parametrize("name", ["local", "routed", "empty"])
def test_sealed_frame_opens_by_the_page_alone(name):
    frame = FRAMES[name]
    counter = FRAME.parse(frame).counter
    sealed = {"tag_key": KEYS["tag_key"], "cipher_key": KEYS["cipher_key"]}
    plaintext = opened(frame, **sealed, node=KEYS["node"], counter=counter)
    assert plaintext == (b"" if name == "empty" else KEYS["plaintext"])
    kind = FrameKind(FRAME.parse(frame).first.kind)
    assert len(frame) == len(plaintext) + overhead(kind)


def test_next_hop_is_as_the_page_says():
    frame = FRAME.parse(FRAMES["routed"])
    mark = KEYS["node"] + KEYS["epoch"] + frame.counter.to_bytes(8, "big")
    short = hashed(mark + KEYS["neighbour"], 2, KEYS["tag_key"], b"meshd-frame-hop")
    assert frame.next_hop == short
    assert frame.destination == KEYS["neighbour"][:2]


@pytest.mark.parametrize(("name", "size"), [("beacon", 129), ("answer", 113)])
def test_beacon_opens_by_the_page_and_is_signed(name, size):
    frame = FRAMES[name]
    assert len(frame) == size
    counter = FRAME.parse(frame).counter
    sealed = {"tag_key": KEYS["group_tag_key"], "cipher_key": KEYS["group_cipher_key"]}
    body = opened(frame, **sealed, node=bytes(10), counter=counter)
    beacon = BEACON.parse(body)
    assert (beacon.boot, beacon.salt, beacon.counter) == (KEYS["boot"], KEYS["salt"], counter)
    statement = (
        b"meshd-lora-beacon-1"
        + KEYS["epoch"]
        + KEYS["public"]
        + body[-64 - 16 - 8 * len(beacon.echoes) : -64]
    )
    assert bindings.crypto_sign_open(beacon.signature + statement, KEYS["public"])
    assert Beacon.decode(body).encode() == body


def test_challenge_opens_by_the_page():
    frame = FRAMES["challenge"]
    counter = FRAME.parse(frame).counter
    sealed = {"tag_key": KEYS["group_tag_key"], "cipher_key": KEYS["group_cipher_key"]}
    body = opened(frame, **sealed, node=bytes(10), counter=counter)
    assert body == KEYS["neighbour"] + b"\x08" * 8
    assert Challenge.decode(body).encode() == body


def test_overhead_is_within_eighteen_bytes():
    assert [overhead(kind) for kind in FrameKind] == [16, 16, 16, 18]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        bytes(15),
        bytes(16),
        b"\xc0" + bytes(20),
        b"\x70" + bytes(20),
        b"\x60" + bytes(16),
        b"\x40" + bytes(FRAME_LEN_MAX),
    ],
    ids=["empty", "short", "version 0", "version 3", "kind 6", "no destination", "long"],
)
def test_what_is_no_frame_is_refused(wrong):
    with pytest.raises(WireError):
        LoraFrame.decode(wrong)


def test_frame_that_does_not_fit_is_our_mistake():
    frame = LoraFrame(FrameKind.LOCAL, 0, 0, b"ab", b"cd", 1)
    assert len(frame._replace(body=bytes(239)).encode()) == FRAME_LEN_MAX
    with pytest.raises(UsageError):
        frame._replace(body=bytes(240)).encode()
    with pytest.raises(UsageError):
        frame._replace(destination=b"ef").encode()


@pytest.mark.parametrize("body", [b"", b"\x10" + bytes(80), bytes(80), bytes(82), b"\x01" * 81])
def test_what_is_no_beacon_is_refused(body):
    with pytest.raises(WireError):
        Beacon.decode(body)


def test_beacon_answers_no_more_than_it_holds():
    with pytest.raises(UsageError):
        Beacon(b"", 1, bytes(8), 1, (bytes(8),) * (ECHOES_MAX + 1), bytes(64)).encode()


@pytest.mark.parametrize("size", [0, 17, 19])
def test_what_is_no_challenge_is_refused(size):
    with pytest.raises(WireError):
        Challenge.decode(bytes(size))


def test_ledger_is_as_the_page_says():
    data = bytes.fromhex(GOLDEN["ledger"]["state"])
    parsed = LEDGER.parse(data).body.value
    state = LedgerState.decode(data)
    assert (parsed.boot, parsed.now_us) == (state.boot, state.now_us)
    (account,) = state.accounts
    assert [tuple(bucket) for bucket in parsed.accounts[0].buckets] == list(account.buckets)
    assert parsed.accounts[0].claim_us == account.claim_us == 1_800_000


@pytest.mark.parametrize(
    "head",
    [
        b"\x02" + bytes(BOOT_LEN + 8) + b"\0",
        b"\x01" + bytes(BOOT_LEN + 8) + bytes([ACCOUNTS_MAX + 1]),
        b"\x01" + bytes(BOOT_LEN + 8) + b"\1",
        b"\x01" + bytes(BOOT_LEN + 8) + b"\0\0",
        b"\x01",
    ],
    ids=["version", "accounts", "ends early", "more", "no head"],
)
def test_ledger_of_another_shape_is_refused(head):
    with pytest.raises(WireError):
        LedgerState.decode(head + hashed(head, 8, person=b"meshd-ledger"))
