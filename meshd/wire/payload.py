"""Payloads of entries: post, message, letter, receipt, prekey and file manifest.

Enters: the decrypted part of an entry (and, for a file, its clear part). Leaves: frozen values. The
kind stands in the entry's head. Ref: docs/wire-format.md#payloads.
"""

from struct import Struct
from typing import NamedTuple

from meshd.core.crypto import KEY_LEN
from meshd.core.errors import WireError
from meshd.core.ids import NODE_ID_LEN
from meshd.core.names import shows

RECEIPTS_MAX = 64
FILE_NAME_MAX = 255
LETTER_TAG_LEN = 8
UNOPENED_MAX = 16
"""Letters that one PREKEY gives back."""
ENTRY_MARK_LEN = 8
"""Bytes of an entry's digest by which a receipt names it."""
_NAME = Struct("!32sI")
_RECEIPT = Struct(f"!32sI{ENTRY_MARK_LEN}s")
_PREKEY = Struct("!I32s")
_FILE_CLEAR = Struct("!32sBIQ")
_FILE_SECRET = Struct("!32sQB")


class Post(NamedTuple):
    """A text for everybody in the space."""

    text: str

    def encode(self) -> bytes:
        """Return the payload."""
        return self.text.encode()


class Message(NamedTuple):
    """A text addressed to one node of the space, which acknowledges it by a receipt."""

    to: bytes
    text: str

    def encode(self) -> bytes:
        """Return the payload: NodeId (10), text."""
        return self.to + self.text.encode()


class SealedLetter(NamedTuple):
    """A text for one node alone, sealed under the pairwise key of two devices.

    Other members see for whom it is. Acknowledged by a receipt, as a message is.
    """

    to: bytes
    body: bytes

    def encode(self) -> bytes:
        """Return the payload: NodeId (10), tag (8), ciphertext."""
        return self.to + self.body


class Receipt(NamedTuple):
    """Messages that have reached their reader's disk, as (author, seq, start of the digest).

    The digest says which entry was meant: a card that was put back uses a number again.
    """

    received: tuple[tuple[bytes, int, bytes], ...]

    def encode(self) -> bytes:
        """Return the payload."""
        return b"".join(_RECEIPT.pack(*one) for one in self.received)


class PrekeyRecord(NamedTuple):
    """The public half of a device's key for letters. Numbers of a device rise by one or more.

    `unopened` are letters, as (author, seq), that it has no key for, nor had: seal them anew.
    """

    number: int
    public: bytes
    unopened: tuple[tuple[bytes, int], ...] = ()

    def encode(self) -> bytes:
        """Return the payload: number (4), key (32), then author (32) and seq (4) of each letter."""
        given_back = b"".join(_NAME.pack(author, seq) for author, seq in self.unopened)
        return _PREKEY.pack(self.number, self.public) + given_back


class FileClear(NamedTuple):
    """What relays may know of a file: where its index starts and how large it is.

    `root` names the top index chunk, `levels` is the number of index levels, `chunks` counts the
    chunks of content, `size` the bytes of ciphertext.
    """

    root: bytes
    levels: int
    chunks: int
    size: int

    def encode(self) -> bytes:
        """Return the clear part."""
        return _FILE_CLEAR.pack(*self)


class FileSecret(NamedTuple):
    """What members know of a file: key, bytes of plaintext, name, media type."""

    key: bytes
    size: int
    name: str
    media_type: str

    def encode(self) -> bytes:
        """Return the payload."""
        name = self.name.encode()
        return _FILE_SECRET.pack(self.key, self.size, len(name)) + name + self.media_type.encode()

    def __repr__(self) -> str:
        return f"FileSecret(name={self.name!r}, size={self.size})"


def decode_post(data: bytes) -> Post:
    """Decode the payload of a POST.

    Raises: WireError.
    """
    return Post(_text(data))


def decode_message(data: bytes) -> Message:
    """Decode the payload of a MESSAGE.

    Raises: WireError.
    """
    if len(data) < NODE_ID_LEN:
        raise WireError("message length")
    return Message(data[:NODE_ID_LEN], _text(data[NODE_ID_LEN:]))


def decode_letter(data: bytes) -> SealedLetter:
    """Decode the payload of a LETTER.

    Raises: WireError.
    """
    if len(data) <= NODE_ID_LEN + LETTER_TAG_LEN:
        raise WireError("letter length")
    return SealedLetter(data[:NODE_ID_LEN], data[NODE_ID_LEN:])


def decode_receipt(data: bytes) -> Receipt:
    """Decode the payload of a RECEIPT.

    Raises: WireError.
    """
    if not data or len(data) % _RECEIPT.size or len(data) > RECEIPTS_MAX * _RECEIPT.size:
        raise WireError("receipt length")
    return Receipt(tuple(_RECEIPT.iter_unpack(data)))


def decode_prekey(data: bytes) -> PrekeyRecord:
    """Decode the payload of a PREKEY.

    Raises: WireError.
    """
    letters_len = len(data) - _PREKEY.size
    if letters_len < 0 or letters_len % _NAME.size or letters_len > UNOPENED_MAX * _NAME.size:
        raise WireError("prekey length")
    number, public = _PREKEY.unpack_from(data)
    if not number:
        raise WireError("prekey number 0")
    return PrekeyRecord(number, public, tuple(_NAME.iter_unpack(data[_PREKEY.size :])))


def decode_file_clear(data: bytes) -> FileClear:
    """Decode the clear part of a FILE.

    Raises: WireError.
    """
    if len(data) != _FILE_CLEAR.size:
        raise WireError("file clear part length")
    return FileClear(*_FILE_CLEAR.unpack(data))


def decode_file_secret(data: bytes) -> FileSecret:
    """Decode the payload of a FILE.

    Raises: WireError.
    """
    if len(data) < _FILE_SECRET.size:
        raise WireError("file payload length")
    key, size, name_len = _FILE_SECRET.unpack_from(data)
    end = _FILE_SECRET.size + name_len
    name, media_type = _text(data[_FILE_SECRET.size : end]), _text(data[end:])
    unfit = name in {"", ".", ".."} or "/" in name or not shows(name)
    if unfit or len(data) < end or len(media_type) > FILE_NAME_MAX or len(key) != KEY_LEN:
        raise WireError("file name or media type")
    return FileSecret(key, size, name, media_type)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WireError("text is not UTF-8") from error
