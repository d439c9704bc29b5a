"""The history of hellos from one neighbour, one kind (RFC 8966 Appendix A.1).

Enters: the seqno of each hello heard, and each deadline that passed without one. Leaves: a vector
of up to 16 bits, newest first. It counts how many hellos went by, so that one heard of one sent
is a clean link and not one of sixteen.
Must not know: clocks, costs.
"""

HISTORY_BITS = 16
_MASK = (1 << HISTORY_BITS) - 1


class HelloHistory:
    """Bit 0 is the newest hello: 1 heard, 0 missed; `samples` says how many bits mean something."""

    __slots__ = ("bits", "expected", "samples")

    def __init__(self) -> None:
        self.bits = 0
        self.samples = 0
        self.expected: int | None = None

    def heard(self, seqno: int) -> bool:
        """Note a hello; False when its seqno is so far off that the sender has restarted."""
        known = self.expected
        self.expected = (seqno + 1) & 0xFFFF
        if known is None:
            self._push(1)
            return True
        ahead = (seqno - known) & 0xFFFF
        if HISTORY_BITS < ahead < 0x10000 - HISTORY_BITS:
            self.bits, self.samples = 1, 1
            return False
        if ahead >= 0x8000:
            undo = 0x10000 - ahead
            self.bits >>= undo
            self.samples = max(self.samples - undo, 0)
        else:
            for _ in range(ahead):
                self._push(0)
        self._push(1)
        return True

    def heard_next(self) -> None:
        """Note the hello that was expected."""
        assert self.expected is not None
        self.expected = self.expected + 1 & 0xFFFF
        self.bits = self.bits << 1 & _MASK | 1
        if self.samples < HISTORY_BITS:
            self.samples += 1

    def missed(self) -> None:
        """Note that a promised hello did not come."""
        if self.expected is not None:
            self.expected = (self.expected + 1) & 0xFFFF
            self._push(0)

    @property
    def misses_in_a_row(self) -> int:
        """How many of the newest hellos were missed."""
        if not self.bits:
            return self.samples
        return (self.bits & -self.bits).bit_length() - 1

    @property
    def heard_count(self) -> int:
        """How many of the last `samples` hellos were heard."""
        return self.bits.bit_count()

    @property
    def clean(self) -> bool:
        """Tell whether none of the last 16 was missed."""
        return 0 < self.samples == self.bits.bit_count()

    def _push(self, bit: int) -> None:
        self.bits = (self.bits << 1 | bit) & _MASK
        self.samples = min(self.samples + 1, HISTORY_BITS)
