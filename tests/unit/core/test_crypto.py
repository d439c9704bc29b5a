"""The primitives: sealing to a key, signatures, certificates."""

import pytest

from meshd.core import crypto
from meshd.core.errors import UsageError
from meshd.core.identity import Identity, check_certificate

MESH = b"\1\2\3\4\5"


def test_sign_and_verify():
    public = crypto.sign_public(bytes(32))
    signature = crypto.sign(bytes(32), b"text")
    assert crypto.verify(public, b"text", signature)
    assert not crypto.verify(public, b"texu", signature)
    assert not crypto.verify(public, b"text", signature[:-1])
    assert not crypto.verify(public[:-1], b"text", signature)


def test_rfc8032_vector():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert crypto.sign_public(seed).hex() == public
    assert crypto.sign(seed, b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


@pytest.mark.parametrize("text", [b"", b"text"])
def test_sealing_into_memory_agrees_with_sealing(text):
    room = memoryview(bytearray(len(text) + 16))
    crypto.seal_into(room, bytes(32), bytes(24), memoryview(text))
    assert room == crypto.seal(bytes(32), bytes(24), text)
    with pytest.raises(UsageError):
        crypto.seal_into(room[1:], bytes(32), bytes(24), memoryview(text))


def test_unsealing_into_memory_agrees_with_unsealing():
    sealed = crypto.seal(bytes(32), bytes(24), b"text")
    room = memoryview(bytearray(4))
    assert crypto.unseal_into(room, bytes(32), bytes(24), memoryview(sealed))
    assert room == b"text"
    assert not crypto.unseal_into(room, bytes(32), bytes(24), sealed[:-1] + b"?")
    assert not crypto.unseal_into(room[:0], bytes(32), bytes(24), b"short")
    assert crypto.unseal_into(
        room[:0], bytes(32), bytes(24), crypto.seal(bytes(32), bytes(24), b"")
    )


@pytest.mark.parametrize(
    ("room", "key", "nonce"), [(3, 32, 24), (5, 32, 24), (4, 31, 24), (4, 32, 23)]
)
def test_unsealing_into_the_wrong_memory_is_our_callers_mistake(room, key, nonce):
    sealed = crypto.seal(bytes(32), bytes(24), b"text")
    with pytest.raises(UsageError):
        crypto.unseal_into(memoryview(bytearray(room)), bytes(key), bytes(nonce), sealed)


def test_seal_refuses_any_change():
    sealed = crypto.seal(bytes(32), bytes(24), b"text", b"header")
    assert crypto.unseal(bytes(32), bytes(24), sealed, b"header") == b"text"
    assert crypto.unseal(bytes(32), bytes(24), sealed, b"Header") is None
    assert crypto.unseal(bytes(32), bytes(24), sealed[:-1], b"header") is None
    assert crypto.unseal(bytes(32), bytes(24), b"", b"header") is None


def test_seal_to_opens_only_with_the_key_and_the_purpose():
    secret = bytes([7]) * 32
    public = crypto.exchange_public(secret)
    sealed = crypto.seal_to(public, b"key", ephemeral=bytes([9]) * 32, purpose=b"invite")
    assert crypto.unseal_to(secret, sealed, purpose=b"invite") == b"key"
    assert crypto.unseal_to(secret, sealed, purpose=b"other") is None
    assert crypto.unseal_to(bytes([8]) * 32, sealed, purpose=b"invite") is None
    assert crypto.unseal_to(secret, sealed[:40], purpose=b"invite") is None
    assert crypto.unseal_to(secret, bytes(64), purpose=b"invite") is None


def test_low_order_key_is_refused():
    assert crypto.exchange(bytes([7]) * 32, bytes(32)) is None
    with pytest.raises(UsageError):
        crypto.seal_to(bytes(32), b"key", ephemeral=bytes([9]) * 32, purpose=b"invite")


def test_certificate_ties_session_key_to_device_and_mesh():
    identity = Identity(bytes([1]) * 32, bytes([2]) * 32)
    session = crypto.exchange_public(identity.session_secret)
    certificate = identity.certificate(MESH)
    assert check_certificate(certificate, mesh=MESH, session_public=session) == identity.public
    assert check_certificate(certificate, mesh=b"other", session_public=session) is None
    assert check_certificate(certificate, mesh=MESH, session_public=bytes(32)) is None
    assert check_certificate(certificate[:-1], mesh=MESH, session_public=session) is None


def test_secrets_do_not_show_in_repr():
    identity = Identity(b"\xab" * 32, b"\xcd" * 32)
    shown = repr(identity).replace(identity.node.hex(), "")
    assert "abab" not in shown
    assert "cdcd" not in shown
