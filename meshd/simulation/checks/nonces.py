"""No key ever meets a nonce with two texts, whatever crashes and rolls back.

Enters: each sealing that any node of this process does, while `watched` is open, seen where the
cipher itself is called: the key, nonce and text that it was really given, whatever counts above it.
Leaves: what repeated. The same text sealed again under the same key and nonce is no leak: entries
derive their nonce from the text itself, so that a copied card seals alike what is alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from nacl import bindings

from meshd.core import crypto

REPEATS_MAX = 20
_CIPHERS = (
    "crypto_aead_chacha20poly1305_ietf_encrypt",
    "crypto_aead_xchacha20poly1305_ietf_encrypt",
)
_Seal = Callable[[bytes, bytes | None, bytes, bytes], bytes]


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
    real: dict[str, _Seal] = {name: getattr(bindings, name) for name in _CIPHERS}
    seal_into = crypto.seal_into

    def watching(seal: _Seal) -> _Seal:
        def sealing(text: bytes, data: bytes | None, nonce: bytes, key: bytes) -> bytes:
            nonces.sealed(key, nonce, text, data or b"")
            return seal(text, data, nonce, key)

        return sealing

    def sealing_into(
        ciphertext: memoryview, key: bytes, nonce: bytes, plaintext: memoryview
    ) -> None:
        nonces.sealed(key, nonce, plaintext, b"")
        seal_into(ciphertext, key, nonce, plaintext)

    for name, seal in real.items():
        setattr(bindings, name, watching(seal))
    crypto.seal_into = sealing_into
    try:
        yield nonces
    finally:
        for name, seal in real.items():
            setattr(bindings, name, seal)
        crypto.seal_into = seal_into
