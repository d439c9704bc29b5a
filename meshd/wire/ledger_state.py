"""Encode and decode what the airtime ledger keeps on disk.

Enters: bytes of the store. Leaves: a `LedgerState`, or WireError: what is damaged is not half
believed. Knows no law and no clock.
Ref: docs/wire-format.md#airtime-ledger.
"""

from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.errors import WireError

VERSION = 1
BOOT_LEN = 16
CHECK_LEN = 8
ACCOUNTS_MAX = 64
MICROSECONDS_MAX = 0xFFFF_FFFF

_HEAD = Struct(f">B{BOOT_LEN}sQB")
_ACCOUNT = Struct(">IIIB")
_BUCKET = Struct(">iIIII")
_PERSON = b"meshd-ledger"


class Bucket(NamedTuple):
    """Airtime that ended in one stretch of time: its number, then µs by share.

    The number is below zero where it was before this boot.
    """

    number: int
    control_us: int = 0
    relayed_us: int = 0
    own_us: int = 0
    unknown_us: int = 0


class Account(NamedTuple):
    """What was sent between two frequencies, and what may have been sent since (`claim_us`)."""

    low_hz: int
    high_hz: int
    claim_us: int
    buckets: tuple[Bucket, ...]


class LedgerState(NamedTuple):
    """The ledger at one moment of one boot; `boot` is 16 bytes that no other boot has."""

    boot: bytes
    now_us: int
    accounts: tuple[Account, ...]

    def encode(self) -> bytes:
        """Return the bytes for the store."""
        parts = [_HEAD.pack(VERSION, self.boot, self.now_us, len(self.accounts))]
        for account in self.accounts:
            parts.append(_ACCOUNT.pack(*account[:3], len(account.buckets)))
            parts += [_BUCKET.pack(*bucket) for bucket in account.buckets]
        body = b"".join(parts)
        return body + _check(body)

    @classmethod
    def decode(cls, data: bytes) -> "LedgerState":
        """Decode what `encode` made.

        Raises: WireError for anything else.
        """
        body = data[:-CHECK_LEN]
        if len(data) <= CHECK_LEN or _check(body) != data[-CHECK_LEN:]:
            raise WireError("the airtime ledger on disk is damaged")
        try:
            return cls._decode(body)
        except StructError as error:
            raise WireError("the airtime ledger on disk ends early") from error

    @classmethod
    def _decode(cls, body: bytes) -> "LedgerState":
        version, boot, now_us, count = _HEAD.unpack_from(body)
        if version != VERSION or count > ACCOUNTS_MAX:
            raise WireError(f"airtime ledger of version {version} with {count} accounts")
        place = _HEAD.size
        accounts = []
        for _ in range(count):
            low_hz, high_hz, claim_us, length = _ACCOUNT.unpack_from(body, place)
            place += _ACCOUNT.size
            buckets = tuple(
                Bucket(*_BUCKET.unpack_from(body, place + index * _BUCKET.size))
                for index in range(length)
            )
            place += length * _BUCKET.size
            accounts.append(Account(low_hz, high_hz, claim_us, buckets))
        if place != len(body):
            raise WireError("bytes after the end of the airtime ledger")
        return cls(boot, now_us, tuple(accounts))


def _check(body: bytes) -> bytes:
    return crypto.digest(body, size=CHECK_LEN, person=_PERSON)
