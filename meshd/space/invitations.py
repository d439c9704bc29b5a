"""Invitations: making one, asking by one, letting in, and taking the answer.

Enters: links, requests and answers as text or bytes. Leaves: drafts of membership records,
requests, answers, records of joined spaces, and for the joiner a named reason with a remedy.
The keys of the space travel sealed to the invite's X25519 key and are handed out by members only,
so a revoked link opens nothing. Ref: docs/wire-format.md#invitations.
"""

from typing import NamedTuple

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError, WireError
from meshd.core.identity import Identity
from meshd.space.entries import Draft
from meshd.space.keys import commit, fetch_key_of
from meshd.space.membership import (
    Signed,
    device_commitment,
    device_statement,
    proof_statement,
)
from meshd.space.record import JoiningRecord, SpaceRecord
from meshd.space.space import Space
from meshd.wire import genesis as wire_genesis
from meshd.wire import invitation as wire
from meshd.wire.entry import Kind
from meshd.wire.invitation import Invitation, JoinAnswer, JoinKeys, JoinRequest
from meshd.wire.membership import Admit, Invite, InviteCard, MemberCard, Rank

_PURPOSE = b"meshd-invite"
_READ, _FETCH = b"\x01", b"\x00"

REFUSALS = {
    DropReason.INVITE_UNKNOWN: (
        "this node does not know the invitation",
        "check the link, or try again near a member who has heard of it",
    ),
    DropReason.INVITE_EXPIRED: ("the invitation has expired", "ask for a new one"),
    DropReason.INVITE_REVOKED: ("the invitation was revoked", "ask for a new one"),
    DropReason.INVITE_USED_UP: ("the invitation was used already", "ask for a new one"),
    DropReason.JOIN_MALFORMED: (
        "the join request was not understood",
        "check that both nodes run the same version of meshd",
    ),
    DropReason.JOIN_PROOF: ("the invitation's proof does not hold", "ask for a new one"),
    DropReason.ENTRY_RIGHT: (
        "this node may not let anybody in: it only carries the space",
        "ask another member",
    ),
    DropReason.MEMBERSHIP_FULL: (
        "the space's membership log is full",
        "ask its owner to begin a new space",
    ),
    DropReason.STORE_CLOSED: ("the other node's store is out of order", "try again later"),
    DropReason.JOIN_ANSWER: (
        "the answer does not fit the invitation",
        "ask another member; this one is mistaken or lying",
    ),
}


class InviteKeys:
    """What follows from a link's secret. Holds keys: no repr shows them."""

    __slots__ = ("join_key", "public", "seal_public", "seal_secret", "seed")

    def __init__(self, secret: bytes, space: bytes) -> None:
        self.seed = crypto.digest(space, key=secret, person=b"meshd-inv-sign")
        self.public = crypto.sign_public(self.seed)
        self.seal_secret = crypto.digest(space, key=secret, person=b"meshd-inv-seal")
        self.seal_public = crypto.exchange_public(self.seal_secret)
        self.join_key = crypto.digest(space, key=secret, person=b"meshd-inv-join")


class Terms(NamedTuple):
    """What an invitation offers: rank, how many may use it, until when (0: for ever)."""

    rank: Rank
    uses: int
    expires_s: int


class Admission(NamedTuple):
    """What a good request leads to: an answer, and the record to append unless it is a repeat."""

    answer: bytes
    draft: Draft | None


def refusal(reason: str) -> RequestError:
    """Return the error that a joiner shows for a reason that an admitter (or this node) named."""
    for known, (text, remedy) in REFUSALS.items():
        if known.value == reason:
            return RequestError(text, code=Exit.DENIED, remedy=remedy)
    return RequestError("the join was refused", code=Exit.DENIED, remedy="ask another member")


def parse_link(text: str) -> Invitation:
    """Parse a link.

    Raises: RequestError that says what is wrong with it.
    """
    try:
        return wire.decode_link(text)
    except WireError as error:
        raise RequestError(
            str(error), code=Exit.USAGE, remedy="copy the whole link, or ask for a new one"
        ) from error


def invite_draft(space: Space, keys: InviteKeys, terms: Terms, ephemeral: bytes) -> Draft:
    """Return the INVITE record; the space's keys are sealed to the invite with `ephemeral`."""
    if terms.rank is Rank.RELAY:
        secret = _FETCH + space.fetch_key
    else:
        assert space.keys.epoch_key is not None
        secret = _READ + space.keys.epoch_key + space.name.encode()
    sealed = crypto.seal_to(keys.seal_public, secret, ephemeral=ephemeral, purpose=_PURPOSE)
    record = Invite(space.log.frontier(space.author), keys.public, *terms)
    return Draft(Kind.INVITE, record.encode(), InviteCard(keys.join_key, sealed).encode())


def member_card(space: bytes, author: bytes, identity: Identity, name: str) -> MemberCard:
    """Return this device's card for its signing key `author`."""
    signature = identity.sign(device_statement(space, author))
    return MemberCard(identity.public, signature, 0, name)


def join_request(joining: JoiningRecord, identity: Identity, nonce: bytes) -> bytes:
    """Return the request for a join; the same seed asks again after a restart.

    Raises: RequestError when the link cannot be used.
    """
    link = parse_link(joining.link)
    keys = InviteKeys(link.secret, link.space)
    author = crypto.sign_public(joining.seed)
    card = member_card(link.space, author, identity, joining.name)
    commitment = device_commitment(card.device, card.signature)
    statement = proof_statement(link.space, keys.public, author, commitment)
    inner = JoinKeys(
        author,
        card.device,
        card.signature,
        crypto.sign(keys.seed, statement),
        crypto.sign(joining.seed, statement),
        joining.name,
    )
    sealed = crypto.seal(keys.join_key, nonce, inner.encode(), keys.public)
    return JoinRequest(keys.public, nonce, sealed).encode()


def admit(space: Space, request: JoinRequest, wall_s: int | None) -> Admission | DropReason:
    """Judge a request by an invitation of `space`; nothing is appended here.

    Expiry is judged by this node's clock; without one the admission says so.
    """
    signed = space.log.invite_of(request.invite)
    card = space.invite_card(signed.digest) if signed else None
    if signed is None or card is None or not isinstance(signed.record, Invite):
        known_relay = signed is not None and space.carries_only
        return DropReason.ENTRY_RIGHT if known_relay else DropReason.INVITE_UNKNOWN
    inner = crypto.unseal(card.join_key, request.nonce, request.sealed, request.invite)
    if inner is None:
        return DropReason.JOIN_PROOF
    try:
        keys = wire.decode_join_keys(inner)
    except WireError:
        return DropReason.JOIN_MALFORMED
    invite = signed.record
    answer = JoinAnswer(invite.rank, space.genesis, card.sealed).encode()
    if keys.author in space.log.admitted_by(signed.digest):
        return Admission(answer, None)
    refused = _refuses(space, signed, invite, wall_s)
    if refused is not None:
        return refused
    commitment = device_commitment(keys.device, keys.device_signature)
    statement = proof_statement(space.id, invite.public, keys.author, commitment)
    if not _is_proven(space.id, keys, invite.public, statement):
        return DropReason.JOIN_PROOF
    record = Admit(
        space.log.frontier(space.author),
        keys.author,
        invite.rank,
        invite.expires_s > 0 and wall_s is None,
        signed.digest,
        commitment,
        keys.proof,
        keys.consent,
    )
    member = MemberCard(keys.device, keys.device_signature, int(invite.rank), keys.name)
    return Admission(answer, Draft(Kind.ADMIT, record.encode(), member.encode()))


def accept_answer(joining: JoiningRecord, data: bytes) -> SpaceRecord | DropReason:
    """Check an answer against the link; return the space as it is to be kept."""
    link = parse_link(joining.link)
    keys = InviteKeys(link.secret, link.space)
    try:
        answer = wire.decode_answer(data)
        genesis = wire_genesis.decode(answer.genesis)
    except WireError:
        return DropReason.JOIN_MALFORMED
    secret = crypto.unseal_to(keys.seal_secret, answer.sealed, purpose=_PURPOSE)
    signed = crypto.verify(genesis.founder, genesis.statement(), genesis.signature)
    if wire_genesis.space_id(answer.genesis) != link.space or not signed or secret is None:
        return DropReason.JOIN_ANSWER
    key, name = secret[1 : 1 + crypto.KEY_LEN], secret[1 + crypto.KEY_LEN :]
    reads = secret[:1] == _READ
    fits = len(key) == crypto.KEY_LEN and (answer.rank > Rank.RELAY) == reads
    if not fits or (reads and commit(key) != genesis.commitment):
        return DropReason.JOIN_ANSWER
    return SpaceRecord(
        genesis=answer.genesis,
        name=name.decode(errors="replace"),
        epoch_key=key if reads else None,
        fetch=fetch_key_of(key) if reads else key,
        seed=joining.seed,
        rank=answer.rank,
    )


def _is_proven(space: bytes, keys: JoinKeys, invite: bytes, statement: bytes) -> bool:
    """Tell whether device, invitation and signing key all signed for the joiner."""
    return (
        crypto.verify(keys.device, device_statement(space, keys.author), keys.device_signature)
        and crypto.verify(invite, statement, keys.proof)
        and crypto.verify(keys.author, statement, keys.consent)
    )


def _refuses(space: Space, signed: Signed, invite: Invite, wall_s: int | None) -> DropReason | None:
    if space.rank is None or space.rank < Rank.READER or space.carries_only:
        return DropReason.ENTRY_RIGHT
    if space.log.is_revoked(signed.digest):
        return DropReason.INVITE_REVOKED
    if len(space.log.admitted_by(signed.digest)) >= invite.uses:
        return DropReason.INVITE_USED_UP
    if invite.expires_s and wall_s is not None and wall_s > invite.expires_s:
        return DropReason.INVITE_EXPIRED
    return None
