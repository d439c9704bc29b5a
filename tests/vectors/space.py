"""Golden bytes of a space, made from fixed seeds: `python -m vectors.space` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from vectors.golden import shown

from meshd.core import crypto
from meshd.core.identity import Identity
from meshd.space import invitations
from meshd.space.entries import Draft, Place, write
from meshd.space.keys import SpaceKeys, commit
from meshd.space.membership import device_commitment, proof_statement
from meshd.space.record import JoiningRecord
from meshd.wire import entry as wire_entry
from meshd.wire import genesis as wire_genesis
from meshd.wire.entry import Kind
from meshd.wire.genesis import Genesis
from meshd.wire.invitation import Invitation, JoinAnswer
from meshd.wire.membership import Admit, FoundingCard, Invite, InviteCard, Rank, RevokeInvite
from meshd.wire.payload import FileClear, FileSecret, Message, Post, Receipt

PATH = Path(__file__).with_name("space.json")
TIME_S = 1_800_000_000


def fill(byte, size=32):
    return bytes([byte]) * size


SEED, JOINER_SEED, EPOCH_KEY = fill(1), fill(2), fill(3)
IDENTITY, JOINER = Identity(fill(4), fill(5)), Identity(fill(6), fill(7))
SECRET = fill(8, 16)
FOUNDER, AUTHOR = crypto.sign_public(SEED), crypto.sign_public(JOINER_SEED)


def make():
    """Return {name: {what it is: JSON value}}; bytes are hex."""
    genesis = Genesis(FOUNDER, commit(EPOCH_KEY), wire_genesis.NO_RECOVERY, TIME_S, fill(9, 16))
    genesis = genesis._replace(signature=crypto.sign(SEED, genesis.statement()))
    space = wire_genesis.space_id(genesis.encode())
    keys = SpaceKeys(commitment=genesis.commitment, space=space, epoch_key=EPOCH_KEY, fetch=fill(0))
    vectors = {
        "genesis": shown(genesis) | {"bytes": genesis.encode().hex(), "space": space.hex()},
        "keys": {
            "epoch_key": EPOCH_KEY.hex(),
            "commitment": commit(EPOCH_KEY).hex(),
            "fetch_key": keys.fetch.hex(),
            "epoch_id": keys.epoch_id.hex(),
            "author_id": keys.author_id(FOUNDER).hex(),
        },
    }
    running = wire_entry.first_running(space, FOUNDER)
    digests = []
    for seq, (name, draft) in enumerate(_drafts(space, digests), 1):
        place = Place(seq, running, crypto.digest(b"".join(digests)), TIME_S + seq)
        entry = write(keys, space, SEED, place=place, draft=draft)
        digest = entry.digest(space, FOUNDER)
        digests.append(digest)
        running = wire_entry.next_running(running, digest)
        vectors[f"entry-{name}"] = shown(entry.head) | {
            "clear": draft.clear.hex(),
            "payload": draft.payload.hex(),
            "bytes": entry.encode().hex(),
            "erased": entry.erased().encode().hex(),
            "digest": digest.hex(),
            "running": running.hex(),
        }
    return vectors | _invitation(genesis, space)


def _drafts(space, digests):
    card = invitations.member_card(space, FOUNDER, IDENTITY, "anna")
    yield "founding", Draft(Kind.FOUNDING, b"", FoundingCard("home", card).encode())
    keys = invitations.InviteKeys(SECRET, space)
    sealed = crypto.seal_to(
        keys.seal_public, b"\x01" + EPOCH_KEY + b"home", ephemeral=fill(10), purpose=b"meshd-invite"
    )
    invite = Invite((digests[-1],), keys.public, Rank.WRITER, 2, TIME_S + 3600)
    yield "invite", Draft(Kind.INVITE, invite.encode(), InviteCard(keys.join_key, sealed).encode())
    member = invitations.member_card(space, AUTHOR, JOINER, "ben")
    commitment = device_commitment(member.device, member.signature)
    statement = proof_statement(space, keys.public, AUTHOR, commitment)
    proof, consent = crypto.sign(keys.seed, statement), crypto.sign(JOINER_SEED, statement)
    admit = Admit(
        (digests[-1],), AUTHOR, Rank.WRITER, False, digests[-1], commitment, proof, consent
    )
    yield "admit", Draft(Kind.ADMIT, admit.encode(), member.encode())
    revoke = RevokeInvite((digests[-1],), digests[1])
    yield "revoke-invite", Draft(Kind.REVOKE_INVITE, revoke.encode(), b"")
    yield "post", Draft(Kind.POST, b"", Post("hello, mesh").encode())
    message = Message(JOINER.node, "for you")
    yield "message", Draft(Kind.MESSAGE, b"", message.encode())
    yield "receipt", Draft(Kind.RECEIPT, b"", Receipt(((AUTHOR, 7, digests[-1][:8]),)).encode())
    clear = FileClear(fill(11), 1, 3, 3_000_000)
    secret = FileSecret(fill(12), 2_999_952, "map.png", "image/png")
    yield "file", Draft(Kind.FILE, clear.encode(), secret.encode())


def _invitation(genesis, space):
    link = Invitation(SECRET, space, (IDENTITY.node, JOINER.node))
    record = JoiningRecord(link.encode(), JOINER_SEED, "ben")
    request = invitations.join_request(record, JOINER, fill(13, 24))
    keys = invitations.InviteKeys(SECRET, space)
    sealed = crypto.seal_to(
        keys.seal_public, b"\x01" + EPOCH_KEY + b"home", ephemeral=fill(10), purpose=b"meshd-invite"
    )
    answer = JoinAnswer(Rank.WRITER, genesis.encode(), sealed)
    return {
        "invitation": {
            "secret": SECRET.hex(),
            "hints": [node.hex() for node in link.hints],
            "link": link.encode(),
            "invite_public": keys.public.hex(),
            "request": request.hex(),
            "answer": answer.encode().hex(),
        }
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=2) + "\n")
