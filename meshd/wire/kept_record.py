"""Encode and decode a record as a file of fixed size holds it: a number, a state, a checksum.

Enters: bytes of a file, of which those after the record are of older, longer ones. Leaves: a
`KeptRecord`, or WireError: what is damaged is not half believed. Must not know: what states mean.
Ref: docs/wire-format.md#files-rewritten-in-place.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core import crypto
from meshd.core.errors import WireError

CHECK_LEN = 8
_HEAD = Struct(">QI")


class KeptRecord(NamedTuple):
    """A state; of two records the one with the higher number is the later."""

    number: int
    state: bytes

    def encode(self, person: bytes) -> bytes:
        """Return the bytes at the start of the file; `person` says what kind of state it is."""
        body = _HEAD.pack(self.number, len(self.state)) + self.state
        return body + crypto.digest(body, size=CHECK_LEN, person=person)

    @classmethod
    def decode(cls, data: bytes, person: bytes) -> "KeptRecord":
        """Decode what begins with a record that `encode` made.

        Raises: WireError for anything else.
        """
        if len(data) < _HEAD.size:
            raise WireError("the file is shorter than any record")
        number, length = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        body, check = data[:end], data[end : end + CHECK_LEN]
        if len(check) < CHECK_LEN or check != crypto.digest(body, size=CHECK_LEN, person=person):
            raise WireError("the record does not fit its checksum")
        return cls(number, body[_HEAD.size :])
