"""Open a session: the clear opening, the framed Noise messages, the certificate inside them.

Enters: bytes of the stream in any fragmentation. Leaves: bytes to send, then two ciphers, who the
peer is, and the bytes that already belong to the channel. At most one message is buffered.
Must not know: which peer is wanted, other sessions, streams, time. Nothing of what it learns may
be acted on before the state is UP: the first message of IK can be a replay.

Ref: docs/wire-format.md#session.
"""

from collections.abc import Callable
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN
from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.identity import check_certificate
from meshd.core.ids import node_id
from meshd.session.lifecycle import TABLE, Input, State
from meshd.session.noise import IK, XX, Cipher, Noise, Pattern
from meshd.wire.session_records import (
    HANDSHAKE_MESSAGE_MAX,
    LENGTH,
    MAGIC,
    OPENING_LEN,
    VERSION,
    HandshakePayload,
    Opening,
    PatternCode,
)

PROLOGUE = b"meshd-session"


class Local(NamedTuple):
    """What this node says and uses in every handshake; built once.

    `static` is the Noise secret, `payload` an encoded `HandshakePayload`.
    """

    mesh: bytes
    static: bytes
    payload: bytes
    entropy: Callable[[int], bytes]


class Peer(NamedTuple):
    """Who the other side proved to be: device key, NodeId, Noise static key; and what it said."""

    public: bytes
    node: bytes
    static: bytes
    boot: int
    port: int
    name: str = ""


class Handshake:
    """One side of one handshake, with the state of its stream.

    The initiator gives `remote` (the responder's static key) for IK, None for XX.
    """

    __slots__ = ("_buffer", "_local", "_noise", "_remote", "ciphers", "failure", "peer", "state")

    def __init__(self, own: Local, *, initiator: bool, remote: bytes | None = None) -> None:
        self._local = own
        self._remote = remote
        self._buffer = bytearray()
        self._noise: Noise | None = None
        self.state = State.DIALLING if initiator else State.ACCEPTED
        self.failure: DropReason | None = None
        self.peer: Peer | None = None
        self.ciphers: tuple[Cipher, Cipher] | None = None

    @property
    def key_unanswered(self) -> bool:
        """Tell whether we opened with a remembered key (IK) that was not answered genuinely."""
        opened = self._remote is not None and self._noise is not None
        return opened and self.ciphers is None

    @property
    def binding(self) -> bytes:
        """The handshake's running hash; the same on both sides once it is done."""
        return self._noise.hash if self._noise else b""

    def step(self, what: Input) -> bool:
        """Move along the table; an input that it does not hold fails the stream."""
        following = TABLE.get((self.state, what))
        if following is None:
            self.fail(DropReason.HANDSHAKE_MALFORMED)
            return False
        self.state = following
        return True

    def fail(self, reason: DropReason) -> None:
        """End it for a named reason; the first one stays."""
        self.failure = self.failure or reason
        self.state = State.CLOSED

    def connected(self) -> bytes:
        """Return the opening and the first message: the stream is open."""
        by_key = self._remote is not None
        self.step(Input.CONNECTED_IK if by_key else Input.CONNECTED_XX)
        opening = Opening(
            VERSION, PatternCode.IK if by_key else PatternCode.XX, self._local.mesh
        ).encode()
        self._begin(IK if by_key else XX, opening, initiator=True)
        return opening + self._write(self._local.payload if by_key else b"")

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream; return what must be sent."""
        self._buffer += data
        out = b""
        while self.ciphers is None and self.failure is None:
            taken = self._take_opening() if self.state is State.ACCEPTED else self._take_message()
            if taken is None:
                break
            out += taken
        return out

    def rest(self) -> bytes:
        """Return the bytes that came after the handshake, once."""
        rest = bytes(self._buffer)
        self._buffer = bytearray()
        return rest

    # --- helpers ----------------------------------------------------------------------------------

    def _begin(self, pattern: Pattern, opening: bytes, *, initiator: bool) -> None:
        self._noise = Noise(
            pattern,
            initiator=initiator,
            prologue=PROLOGUE + opening,
            static=self._local.static,
            ephemeral=self._local.entropy(KEY_LEN),
            remote=self._remote,
        )

    def _take_opening(self) -> bytes | None:
        if self._buffer[: len(MAGIC)] != MAGIC[: len(self._buffer)]:
            self.fail(DropReason.SESSION_STRANGER)
            return None
        if len(self._buffer) < OPENING_LEN:
            return None
        raw = bytes(self._buffer[:OPENING_LEN])
        del self._buffer[:OPENING_LEN]
        opening = Opening.decode(raw)
        if opening.version != VERSION:
            self.fail(DropReason.SESSION_VERSION)
        elif opening.mesh != self._local.mesh:
            self.fail(DropReason.SESSION_OTHER_MESH)
        elif opening.pattern not in (PatternCode.IK, PatternCode.XX):
            self.fail(DropReason.HANDSHAKE_MALFORMED)
        else:
            by_key = opening.pattern == PatternCode.IK
            self.step(Input.OPENING_IK if by_key else Input.OPENING_XX)
            self._begin(IK if by_key else XX, raw, initiator=False)
        return b""

    def _take_message(self) -> bytes | None:
        if self._noise is None:
            self.fail(DropReason.HANDSHAKE_MALFORMED)
            return None
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        if not 0 < length <= HANDSHAKE_MESSAGE_MAX:
            self.fail(DropReason.HANDSHAKE_MALFORMED)
            return None
        if len(self._buffer) < LENGTH.size + length:
            return None
        message = bytes(self._buffer[LENGTH.size : LENGTH.size + length])
        del self._buffer[: LENGTH.size + length]
        payload = self._noise.read(message)
        if payload is None:
            self.fail(DropReason.HANDSHAKE_FORGED)
            return None
        # All messages carry the sender's payload but the first of XX, sent by nobody yet known.
        if self.state is not State.XX_AWAITED and not self._meet(payload):
            return None
        return self._proceed(self._noise)

    def _proceed(self, noise: Noise) -> bytes:
        """Answer if it is our turn, and finish if that was the last message."""
        self.step(Input.MESSAGE)
        out = b"" if noise.done else self._write(self._local.payload)
        if noise.done and self.failure is None:
            self.ciphers = noise.split()
        return out

    def _write(self, payload: bytes) -> bytes:
        message = self._noise.write(payload) if self._noise else None
        if message is None:
            self.fail(DropReason.HANDSHAKE_FORGED)
            return b""
        return LENGTH.pack(len(message)) + message

    def _meet(self, raw: bytes) -> bool:
        """Read the peer's payload and check its certificate against its Noise key and our mesh."""
        static = self._noise.remote if self._noise else None
        try:
            payload = HandshakePayload.decode(raw)
        except WireError:
            self.fail(DropReason.HANDSHAKE_MALFORMED)
            return False
        public = (
            check_certificate(payload.certificate, mesh=self._local.mesh, session_public=static)
            if static
            else None
        )
        if public is None or static is None:
            self.fail(DropReason.CERTIFICATE_FORGED)
            return False
        said = (payload.boot, payload.port, payload.name)
        self.peer = Peer(public, node_id(public), static, *said)
        return True
