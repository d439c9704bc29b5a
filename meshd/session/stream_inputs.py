"""What a host tells a node about its streams: the inputs that answer `StreamOpen` and `StreamSend`.

A part of `Node`, which inherits it: each input is handed to `Sessions`, and recorded by name.
"""

from meshd.session.sessions import Sessions


class StreamInputs:
    """The inputs of streams; `sessions` is set by the node."""

    sessions: Sessions

    def stream_opened(self, stream: int, now: int) -> None:
        """A stream that the engine asked for is open."""
        self.sessions.stream_opened(stream, now)
        self._settle(now)

    def stream_failed(self, stream: int, why: str, now: int) -> None:
        """A stream that the engine asked for could not be opened."""
        self.sessions.stream_failed(stream, why, now)
        self._settle(now)

    def stream_accepted(self, peer: str, link: str, now: int) -> int | None:
        """Somebody connected; return the number of the stream, or None to refuse it."""
        stream = self.sessions.stream_accepted(peer, link, now)
        self._settle(now)
        return stream

    def stream_received(self, stream: int, data: bytes, now: int) -> None:
        """Bytes came on a stream."""
        self.sessions.stream_received(stream, data, now)
        self._settle(now)

    def stream_writable(self, stream: int, count: int, now: int) -> None:
        """The host has sent `count` bytes of a stream: that much credit is back."""
        self.sessions.stream_writable(stream, count, now)
        self._settle(now)

    def stream_closed(self, stream: int, now: int) -> None:
        """A stream has ended at the other side or by a fault."""
        self.sessions.stream_closed(stream, "closed by peer", now)
        self._settle(now)

    def _settle(self, now: int) -> None:
        """Let the parts of the node hear of each other."""
        raise NotImplementedError
