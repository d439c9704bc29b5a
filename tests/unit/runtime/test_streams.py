"""Accepted streams: where they came by."""

import socket

import pytest

from meshd.runtime.streams import _arrival


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
)
def test_arrival_interface_is_known_without_a_scope(family, address):
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((address, server.getsockname()[1])) as near,
    ):
        accepted, peer = server.accept()
        with accepted:
            assert near.family == family and peer[3] == 0
            assert _arrival(accepted, peer) == "lo"
