"""Datagrams that the kernel does not take are counted by name."""

import socket

import pytest

from meshd.core.drops import DropReason
from meshd.core.events import Transmit
from meshd.runtime.sockets import Datagrams

LOOPBACK = bytes(15) + b"\1"


@pytest.fixture
def datagrams():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    heard = []
    found = Datagrams((port,), lambda link, datagram: heard.append((link, datagram)))
    found.port, found.heard = port, heard
    yield found
    found.close()


def test_datagram_that_is_sent_comes_and_counts_nowhere(datagrams):
    datagrams.send(Transmit("", datagrams.port, LOOPBACK, b"hello"))
    datagrams.read(datagrams.filenos()[0])
    assert [datagram.data for _, datagram in datagrams.heard] == [b"hello"]
    assert datagrams.drops.as_dict() == {}


def test_datagram_that_the_kernel_refuses_is_a_named_drop(datagrams):
    datagrams.send(Transmit("", datagrams.port, LOOPBACK, bytes(70_000)))
    datagrams.send(Transmit("gone0", datagrams.port, LOOPBACK, b"its interface went"))
    assert datagrams.drops.as_dict() == {DropReason.DATAGRAM_UNSENT: {"-": 1, "gone0": 1}}
