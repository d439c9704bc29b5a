"""The keys of one space, all derived from the epoch key or, on a relay, from the fetch key.

Enters: an epoch key (32 bytes) or a fetch key. Leaves: what other files of this folder seal, open
and name authors with. No key appears in a repr. Ref: docs/wire-format.md#space-keys.
"""

from meshd.core import crypto
from meshd.core.errors import UsageError

EPOCH_ID_LEN = 4
AUTHOR_ID_LEN = 4


def commit(epoch_key: bytes) -> bytes:
    """Return the 32-byte commitment to an epoch key that genesis and rotations carry."""
    return crypto.digest(b"", key=epoch_key, person=b"meshd-commit")


def epoch_id_of(commitment: bytes, space: bytes) -> bytes:
    """Return the 4-byte id of an epoch: a commitment to its key and to the space."""
    return crypto.digest(commitment + space, size=EPOCH_ID_LEN, person=b"meshd-epoch")


class SpaceKeys:
    """Keys of one epoch. `epoch_key` is None on a relay, which can carry but not read."""

    __slots__ = ("_authors", "_payload", "_seed", "epoch_id", "epoch_key", "fetch")

    def __init__(self, *, commitment: bytes, space: bytes, epoch_key: bytes | None, fetch: bytes):
        if epoch_key is not None:
            if commit(epoch_key) != commitment:
                raise UsageError("the epoch key does not fit the genesis")
            fetch = fetch_key_of(epoch_key)
        self.epoch_key = epoch_key
        self.fetch = fetch
        self.epoch_id = epoch_id_of(commitment, space)
        root = epoch_key or bytes(crypto.KEY_LEN)
        self._payload = crypto.digest(b"", key=root, person=b"meshd-payload")
        self._seed = crypto.digest(b"", key=root, person=b"meshd-seed")
        self._authors = crypto.digest(b"", key=fetch, person=b"meshd-author")

    def author_id(self, author: bytes) -> bytes:
        """Return the 4 bytes by which entries name their author."""
        return crypto.digest(author, key=self._authors, size=AUTHOR_ID_LEN)

    def nonce_seed(self, data: bytes) -> bytes:
        """Return the 8-byte nonce seed of an entry: a keyed hash over everything in it."""
        return crypto.digest(data, key=self._seed, size=8)

    def seal(self, nonce_of: bytes, plaintext: bytes, data: bytes) -> bytes:
        """Encrypt a payload; the nonce is a hash of `nonce_of`, which holds the nonce seed."""
        return crypto.seal(self._payload, _nonce(nonce_of), plaintext, data)

    def unseal(self, nonce_of: bytes, sealed: bytes, data: bytes) -> bytes | None:
        """Decrypt a payload; None on a relay and for what does not open."""
        if self.epoch_key is None:
            return None
        return crypto.unseal(self._payload, _nonce(nonce_of), sealed, data)

    def __repr__(self) -> str:
        return f"SpaceKeys(epoch={self.epoch_id.hex()}, reads={self.epoch_key is not None})"


def fetch_key_of(epoch_key: bytes) -> bytes:
    """Return the key whose holders are served ciphertext: members and relays."""
    return crypto.digest(b"", key=epoch_key, person=b"meshd-fetch")


def _nonce(nonce_of: bytes) -> bytes:
    return crypto.digest(nonce_of, size=crypto.XNONCE_LEN, person=b"meshd-nonce")
