"""Names and addresses: NodeId, mesh id, the self-proving IPv6 address, and their text forms.

Addresses are 16 packed bytes throughout the engine. Ref: docs/wire-format.md#names.
"""

from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network
from typing import NamedTuple

from meshd.core.errors import UsageError

NODE_ID_LEN = 10
SHORT_LEN = 2
"""A node's short address on LoRa: the first bytes of its NodeId."""
EVERYONE = b"\xff\xff"
"""The short address of all in earshot."""
MESH_ID_LEN = 5
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_DIGIT = {letter: value for value, letter in enumerate(_ALPHABET)}
ALL_BABEL_ROUTERS = bytes.fromhex("ff020000000000000000000000010006")
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")


class Prefix(NamedTuple):
    """An IPv6 prefix: 16 packed bytes with host bits zero, and a length in bits."""

    address: bytes
    length: int

    def __str__(self) -> str:
        return f"{IPv6Address(self.address)}/{self.length}"

    def contains(self, other: "Prefix") -> bool:
        """Tell whether `other` lies within this prefix."""
        if other.length < self.length:
            return False
        whole, rest = divmod(self.length, 8)
        if not rest:
            return self.address[:whole] == other.address[:whole]
        shift = 128 - self.length
        return int.from_bytes(self.address, "big") >> shift == (
            int.from_bytes(other.address, "big") >> shift
        )


def parse_prefix(text: str) -> Prefix:
    """Parse `address/length` or a bare address (a /128).

    Raises: UsageError.
    """
    try:
        network = IPv6Network(text, strict=False)
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IPv6 prefix") from error
    return Prefix(network.network_address.packed, network.prefixlen)


def host_prefix(address: bytes) -> Prefix:
    """Return the /128 of an address."""
    return Prefix(address, 128)


def address_text(address: bytes) -> str:
    """Return the usual text form of a packed IPv6 address."""
    return str(IPv6Address(address))


def is_link_local(address: bytes) -> bool:
    """Tell whether a packed address is in fe80::/10."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def node_id(public_key: bytes) -> bytes:
    """Return the 10-byte NodeId of a 32-byte Ed25519 public key."""
    return blake2b(public_key, digest_size=32).digest()[:NODE_ID_LEN]


def mesh_id(genesis_hash: bytes) -> bytes:
    """Return the 5-byte mesh id of a mesh space's genesis hash."""
    return blake2b(b"meshd-mesh-1" + genesis_hash, digest_size=32).digest()[:MESH_ID_LEN]


OPEN_MESH_ID = mesh_id(b"meshd open mesh")
"""The mesh id of the open mesh, whose genesis is constant: anybody may join it."""


def mesh_prefix(mesh: bytes) -> Prefix:
    """Return the /48 that holds every node address of a mesh."""
    return Prefix(b"\xfd" + mesh + bytes(NODE_ID_LEN), 48)


def mesh_address(mesh: bytes, node: bytes) -> bytes:
    """Return the packed address of a node: `fd`, mesh id (5), NodeId (10)."""
    return b"\xfd" + mesh + node


def node_of_address(address: bytes) -> bytes:
    """Return the NodeId inside a mesh address."""
    return address[6:]


def encode_text(data: bytes) -> str:
    """Return lower-case base32 without padding (RFC 4648 alphabet)."""
    value = int.from_bytes(data, "big")
    count = (len(data) * 8 + 4) // 5
    value <<= count * 5 - len(data) * 8
    return "".join(_ALPHABET[value >> 5 * (count - 1 - place) & 31] for place in range(count))


def decode_text(text: str, length: int) -> bytes:
    """Decode base32 of exactly `length` bytes; dashes and spaces are ignored.

    Raises: UsageError.
    """
    letters = text.lower().replace("-", "").replace(" ", "")
    if len(letters) != (length * 8 + 4) // 5 or any(letter not in _DIGIT for letter in letters):
        raise UsageError(f"{text!r} is not {length} bytes in base32 (a-z, 2-7)")
    value = 0
    for letter in letters:
        value = value << 5 | _DIGIT[letter]
    spare = len(letters) * 5 - length * 8
    if value & (1 << spare) - 1:
        raise UsageError(f"{text!r} has stray bits at its end")
    return (value >> spare).to_bytes(length, "big")


def node_text(node: bytes) -> str:
    """Return the 16-character text form of a NodeId, as machines and topics use it."""
    return encode_text(node)


def grouped(text: str) -> str:
    """Return a text id in groups of four, as people read it."""
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def parse_node(text: str) -> bytes:
    """Parse a NodeId in either text form.

    Raises: UsageError.
    """
    return decode_text(text, NODE_ID_LEN)
