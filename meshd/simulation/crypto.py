"""Quick stand-ins for the expensive primitives, for a simulation and nothing else.

Enters: which kind is wanted; `primitives` swaps functions of `core.crypto` meanwhile. Leaves:
functions with the very sizes and rules of the real ones, on keyed BLAKE2b: a signature of another
key or message does not verify, both sides of an exchange agree and others do not. They keep no
secret from somebody who knows them: what the owner of a public key signs or agrees, anybody can
compute. Only the attacks of `faults/` are there to try, and none does. Ciphers stay the real ones,
being quick, so what is on the air shows nothing. The daemon cannot get here: it imports no
`simulation`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from meshd.core import crypto

_REAL_VERIFY = crypto.verify


def sign_public(seed: bytes) -> bytes:
    """Stand in for `crypto.sign_public`."""
    return blake2b(seed, digest_size=32, person=b"sim-sign-public").digest()


def sign(seed: bytes, message: bytes) -> bytes:
    """Stand in for `crypto.sign`."""
    return blake2b(message, key=sign_public(seed), person=b"sim-signature").digest()


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Stand in for `crypto.verify`."""
    if len(signature) != crypto.SIGNATURE_LEN or len(public) != crypto.KEY_LEN:
        return False
    return blake2b(message, key=public, person=b"sim-signature").digest() == signature


def exchange_public(secret: bytes) -> bytes:
    """Stand in for `crypto.exchange_public`."""
    return blake2b(secret, digest_size=32, person=b"sim-xch-public").digest()


def exchange(secret: bytes, public: bytes) -> bytes | None:
    """Stand in for `crypto.exchange`: both sides know both public keys."""
    if len(public) != crypto.KEY_LEN or not any(public):
        return None
    own = exchange_public(secret)
    low, high = (own, public) if own < public else (public, own)
    return blake2b(low + high, digest_size=32, person=b"sim-exchange").digest()


def exchange_secret_of(seed: bytes) -> bytes:
    """Stand in for `crypto.exchange_secret_of`: what everybody knows of the signing key."""
    return sign_public(seed)


def exchange_public_of(sign_public: bytes) -> bytes | None:
    """Stand in for `crypto.exchange_public_of`: that of the secret above."""
    return exchange_public(sign_public) if len(sign_public) == crypto.KEY_LEN else None


_KINDS = {
    "stand-in": (
        *(sign_public, sign, verify, exchange_public, exchange),
        *(exchange_public_of, exchange_secret_of),
    ),
    "real": (
        *(crypto.sign_public, crypto.sign, crypto.verify),
        *(crypto.exchange_public, crypto.exchange),
        *(crypto.exchange_public_of, crypto.exchange_secret_of),
    ),
}


def true_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Verify by the kind in force now, whatever somebody put in the place of `crypto.verify`."""
    return (verify if crypto.sign is sign else _REAL_VERIFY)(public, message, signature)


@contextmanager
def primitives(kind: str) -> Iterator[None]:
    """Let the whole process use the primitives of this kind until the end of the block.

    Blocks may stand in each other: what a block says holds in it, and what held before comes back.
    What was signed or sealed with one kind does not hold with the other.
    """
    before = {each.__name__: getattr(crypto, each.__name__) for each in _KINDS["stand-in"]}
    for each in _KINDS[kind]:
        setattr(crypto, each.__name__, each)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(crypto, name, function)
