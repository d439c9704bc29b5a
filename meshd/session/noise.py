"""Speak the Noise handshakes IK and XX with 25519, ChaChaPoly and BLAKE2s.

Enters: static and ephemeral secrets, a prologue, handshake messages. Leaves: handshake messages and
two cipher states for what follows. What a peer gets wrong (a tag, a low-order point, a length) is
None, never an exception. Must not know: framing, certificates, streams, time.

Ref: The Noise Protocol Framework, revision 34; checked against published vectors
(tests/vectors/noise).
"""

import hmac
from hashlib import blake2s
from typing import NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from meshd.core import crypto
from meshd.core.errors import UsageError

HASH_LEN = 32


class Pattern(NamedTuple):
    """A handshake pattern: whether the responder's key is known first, and each message's tokens.

    Messages alternate, the initiator's first.
    """

    name: str
    responder_known: bool
    messages: tuple[tuple[str, ...], ...]


IK = Pattern("IK", True, (("e", "es", "s", "ss"), ("e", "ee", "se")))
XX = Pattern("XX", False, (("e",), ("e", "ee", "s", "es"), ("s", "se")))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, blake2s).digest()


def derive(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Return Noise's HKDF with two outputs."""
    secret = _hmac(chaining_key, material)
    first = _hmac(secret, b"\x01")
    return first, _hmac(secret, first + b"\x02")


class Cipher:
    """One direction's key with its counting nonce: 32 zero bits, then 64 bits little-endian."""

    __slots__ = ("_count", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0

    def _nonce(self) -> bytes:
        nonce = bytes(4) + self._count.to_bytes(8, "little")
        self._count += 1
        return nonce

    def encrypt(self, plaintext: bytes, data: bytes = b"") -> bytes:
        """Encrypt under the next nonce; the 16-byte tag stands at the end."""
        return bytes(
            bindings.crypto_aead_chacha20poly1305_ietf_encrypt(
                plaintext, data, self._nonce(), self._key
            )
        )

    def decrypt(self, ciphertext: bytes, data: bytes = b"") -> bytes | None:
        """Decrypt under the next nonce; None when the tag does not fit."""
        if len(ciphertext) < crypto.TAG_LEN:
            return None
        try:
            return bytes(
                bindings.crypto_aead_chacha20poly1305_ietf_decrypt(
                    ciphertext, data, self._nonce(), self._key
                )
            )
        except (CryptoError, ValueError):
            return None


class Noise:
    """One side of one handshake: `write` and `read` in turn until `done`, then `split` once.

    `ephemeral` is 32 fresh bytes of entropy. `remote` is the responder's static public key, which
    the initiator of a pattern with `responder_known` must give.
    """

    __slots__ = (
        *("_chaining_key", "_cipher", "_ephemeral", "_initiator", "_pattern", "_place"),
        *("_remote_ephemeral", "_static", "_static_public", "hash", "remote"),
    )

    def __init__(
        self,
        pattern: Pattern,
        *,
        initiator: bool,
        prologue: bytes,
        static: bytes,
        ephemeral: bytes,
        remote: bytes | None = None,
    ) -> None:
        name = f"Noise_{pattern.name}_25519_ChaChaPoly_BLAKE2s".encode()
        self.hash = name.ljust(HASH_LEN, b"\0") if len(name) <= HASH_LEN else blake2s(name).digest()
        self._chaining_key = self.hash
        self._cipher: Cipher | None = None
        self._pattern = pattern
        self._place = 0
        self._initiator = initiator
        self._static = static
        self._static_public = crypto.exchange_public(static)
        self._ephemeral = ephemeral
        self._remote_ephemeral = b""
        self.remote = remote
        self._mix_hash(prologue)
        if pattern.responder_known:
            known = remote if initiator else self._static_public
            if known is None:
                raise UsageError(f"Noise {pattern.name} needs the responder's static key")
            self._mix_hash(known)

    @property
    def done(self) -> bool:
        """Tell whether every message of the pattern has passed."""
        return self._place == len(self._pattern.messages)

    def write(self, payload: bytes = b"") -> bytes | None:
        """Return the next message of our side; None when a DH met a low-order point."""
        message = b""
        for token in self._next(ours=True):
            if token == "e":
                public = crypto.exchange_public(self._ephemeral)
                self._mix_hash(public)
                message += public
            elif token == "s":
                message += self._encrypt_and_hash(self._static_public)
            elif not self._mix_exchange(token):
                return None
        return message + self._encrypt_and_hash(payload)

    def read(self, message: bytes) -> bytes | None:
        """Return the payload of the peer's next message, or None when it is not genuine."""
        for token in self._next(ours=False):
            if token in ("e", "s"):
                sealed = token == "s" and self._cipher is not None
                length = crypto.KEY_LEN + (crypto.TAG_LEN if sealed else 0)
                part, message = message[:length], message[length:]
                if len(part) != length or not self._take_key(token, part):
                    return None
            elif not self._mix_exchange(token):
                return None
        return self._decrypt_and_hash(message)

    def split(self) -> tuple[Cipher, Cipher]:
        """Return the ciphers for sending and for receiving."""
        if not self.done:
            raise UsageError("the handshake is not done")
        first, second = derive(self._chaining_key, b"")
        ours, theirs = (first, second) if self._initiator else (second, first)
        return Cipher(ours), Cipher(theirs)

    # --- helpers ----------------------------------------------------------------------------------

    def _next(self, *, ours: bool) -> tuple[str, ...]:
        if self.done or (self._place % 2 == 0) != (self._initiator == ours):
            raise UsageError("it is not this side's turn in the handshake")
        self._place += 1
        return self._pattern.messages[self._place - 1]

    def _take_key(self, token: str, part: bytes) -> bool:
        if token == "e":
            self._mix_hash(part)
            self._remote_ephemeral = part
            return True
        self.remote = self._decrypt_and_hash(part)
        return self.remote is not None

    def _mix_exchange(self, token: str) -> bool:
        """Mix in the DH that `token` names: the initiator's key first, then the responder's."""
        mine, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        secret = self._ephemeral if mine == "e" else self._static
        public = self._remote_ephemeral if theirs == "e" else self.remote
        shared = crypto.exchange(secret, public) if public else None
        if shared is None:
            return False
        self._chaining_key, key = derive(self._chaining_key, shared)
        self._cipher = Cipher(key)
        return True

    def _mix_hash(self, data: bytes) -> None:
        self.hash = blake2s(self.hash + data).digest()

    def _encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.encrypt(plaintext, self.hash) if self._cipher else plaintext
        self._mix_hash(sealed)
        return sealed

    def _decrypt_and_hash(self, sealed: bytes) -> bytes | None:
        plain = self._cipher.decrypt(sealed, self.hash) if self._cipher else sealed
        self._mix_hash(sealed)
        return plain
