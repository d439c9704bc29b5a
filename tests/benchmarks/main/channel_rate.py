"""Measure what one core carries through a session: bulks, and records that are encrypted."""

from random import Random
from time import process_time

from devices.session_net import identity
from report import Figure

from meshd.core.crypto import exchange_public
from meshd.core.ids import OPEN_MESH_ID
from meshd.session.connection import Connection, Ends
from meshd.session.handshake import Handshake, Local
from meshd.wire.session_records import HandshakePayload

MIB = 1024 * 1024
READ_BYTES = 256 * 1024


def _ends() -> tuple[Connection, Connection]:
    """Return two connections whose session is up."""
    rng = Random(1)
    made = []
    for name, remote in (("a", "b"), ("b", None)):
        who = identity(name)
        payload = HandshakePayload(who.certificate(OPEN_MESH_ID), 1, 6697).encode()
        own = Local(OPEN_MESH_ID, who.session_secret, payload, rng.randbytes)
        key = exchange_public(identity(remote).session_secret) if remote else None
        handshake = Handshake(own, initiator=remote is not None, remote=key)
        made.append(Connection(1, handshake, ends=Ends("w0", "fe80::1", "link"), now=0))
    one, two = made
    one.connected()
    for source, sink in ((one, two), (two, one), (one, two)):
        while source.can_send:
            sink.receive(source.take().data, 0)
    return one, two


def _carry(one: Connection, two: Connection, *, bulk: bool, total: int) -> float:
    """Send `total` bytes in pieces of a socket's reads; return MB/s of CPU time, both ends."""
    body = Random(2).randbytes(65536 if bulk else 65000)
    received = sent = 0
    began = process_time()
    while received < total:
        while sent < total and (one.send_bulk(b"head", body) if bulk else one.send(body)):
            sent += len(body)
        wire = b""
        while one.can_send and len(wire) < READ_BYTES:
            piece = one.take().data
            one.add_credit(len(piece))
            wire += piece
        for place in range(0, len(wire), READ_BYTES):
            for item in two.receive(wire[place : place + READ_BYTES], 0):
                received += len(item.data if bulk else item.body)
    return received / (process_time() - began) / 1e6


def measure() -> list[Figure]:
    """Carry 512 MiB as bulks and 128 MiB as records."""
    how = "one process, both ends, CPU time, reads of 256 KiB"
    bulk = _carry(*_ends(), bulk=True, total=512 * MIB)
    record = _carry(*_ends(), bulk=False, total=128 * MIB)
    return [
        Figure("session bulk, both ends on one core", bulk, "MB/s", 100.0, how, better="higher"),
        Figure("session records, both ends on one core", record, "MB/s", None, how, "higher"),
    ]
