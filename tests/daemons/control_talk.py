"""A client of the control socket that can send anything."""

import json
import socket
from contextlib import contextmanager


class Raw:
    """A client that can send anything."""

    def __init__(self, folder) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(folder / "control.sock"))
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> dict | None:
        data = self.file.readline()
        return json.loads(data) if data else None

    def ask(self, verb, args=None, number=1) -> dict:
        self.send(json.dumps({"id": number, "verb": verb, "args": args or {}}).encode() + b"\n")
        return self.line()

    def ended(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextmanager
def raw(folder):
    client = Raw(folder)
    try:
        yield client
    finally:
        client.close()
