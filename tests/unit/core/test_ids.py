"""Names and addresses: text forms, self-proving addresses, prefixes."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core import ids
from meshd.core.errors import UsageError

SIZED = st.integers(1, 40).flatmap(lambda n: st.binary(min_size=n, max_size=n))


def test_node_id_is_the_first_ten_bytes_of_the_hash():
    public = bytes(range(32))
    assert ids.node_id(public) == blake2b(public, digest_size=32).digest()[:10]


def test_address_is_fd_mesh_node():
    address = ids.mesh_address(b"\1\2\3\4\5", bytes(range(10)))
    assert address == b"\xfd\1\2\3\4\5" + bytes(range(10))
    assert ids.node_of_address(address) == bytes(range(10))
    assert ids.mesh_prefix(b"\1\2\3\4\5").contains(ids.host_prefix(address))


@given(st.binary(min_size=10, max_size=10))
def test_node_text_round_trips_in_both_forms(node):
    text = ids.node_text(node)
    assert len(text) == 16
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert ids.parse_node(text) == node
    assert ids.parse_node(ids.grouped(text).upper()) == node


@given(SIZED)
def test_text_round_trips_at_any_length(data):
    assert ids.decode_text(ids.encode_text(data), len(data)) == data


@pytest.mark.parametrize("text", ["", "abc", "a" * 17, "0" * 16, "k7q2m9!!aaaaaaaa"])
def test_bad_node_text_is_refused(text):
    with pytest.raises(UsageError):
        ids.parse_node(text)


def test_stray_bits_are_refused():
    with pytest.raises(UsageError):
        ids.decode_text("ab", 1)


def test_prefix_contains():
    wide = ids.parse_prefix("fd00::/8")
    assert wide.contains(ids.parse_prefix("fd42::1"))
    assert not wide.contains(ids.parse_prefix("fe80::/10"))
    assert not ids.parse_prefix("fd42::/64").contains(ids.parse_prefix("fd42::/48"))
    assert str(ids.parse_prefix("fd42::1")) == "fd42::1/128"


def test_bad_prefix_is_refused():
    with pytest.raises(UsageError, match="not an IPv6 prefix"):
        ids.parse_prefix("10.0.0.0/8")


def test_link_local_is_fe80_slash_10():
    assert ids.is_link_local(bytes.fromhex("febf" + "00" * 14))
    assert not ids.is_link_local(bytes.fromhex("fec0" + "00" * 14))
