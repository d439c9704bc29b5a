"""The cable of the loopback stage: it carries, it can be pulled, it can be plugged in again."""

import socket
import threading

import pytest

from meshd.lab.stage import LOOPBACK, Cable
from meshd.lab.story import SECRETS


@pytest.fixture
def far_end():
    """A server that sends back what it gets."""
    listening = socket.create_server((LOOPBACK, 0))

    def echo(taken):
        with taken:
            while data := taken.recv(1000):
                taken.sendall(data)

    def serve():
        while True:
            try:
                taken, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(taken,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_cable_carries_until_pulled(far_end):
    cable = Cable(far_end)
    with socket.create_connection((LOOPBACK, cable.port), timeout=5) as near:
        near.sendall(b"there")
        assert near.recv(100) == b"there"
        cable.pull()
        assert near.recv(100) == b""
    with pytest.raises(OSError):
        socket.create_connection((LOOPBACK, cable.port), timeout=5)
    cable.plug()
    with socket.create_connection((LOOPBACK, cable.port), timeout=5) as near:
        near.sendall(b"again")
        assert near.recv(100) == b"again"
    cable.pull()


def test_secrets_of_the_story_are_long_enough_to_be_found_by_meaning_only():
    assert all(len(secret) >= 10 for secret in SECRETS)
