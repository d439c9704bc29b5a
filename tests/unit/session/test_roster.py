"""Who has a session when many want one: shared by link, then by address, the useless first."""

from random import Random

from devices.session_net import SECOND, SessionNet, identity

from meshd.core.drops import DropReason
from meshd.session import roster
from meshd.session.connection import Connection, Ends
from meshd.session.handshake import Handshake, Local
from meshd.session.roster import SESSIONS_HOST_MAX, UNUSED_US
from meshd.wire.session_records import HandshakePayload


def visit(net, host, stranger, source):
    """Let a new identity at an address shake hands; tell whether the table took it."""
    payload = HandshakePayload(identity(stranger).certificate(net.mesh), 1, 0).encode()
    rng = Random(stranger)
    local = Local(net.mesh, identity(stranger).session_secret, payload, rng.randbytes)
    guest = Connection(
        1, Handshake(local, initiator=True), ends=Ends("w0", "x", "link"), now=net.now
    )
    stream = host.sessions.stream_accepted(source, "w0", net.now)
    guest.connected()
    while guest.can_send:
        host.sessions.stream_received(stream, guest.take().data, net.now)
        while (piece := host.sessions.poll_send()) is not None:
            guest.receive(piece.data, net.now)
            host.sessions.stream_writable(stream, len(piece.data), net.now)
    net.drain(host)
    return identity(stranger).node in host.up()


def crowd(net, host, *, count, each):
    """Fill a link with `count` identities, `each` an address; return the sessions."""
    for number in range(count):
        net.run(1)
        visit(net, host, f"stranger {number}", f"fe80::{number // each + 1:x}")
    return len(host.up())


def test_one_address_has_few_sessions_whatever_it_calls_itself():
    net = SessionNet("hub", "late")
    hub = net["hub"]
    net.link("w0", "hub")
    assert crowd(net, hub, count=20, each=20) == SESSIONS_HOST_MAX["link"]
    assert hub.ctx.drops.total(DropReason.SESSION_FULL) == 20 - SESSIONS_HOST_MAX["link"]
    assert visit(net, hub, "late", "fe80::1111")


def test_neighbour_gets_the_place_of_the_address_that_holds_most(monkeypatch):
    monkeypatch.setattr(roster, "SESSIONS_MAX", 6)
    net = SessionNet("hub")
    hub = net["hub"]
    net.link("w0", "hub")
    assert crowd(net, hub, count=6, each=3) == 6
    for session in hub.up().values():
        hub.sessions.use(session)
    assert visit(net, hub, "late", "fe80::1111")
    assert not visit(net, hub, "one more", "fe80::1"), "its address has its part"
    assert len(hub.up()) == 6


def test_session_that_shares_no_space_goes_first_when_the_table_is_full(monkeypatch):
    monkeypatch.setattr(roster, "SESSIONS_MAX", 6)
    net = SessionNet("hub")
    hub = net["hub"]
    net.link("w0", "hub")
    assert crowd(net, hub, count=6, each=1) == 6
    assert not visit(net, hub, "soon", "fe80::1110"), "none was given time to share yet"
    net.run(UNUSED_US / SECOND)
    used = list(hub.up())[:5]
    for node in used:
        hub.sessions.use(hub.up()[node])
    assert visit(net, hub, "late", "fe80::1111")
    assert set(used) < set(hub.up())
    hub.sessions.use(hub.up()[identity("late").node])
    assert not visit(net, hub, "one more", "fe80::1112")
