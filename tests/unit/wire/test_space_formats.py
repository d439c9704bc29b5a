"""The formats of a space: golden bytes, a second declaration in construct, and what is refused."""

import json

import pytest
from construct import (
    Array,
    Bytes,
    Const,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int32ub,
    Int64ub,
    Pointer,
    Prefixed,
    Struct,
    this,
)
from vectors import space as space_vectors

from meshd.core.errors import WireError
from meshd.wire import entry, genesis, invitation, membership, payload
from meshd.wire.membership import FoundingCard, Invite, MemberCard, Rank

GOLDEN = json.loads(space_vectors.PATH.read_text())
ENTRIES = [name for name in GOLDEN if name.startswith("entry-")]

ENTRY = Struct(
    "version" / Const(0, Int8ub),
    "kind" / Int8ub,
    "flags" / Int8ub,
    "author_id" / Bytes(4),
    "seq" / Int32ub,
    "time_s" / Int32ub,
    "epoch_id" / Bytes(4),
    "membership" / Bytes(8),
    "prev" / Bytes(8),
    "seed" / Bytes(8),
    "clear" / Prefixed(Int16ub, GreedyBytes),
    "rest" / GreedyBytes,
    "signature" / Pointer(-64, Bytes(64)),
)
GENESIS = Struct(
    "version" / Const(0, Int8ub),
    "flags" / Const(0, Int8ub),
    "founder" / Bytes(32),
    "commitment" / Bytes(32),
    "recovery" / Bytes(32),
    "created_s" / Int32ub,
    "salt" / Bytes(16),
    "signature" / Bytes(64),
)
FRONTIER = Struct("count" / Int8ub, "heads" / Array(this.count, Bytes(32)))
INVITE = Struct(
    "frontier" / FRONTIER,
    "public" / Bytes(32),
    "rank" / Int8ub,
    "uses" / Int16ub,
    "expires_s" / Int32ub,
)
ADMIT = Struct(
    "frontier" / FRONTIER,
    "author" / Bytes(32),
    "rank" / Int8ub,
    "time_unchecked" / Int8ub,
    "invite" / Bytes(32),
    "commitment" / Bytes(32),
    "proof" / Bytes(64),
    "consent" / Bytes(64),
)
FILE_CLEAR = Struct("root" / Bytes(32), "levels" / Int8ub, "chunks" / Int32ub, "size" / Int64ub)
REQUEST = Struct(
    "version" / Const(0, Int8ub), "invite" / Bytes(32), "nonce" / Bytes(24), "sealed" / GreedyBytes
)
ANSWER = Struct(
    "version" / Const(0, Int8ub), "rank" / Int8ub, "genesis" / Bytes(182), "sealed" / GreedyBytes
)


def golden(name, field="bytes"):
    return bytes.fromhex(GOLDEN[name][field])


def same(declared, value):
    for name, item in value._asdict().items():
        found = declared.frontier.heads if name == "frontier" else declared[name]
        assert found == (list(item) if isinstance(item, tuple) else item), name


def test_golden_bytes_are_what_we_make():
    assert space_vectors.make() == GOLDEN


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_decodes_encodes_and_agrees_with_construct(name):
    data = golden(name)
    held = entry.decode(data)
    assert held.encode() == data
    declared = ENTRY.parse(data)
    same(declared, held.head)
    assert declared["clear"] == held.clear == golden(name, "clear")
    assert declared.rest == held.sealed + held.signature
    assert declared.signature == held.signature
    assert len(data) == entry.FIXED_LEN + len(held.clear) + len(golden(name, "payload"))


def test_fixed_part_of_an_entry_is_at_most_128_bytes():
    assert entry.FIXED_LEN == 125 <= 128


@pytest.mark.parametrize("name", ENTRIES)
def test_erased_entry_keeps_its_hash(name):
    space, author = golden("genesis", "space"), golden("genesis", "founder")
    erased = entry.decode(golden(name, "erased"))
    assert erased.body is None and erased.clear == erased.sealed == b""
    assert erased.digest(space, author) == golden(name, "digest")
    assert erased.encode() == golden(name, "erased")
    assert len(erased.encode()) == entry.HEAD_LEN + 32 + 64


def test_chain_runs_through_every_digest():
    space, author = golden("genesis", "space"), golden("genesis", "founder")
    running = entry.first_running(space, author)
    for name in ENTRIES:
        held = entry.decode(golden(name, "erased"))
        assert held.head.prev == running[:8]
        running = entry.next_running(running, held.digest(space, author))
        assert running == golden(name, "running")


def test_genesis_agrees_with_construct():
    held = genesis.decode(golden("genesis"))
    assert held.encode() == golden("genesis")
    assert genesis.space_id(golden("genesis")) == golden("genesis", "space")
    same(GENESIS.parse(golden("genesis")), held)


def test_membership_records_agree_with_construct():
    invite = membership.decode_invite(golden("entry-invite", "clear"))
    same(INVITE.parse(invite.encode()), invite)
    admit = membership.decode_admit(golden("entry-admit", "clear"))
    same(ADMIT.parse(admit.encode()), admit)
    assert admit.invite == golden("entry-invite", "digest")
    revoke = membership.decode_revoke_invite(golden("entry-revoke-invite", "clear"))
    assert revoke.invite == admit.invite


def test_invitation_agrees_with_construct():
    held = GOLDEN["invitation"]
    link = invitation.decode_link(held["link"])
    assert link == invitation.decode_link(held["link"].upper())
    assert link.secret.hex() == held["secret"] and link.space == golden("genesis", "space")
    assert [hint.hex() for hint in link.hints] == held["hints"]
    request = invitation.decode_request(bytes.fromhex(held["request"]))
    same(REQUEST.parse(request.encode()), request)
    answer = invitation.decode_answer(bytes.fromhex(held["answer"]))
    same(ANSWER.parse(answer.encode()), answer)


def test_link_holds_no_key_of_the_space_and_fits_the_qr_alphabet():
    link = GOLDEN["invitation"]["link"]
    assert set(link.upper()) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
    held = invitation.decode_link(link)
    for name in ("epoch_key", "fetch_key"):
        assert golden("keys", name) not in held.secret + held.space + b"".join(held.hints)
    assert repr(held.secret) not in repr(held)


def test_payloads_round_trip():
    assert payload.decode_post(golden("entry-post", "payload")).text == "hello, mesh"
    message = payload.decode_message(golden("entry-message", "payload"))
    assert message.encode() == golden("entry-message", "payload")
    receipt = payload.decode_receipt(golden("entry-receipt", "payload"))
    assert receipt.encode() == golden("entry-receipt", "payload")
    ((author, seq, mark),) = receipt.received
    assert author + seq.to_bytes(4, "big") + mark == receipt.encode() and len(mark) == 8
    clear = payload.decode_file_clear(golden("entry-file", "clear"))
    same(FILE_CLEAR.parse(clear.encode()), clear)
    secret = payload.decode_file_secret(golden("entry-file", "payload"))
    assert secret.encode() == golden("entry-file", "payload")
    assert secret.key.hex() not in repr(secret) and repr(secret.key) not in repr(secret)


def test_cards_round_trip():
    founding = membership.decode_founding_card(golden("entry-founding", "payload"))
    assert (founding.space_name, founding.card.name) == ("home", "anna")
    assert founding.encode() == golden("entry-founding", "payload")
    card = membership.decode_member_card(golden("entry-admit", "payload"))
    assert card.encode() == golden("entry-admit", "payload")
    invite = membership.decode_invite_card(golden("entry-invite", "payload"))
    assert invite.encode() == golden("entry-invite", "payload")


CARD = MemberCard(bytes(32), bytes(64), 0, "anna")
INVITE_BYTES = Invite((bytes(32), b"\1" * 32), bytes(32), Rank.READER, 1, 0).encode()
ENTRY_BYTES = golden("entry-post")
LINK = GOLDEN["invitation"]["link"]


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (entry.decode, b""),
        (entry.decode, ENTRY_BYTES[:124]),
        (entry.decode, b"\1" + ENTRY_BYTES[1:]),
        (entry.decode, ENTRY_BYTES[:2] + b"\x10" + ENTRY_BYTES[3:]),
        (entry.decode, ENTRY_BYTES[:7] + bytes(4) + ENTRY_BYTES[11:]),
        (entry.decode, ENTRY_BYTES[:43] + b"\xff\xff" + ENTRY_BYTES[45:]),
        (entry.decode, b"\x80" + ENTRY_BYTES[1:]),
        (entry.decode, ENTRY_BYTES + bytes(entry.ENTRY_LEN_MAX)),
        (genesis.decode, golden("genesis")[:-1]),
        (genesis.decode, b"\1" + golden("genesis")[1:]),
        (membership.decode_founding, b"\0"),
        (membership.decode_invite, b""),
        (membership.decode_invite, INVITE_BYTES[:-1]),
        (membership.decode_invite, b"\0" + INVITE_BYTES[65:]),
        (membership.decode_invite, INVITE_BYTES[:33] + bytes(32) + INVITE_BYTES[65:]),
        (membership.decode_invite, INVITE_BYTES[:-7] + b"\4" + INVITE_BYTES[-6:]),
        (membership.decode_invite, INVITE_BYTES[:-6] + bytes(2) + INVITE_BYTES[-4:]),
        (membership.decode_member_card, CARD.encode()[:96]),
        (membership.decode_member_card, CARD._replace(name="x" * 65).encode()),
        (membership.decode_member_card, CARD._replace(name="a\nb").encode()),
        (membership.decode_member_card, CARD.encode() + b"\xff"),
        (membership.decode_founding_card, b""),
        (membership.decode_founding_card, FoundingCard("x", CARD).encode()[:50]),
        (membership.decode_invite_card, bytes(32)),
        (membership.decode_invite_card, bytes(32 + 257)),
        (payload.decode_post, b"\xff"),
        (payload.decode_message, bytes(9)),
        (payload.decode_receipt, b""),
        (payload.decode_receipt, bytes(36)),
        (payload.decode_receipt, bytes(44 * 65)),
        (payload.decode_file_clear, bytes(44)),
        (payload.decode_file_secret, bytes(40)),
        (payload.decode_file_secret, payload.FileSecret(bytes(32), 1, "../x", "").encode()),
        (payload.decode_file_secret, payload.FileSecret(bytes(32), 1, "", "").encode()),
        (payload.decode_file_secret, payload.FileSecret(bytes(32), 1, "x", "y" * 256).encode()),
        (invitation.decode_request, bytes(100)),
        (invitation.decode_request, b"\1" + bytes(400)),
        (invitation.decode_answer, bytes(184)),
        (invitation.decode_answer, b"\0\4" + bytes(200)),
        (invitation.decode_join_keys, bytes(100)),
        (invitation.decode_link, "https://example.org"),
        (invitation.decode_link, LINK[:-1]),
        (invitation.decode_link, LINK[:-9] + "1" + LINK[-8:]),
        (invitation.decode_link, LINK[:30] + ("a" if LINK[30] != "a" else "b") + LINK[31:]),
    ],
)
def test_malformed_is_refused(decode, data):
    with pytest.raises(WireError):
        decode(data)


def test_body_that_is_too_long_cannot_be_made():
    with pytest.raises(WireError):
        entry.pack_body(bytes(entry.CLEAR_MAX + 1), bytes(16))
    with pytest.raises(WireError):
        entry.pack_body(b"", bytes(entry.ENTRY_LEN_MAX))
