"""The primitives, on PyNaCl and hashlib; nothing here draws its own randomness.

Keys, nonces and seeds come in as arguments, so that the simulator replays byte for byte. Only calls
that PyNaCl 1.5 has. Ref: RFC 8032 (Ed25519), RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305),
RFC 7693 (BLAKE2).
"""

from hashlib import blake2b

from nacl import bindings
from nacl._sodium import ffi, lib
from nacl.exceptions import BadSignatureError, CryptoError

from meshd.core.errors import UsageError

KEY_LEN = 32
SIGNATURE_LEN = 64
TAG_LEN = 16
XNONCE_LEN = 24


def digest(data: bytes, *, key: bytes = b"", size: int = 32, person: bytes = b"") -> bytes:
    """Return BLAKE2b of `data`, keyed and personalised (≤ 16 bytes) when asked."""
    return blake2b(data, key=key, digest_size=size, person=person).digest()


def sign_public(seed: bytes) -> bytes:
    """Return the Ed25519 public key of a 32-byte seed."""
    public, _ = bindings.crypto_sign_seed_keypair(seed)
    return bytes(public)


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of `message`."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bytes(bindings.crypto_sign(message, secret)[:SIGNATURE_LEN])


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is valid."""
    if len(signature) != SIGNATURE_LEN or len(public) != KEY_LEN:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (BadSignatureError, CryptoError, ValueError):
        return False
    return True


def exchange_public(secret: bytes) -> bytes:
    """Return the X25519 public key of a 32-byte secret."""
    return bytes(bindings.crypto_scalarmult_base(secret))


def exchange(secret: bytes, public: bytes) -> bytes | None:
    """Return the X25519 shared secret, or None for a low-order public key."""
    try:
        return bytes(bindings.crypto_scalarmult(secret, public))
    except (CryptoError, ValueError, RuntimeError):
        return None


def exchange_public_of(sign_public: bytes) -> bytes | None:
    """Return the X25519 key of an Ed25519 public key, or None for what is no such key."""
    try:
        return bytes(bindings.crypto_sign_ed25519_pk_to_curve25519(sign_public))
    except (CryptoError, ValueError, RuntimeError):
        return None


def exchange_secret_of(seed: bytes) -> bytes:
    """Return the X25519 secret that fits the Ed25519 key of a 32-byte seed."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bytes(bindings.crypto_sign_ed25519_sk_to_curve25519(secret))


def seal(key: bytes, nonce: bytes, plaintext: bytes, data: bytes = b"") -> bytes:
    """Encrypt with XChaCha20-Poly1305: 24-byte nonce, 16-byte tag at the end."""
    return bytes(bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, nonce, key))


def unseal(key: bytes, nonce: bytes, ciphertext: bytes, data: bytes = b"") -> bytes | None:
    """Decrypt XChaCha20-Poly1305; None when the tag does not fit."""
    try:
        return bytes(
            bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, data, nonce, key)
        )
    except (CryptoError, ValueError):
        return None


def keystream_xor(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Encrypt with XChaCha20 and no tag: the AEAD's ciphertext without its own.

    PyNaCl has no bare stream cipher. The caller has a tag of its own, and no nonce twice.
    """
    return seal(key, nonce, data)[: len(data)]


def keystream_open(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Decrypt that; named apart, since what comes may bring any nonce twice."""
    return bytes(_KEYSTREAM(data, b"", nonce, key))[: len(data)]


_KEYSTREAM = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt
"""Taken here, so that who watches sealing (`simulation/checks/nonces.py`) sees no opening."""


def seal_into(ciphertext: memoryview, key: bytes, nonce: bytes, plaintext: memoryview) -> None:
    """Encrypt with XChaCha20-Poly1305 into memory of exactly the size with the tag."""
    _check_sizes(key, nonce, plaintext, ciphertext)
    lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        ffi.from_buffer(ciphertext),
        ffi.NULL,
        ffi.from_buffer(plaintext),
        len(plaintext),
        ffi.NULL,
        0,
        ffi.NULL,
        nonce,
        key,
    )


def unseal_into(
    plaintext: memoryview, key: bytes, nonce: bytes, ciphertext: bytes | memoryview
) -> bool:
    """Decrypt XChaCha20-Poly1305 into memory of exactly that size; False when the tag does not fit.

    PyNaCl's own call makes two buffers of a chunk's size, and a copy that holds the interpreter.
    """
    if len(ciphertext) < TAG_LEN:
        return False
    _check_sizes(key, nonce, plaintext, ciphertext)
    done: int = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        ffi.from_buffer(plaintext),
        ffi.NULL,
        ffi.NULL,
        ffi.from_buffer(ciphertext),
        len(ciphertext),
        ffi.NULL,
        0,
        nonce,
        key,
    )
    return done == 0


def _check_sizes(
    key: bytes, nonce: bytes, plaintext: memoryview, ciphertext: bytes | memoryview
) -> None:
    """See that the library stays within what it is given. Raises: UsageError."""
    if (len(key), len(nonce)) != (KEY_LEN, XNONCE_LEN):
        raise UsageError("a key has 32 bytes, a nonce 24")
    if len(ciphertext) != len(plaintext) + TAG_LEN:
        raise UsageError("the ciphertext is longer than the plaintext by its tag")


def seal_to(public: bytes, plaintext: bytes, *, ephemeral: bytes, purpose: bytes) -> bytes:
    """Encrypt to an X25519 public key: ephemeral public (32), ciphertext, tag (16).

    `ephemeral` is 32 fresh bytes of entropy; both public keys and `purpose` (≤ 16 bytes) are bound
    into the key. The key is used once, so the nonce is zero.

    Raises: UsageError when `public` is a low-order point.
    """
    shared = exchange(ephemeral, public)
    if shared is None:
        raise UsageError("cannot seal to a low-order public key")
    own = exchange_public(ephemeral)
    key = digest(own + public, key=shared, person=purpose)
    return own + seal(key, bytes(XNONCE_LEN), plaintext)


def unseal_to(secret: bytes, sealed: bytes, *, purpose: bytes) -> bytes | None:
    """Decrypt what `seal_to` made; None when it is not for this key and purpose."""
    if len(sealed) < KEY_LEN + TAG_LEN:
        return None
    shared = exchange(secret, sealed[:KEY_LEN])
    if shared is None:
        return None
    key = digest(sealed[:KEY_LEN] + exchange_public(secret), key=shared, person=purpose)
    return unseal(key, bytes(XNONCE_LEN), sealed[KEY_LEN:])


def chunk_nonce(index: int) -> bytes:
    """Return the nonce of chunk `index` under its file's own random key."""
    return index.to_bytes(XNONCE_LEN, "big")


def chunk_name(ciphertext: bytes | memoryview) -> bytes:
    """Return the 32-byte name of a chunk: BLAKE2b-256 of its ciphertext."""
    return blake2b(ciphertext, digest_size=32).digest()
