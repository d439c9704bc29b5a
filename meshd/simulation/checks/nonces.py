"""No key ever meets a nonce with two texts, whatever crashes and rolls back.

Enters: each sealing that any node of this process does, while `watched` is open. Leaves: what
repeated. The same text sealed again under the same key and nonce is no leak: entries derive their
nonce from the text itself, so that a copied card seals alike what is alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from meshd.core import crypto
from meshd.session.noise import Cipher

REPEATS_MAX = 20


class Nonces:
    """What was sealed under which key and nonce, by digests."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self._sealed: dict[bytes, bytes] = {}

    def sealed(self, key: bytes, nonce: bytes, plaintext: bytes | memoryview, data: bytes) -> None:
        """Note a sealing."""
        place = blake2b(key + nonce, digest_size=16).digest()
        what = blake2b(plaintext, digest_size=16, key=blake2b(data).digest()).digest()
        if self._sealed.setdefault(place, what) != what and len(self.repeated) < REPEATS_MAX:
            self.repeated.append(f"nonce {nonce.hex()} came twice under one key with two texts")


@contextmanager
def watched() -> Iterator[Nonces]:
    """See all sealing of this process until the end of the block."""
    nonces = Nonces()
    seal, seal_into, encrypt = crypto.seal, crypto.seal_into, Cipher.encrypt

    def sealing(key: bytes, nonce: bytes, plaintext: bytes, data: bytes = b"") -> bytes:
        nonces.sealed(key, nonce, plaintext, data)
        return seal(key, nonce, plaintext, data)

    def sealing_into(
        ciphertext: memoryview, key: bytes, nonce: bytes, plaintext: memoryview
    ) -> None:
        nonces.sealed(key, nonce, plaintext, b"")
        seal_into(ciphertext, key, nonce, plaintext)

    def encrypting(self: Cipher, plaintext: bytes, data: bytes = b"") -> bytes:
        nonces.sealed(self._key, self._count.to_bytes(8, "little"), plaintext, data)
        return encrypt(self, plaintext, data)

    changed: list[tuple[Any, str, Any]] = [
        (crypto, "seal", sealing),
        (crypto, "seal_into", sealing_into),
        (Cipher, "encrypt", encrypting),
    ]
    for owner, name, function in changed:
        setattr(owner, name, function)
    try:
        yield nonces
    finally:
        crypto.seal, crypto.seal_into = seal, seal_into
        Cipher.encrypt = encrypt  # type: ignore[method-assign]
