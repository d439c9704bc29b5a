"""The stand-ins keep the rules of what they stand for, and no daemon can get at them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import meshd
from meshd.core import crypto
from meshd.recording.recorder import crypto_kind
from meshd.simulation.crypto import primitives

ONE, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def quick():
    with primitives("stand-in"):
        yield


@pytest.mark.usefixtures("quick")
def test_forged_signature_does_not_verify():
    public = crypto.sign_public(ONE)
    signature = crypto.sign(ONE, b"hello")
    assert len(signature) == crypto.SIGNATURE_LEN and len(public) == crypto.KEY_LEN
    assert crypto.verify(public, b"hello", signature)
    assert not crypto.verify(public, b"hullo", signature)
    assert not crypto.verify(crypto.sign_public(OTHER), b"hello", signature)
    assert not crypto.verify(public, b"hello", crypto.sign(OTHER, b"hello"))
    assert not crypto.verify(public, b"hello", signature[:-1])
    assert not crypto.verify(public[:-1], b"hello", signature)


@pytest.mark.usefixtures("quick")
def test_both_sides_agree_and_others_do_not():
    one, other = crypto.exchange_public(ONE), crypto.exchange_public(OTHER)
    third = crypto.exchange_public(bytes(31) + b"\1")
    assert crypto.exchange(ONE, other) == crypto.exchange(OTHER, one)
    assert crypto.exchange(ONE, third) != crypto.exchange(OTHER, third)
    assert crypto.exchange(ONE, bytes(32)) is None
    assert crypto.exchange(ONE, b"short") is None
    secret = crypto.exchange_secret_of(ONE)
    public = crypto.exchange_public_of(crypto.sign_public(ONE))
    assert public == crypto.exchange_public(secret), "a device exchanges by its signing key"


@pytest.mark.usefixtures("quick")
def test_sealed_text_is_hidden_and_opens_for_its_key_only():
    sealed = crypto.seal_to(
        crypto.exchange_public(ONE), b"the secret well", ephemeral=OTHER, purpose=b"test"
    )
    assert b"secret" not in sealed
    assert crypto.unseal_to(ONE, sealed, purpose=b"test") == b"the secret well"
    assert crypto.unseal_to(OTHER, sealed, purpose=b"test") is None


def test_after_the_block_the_real_ones_are_back():
    real = crypto.sign(ONE, b"hello")
    with primitives("stand-in"):
        assert crypto.sign(ONE, b"hello") != real
        assert not crypto.verify(crypto.sign_public(ONE), b"hello", real)
        with primitives("real"):
            assert crypto.sign(ONE, b"hello") == real
            with primitives("stand-in"):
                assert crypto.sign(ONE, b"hello") != real
            assert crypto_kind() == "real"
        with primitives("stand-in"):
            pass
        assert crypto_kind() == "stand-in"
    assert crypto.sign(ONE, b"hello") == real
    with pytest.raises(ZeroDivisionError), primitives("stand-in"):
        _ = 1 / 0
    assert crypto.verify(crypto.sign_public(ONE), b"hello", real)


def test_nothing_but_the_simulation_names_them():
    package = Path(meshd.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] != "simulation":
            assert not re.search(r"simulation(\.| import )crypto|primitives\(", path.read_text()), (
                path
            )


def test_a_daemon_does_not_load_them():
    code = (
        "import sys, meshd.runtime.daemon, meshd.cli.main; "
        "sys.exit(any(name.startswith('meshd.simulation') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
