"""A stranger on the air: a namespace without a daemon, whose sockets may say anything."""

import json
import socket
from contextlib import suppress

from meshd.core.limits import BABEL_PORT
from meshd.lab.namespaces import RADIO, Namespace
from meshd.wire.babel import Hello, Ihu, Tlv, encode

QUICK_CS = 100


class Stranger:
    """Speaks to one victim from a link-local address. `victim` is the other's link-local one."""

    def __init__(self, node: Namespace, victim: str) -> None:
        self.node = node
        self.victim = victim
        shown = node.run(["ip", "-j", "-6", "addr", "show", "dev", RADIO, "scope", "link"]).stdout
        (interface,) = [item for item in json.loads(shown) if item]
        with node.inside():
            self.index = socket.if_nametoindex(RADIO)
        self.address = socket.inet_pton(socket.AF_INET6, interface["addr_info"][0]["local"])
        self._sockets: dict[int, socket.socket] = {}
        self._hellos = 0

    def send(self, port: int, data: bytes, to: str = "") -> None:
        """Send a datagram from the port that it goes to."""
        if port not in self._sockets:
            opened = self.node.open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            opened.bind(("::", port, 0, 0))
            self._sockets[port] = opened
        with suppress(OSError):  # a full queue on the way loses datagrams, as the air does
            self._sockets[port].sendto(data, (to or self.victim, port, 0, self.index))

    def connect(self, port: int) -> socket.socket:
        """Open a TCP connection to the victim."""
        opened = self.node.open_socket(socket.AF_INET6, socket.SOCK_STREAM)
        opened.settimeout(2)
        opened.connect((self.victim, port, 0, self.index))
        return opened

    def speak(self, *tlvs: Tlv) -> None:
        """Send a Babel packet as a neighbour would: with a hello and an I Heard You."""
        self._hellos = self._hellos + 1 & 0xFFFF
        heard = Ihu(socket.inet_pton(socket.AF_INET6, self.victim), 256, QUICK_CS)
        packet = encode([Hello(self._hellos, QUICK_CS), heard, *tlvs], self.address)
        self.send(BABEL_PORT, packet)

    def close(self) -> None:
        """Fall silent."""
        for opened in self._sockets.values():
            opened.close()
