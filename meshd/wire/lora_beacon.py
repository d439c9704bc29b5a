"""Encode and decode what beacons and challenges say, inside their sealed frames.

Enters: a frame's opened body. Leaves: a `Beacon` or a `Challenge`, or WireError. A beacon is signed
by the device key; whoever reads one must check `statement` against `signature`.
Ref: docs/wire-format.md#lora-beacon.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.errors import UsageError, WireError
from meshd.core.ids import NODE_ID_LEN

SALT_LEN = 8
NONCE_LEN = 8
ECHOES_MAX = 7
COUNTER_MAX = 0xFFFF_FFFF
_CONTEXT = b"meshd-lora-beacon-1"
_FIXED = Struct(f">I{SALT_LEN}sI")
_KEY_PRESENT = 1


class Beacon(NamedTuple):
    """Who sends, in which boot, with which salt, and how far its counter is.

    `public` may be left out for neighbours who know the key. `echoes` are challenges answered.
    """

    public: bytes
    boot: int
    salt: bytes
    counter: int
    echoes: tuple[bytes, ...] = ()
    signature: bytes = b""

    def statement(self, epoch: bytes, public: bytes) -> bytes:
        """Return what is signed: for one link key, by one device key."""
        fixed = _FIXED.pack(self.boot, self.salt, self.counter)
        return _CONTEXT + epoch + public + fixed + b"".join(self.echoes)

    def encode(self) -> bytes:
        """Return the body.

        Raises: UsageError for more echoes than fit.
        """
        if len(self.echoes) > ECHOES_MAX:
            raise UsageError(f"a beacon answers {ECHOES_MAX} challenges, not {len(self.echoes)}")
        flags = len(self.echoes) << 1 | bool(self.public)
        fixed = _FIXED.pack(self.boot, self.salt, self.counter)
        return bytes([flags]) + self.public + fixed + b"".join(self.echoes) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Beacon":
        """Decode a body.

        Raises: WireError.
        """
        if not data or data[0] >> 4:
            raise WireError("beacon with unknown flags")
        count, key_len = data[0] >> 1, crypto.KEY_LEN * (data[0] & _KEY_PRESENT)
        fixed_at = 1 + key_len
        echoes_at = fixed_at + _FIXED.size
        signature_at = echoes_at + count * NONCE_LEN
        if len(data) != signature_at + crypto.SIGNATURE_LEN:
            raise WireError(f"{len(data)} bytes are no beacon")
        boot, salt, counter = _FIXED.unpack_from(data, fixed_at)
        echoes = tuple(
            data[place : place + NONCE_LEN] for place in range(echoes_at, signature_at, NONCE_LEN)
        )
        return cls(data[1:fixed_at], boot, salt, counter, echoes, data[signature_at:])


class Challenge(NamedTuple):
    """Whoever is `target` (NodeId) shall send a beacon with this nonce in it."""

    target: bytes
    nonce: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.target + self.nonce

    @classmethod
    def decode(cls, data: bytes) -> "Challenge":
        """Decode a body.

        Raises: WireError.
        """
        if len(data) != NODE_ID_LEN + NONCE_LEN:
            raise WireError(f"{len(data)} bytes are no challenge")
        return cls(data[:-NONCE_LEN], data[-NONCE_LEN:])
