"""The device's own keys, and the certificate that ties its session key to its device key.

The device key (Ed25519) names the node and signs; the session key (X25519) is a separate key for
Noise, certified by the device key over (mesh, key). Ref: docs/wire-format.md#session.
"""

from typing import NamedTuple

from meshd.core import crypto
from meshd.core.ids import mesh_address, node_id

_CERTIFICATE = b"meshd-session-1"
CERTIFICATE_LEN = crypto.KEY_LEN + crypto.SIGNATURE_LEN


class Identity(NamedTuple):
    """The secrets of one device: two 32-byte seeds from the system's entropy at first boot."""

    device_seed: bytes
    session_secret: bytes

    @property
    def public(self) -> bytes:
        """The device's Ed25519 public key."""
        return crypto.sign_public(self.device_seed)

    @property
    def node(self) -> bytes:
        """The NodeId: 10 bytes."""
        return node_id(self.public)

    def address(self, mesh: bytes) -> bytes:
        """The packed address of this node in a mesh."""
        return mesh_address(mesh, self.node)

    def sign(self, message: bytes) -> bytes:
        """Sign with the device key."""
        return crypto.sign(self.device_seed, message)

    def certificate(self, mesh: bytes) -> bytes:
        """Return device public key (32) and signature (64) over (mesh, session public key)."""
        session = crypto.exchange_public(self.session_secret)
        return self.public + self.sign(_CERTIFICATE + mesh + session)

    def __repr__(self) -> str:
        return f"Identity(node={self.node.hex()})"


def check_certificate(certificate: bytes, *, mesh: bytes, session_public: bytes) -> bytes | None:
    """Return the device's public key when the certificate holds for `session_public`, else None."""
    if len(certificate) != CERTIFICATE_LEN:
        return None
    public, signature = certificate[: crypto.KEY_LEN], certificate[crypto.KEY_LEN :]
    if not crypto.verify(public, _CERTIFICATE + mesh + session_public, signature):
        return None
    return public
