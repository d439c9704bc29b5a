"""Membership records signed by named people, for tests of the log without any feed or cipher."""

from meshd.core import crypto
from meshd.space.membership import Signed, proof_statement, successor_statement
from meshd.wire.membership import Admit, Founding, Invite, Rank, RevokeInvite, Successor

SPACE = bytes(range(32))


class Person:
    """A signing key by name."""

    def __init__(self, name):
        self.seed = crypto.digest(name.encode())
        self.author = crypto.sign_public(self.seed)
        self.seq = 0

    def sign(self, record):
        """Return the record as the next entry of this person's feed."""
        self.seq += 1
        name = self.author + bytes([self.seq % 256]) + record.encode()
        return Signed(crypto.digest(name), self.author, self.seq, record)


def frontier(*signed):
    return tuple(sorted(item.digest for item in signed))


def found(person):
    return person.sign(Founding())


def invite(person, *known, key="key", rank=Rank.WRITER, uses=1):
    public = crypto.sign_public(crypto.digest(key.encode()))
    return person.sign(Invite(frontier(*known), public, rank, uses, 0))


def revoke(person, target, *known):
    return person.sign(RevokeInvite(frontier(*known), target.digest))


def admit(person, joiner, invitation, *known, key="key", rank=None):
    public = invitation.record.public
    statement = proof_statement(SPACE, public, joiner.author, bytes(32))
    return person.sign(
        Admit(
            frontier(*known),
            joiner.author,
            invitation.record.rank if rank is None else rank,
            False,
            invitation.digest,
            bytes(32),
            crypto.sign(crypto.digest(key.encode()), statement),
            crypto.sign(joiner.seed, statement),
        )
    )


def succeed(person, old, *known):
    record = Successor(frontier(*known), old.author, old.seq, bytes(32), b"")
    statement = successor_statement(SPACE, person.author, record)
    return person.sign(record._replace(signature=crypto.sign(old.seed, statement)))
