"""The checkers themselves: each finds the fault that it is for, and is silent without one."""

import pytest

from meshd.core import crypto
from meshd.core.events import EntryRow, Notice, Reply, Transmit
from meshd.core.ids import ALL_BABEL_ROUTERS, encode_text, host_prefix
from meshd.core.limits import BABEL_PORT
from meshd.session.noise import Cipher
from meshd.simulation.checks import all_checkers, census
from meshd.simulation.checks.duty import Duty
from meshd.simulation.checks.exempt import Exempt
from meshd.simulation.checks.feasibility import Feasibility
from meshd.simulation.checks.hearsay import Hearsay
from meshd.simulation.checks.ledger import Ledger
from meshd.simulation.checks.loops import Loops
from meshd.simulation.checks.nonces import watched
from meshd.simulation.checks.promises import Promises
from meshd.simulation.checks.secrecy import Secrecy
from meshd.simulation.checks.told import Told
from meshd.simulation.checks.updates import Reader
from meshd.simulation.host import Hop
from meshd.simulation.plan.plan import POWER_CUTS, Fault, MediumPlan, Plan
from meshd.simulation.world import SECOND, World
from meshd.wire.babel import Update, encode

PLAN = Plan("none", duration_s=100, settle_s=100)


@pytest.fixture
def world():
    made = World(1)
    made.add_line(4)
    assert made.run_until(made.connected, 10 * SECOND)
    return made


def port_of(host):
    return next(iter(host.ports.values()))


def test_honest_world_breaks_no_rule(world):
    checkers = all_checkers(world, PLAN)
    for checker in checkers:
        world.watch(checker)
    world.hosts[1].crash()
    world.run(30 * SECOND)
    world.hosts[1].start()
    world.run(150 * SECOND)
    for checker in checkers:
        checker.finished()
    assert [checker.violations for checker in checkers if checker.violations] == []


def make_loop(world, checker):
    one, other = world.hosts[1:3]
    target = world.hosts[3].node.address
    other.routes[target] = Hop("w0", port_of(one).address)
    checker.route_changed(other, target)


def test_loop_is_found_when_the_route_changes(world):
    checker = Loops(world, Exempt(PLAN))
    make_loop(world, checker)
    assert "n2 → n1 → n2" in checker.violations[0].text


@pytest.mark.parametrize(
    "fault",
    [
        Fault("hostile", 0, nodes="n1", behaviour="false-metric"),
        Fault("hostile", 0, nodes="n0", other="n3", behaviour="seqno-lies"),
        Fault("corrupt", 0),
    ],
)
def test_loop_is_excused_by_what_the_open_mesh_concedes(world, fault):
    checker = Loops(world, Exempt(Plan("x", faults=(fault,))))
    make_loop(world, checker)
    assert checker.violations == []


def test_forged_origin_of_another_host_excuses_no_loop(world):
    fault = Fault("hostile", 0, nodes="n0", other="n3", behaviour="forged-origin")
    checker = Loops(world, Exempt(Plan("x", faults=(fault,))))
    make_loop(world, checker)
    assert len(checker.violations) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("hostile", 0, nodes="n0", behaviour="identities"), 1),
        (Fault("hostile", 0, nodes="n0", other="n3", behaviour="seqno-lies"), 1),
        (Fault("corrupt", 0), 0),
    ],
)
def test_loop_to_who_was_made_up_is_excused_by_damage_alone(world, fault, told):
    """Swarm 14403: who shows many identities is the origin of each, and may close no loop."""
    checker = Loops(world, Exempt(Plan("x", faults=(fault,))))
    one, other = world.hosts[1:3]
    nobody = bytes(16)
    one.routes[nobody] = Hop("w0", port_of(other).address)
    other.routes[nobody] = Hop("w0", port_of(one).address)
    checker.route_changed(other, nobody)
    assert len(checker.violations) == told


def test_second_reader_reads_what_nodes_write(world):
    address = world.hosts[0].node.address
    routes = world.hosts[1].node.routing.distance_to(address)
    prefix = (address, 128)
    updates = [
        Update(host_prefix(address), bytes(7) + b"\1", 7, 300, 400, port_of(world.hosts[0]).address)
    ]
    (said,) = Reader().read(encode(updates, port_of(world.hosts[0]).address))
    assert said == (prefix, bytes(7) + b"\1", 7, 300, 4_000_000)
    assert routes is not None


@pytest.mark.parametrize(("interval_s", "believed_s"), [(24, 84), (60, 210), (600, 210)])
def test_word_may_be_believed_as_long_as_its_interval_says(world, interval_s, believed_s):
    checker = Hearsay(world, Exempt(PLAN))
    one, other = world.hosts[:2]
    port, prefix = port_of(one), host_prefix(bytes(15) + b"\7")
    said = (prefix, bytes(7) + b"\1", 7, 300)
    data = encode([Update(*said, interval_s * 100, port.address)], port.address)
    checker.datagram_sent(port, Transmit(port.link, BABEL_PORT, ALL_BABEL_ROUTERS, data), 0)
    for wait_s, fails in ((believed_s, 0), (30, 1)):
        world.run(wait_s * SECOND)
        checker._forget()
        other.node.routing.learnt = lambda: [(port.link, port.address, *said)]
        checker._believed(other, {})
        del other.node.routing.learnt
        assert checker.count == fails


def test_route_worse_than_what_was_announced_is_found(world):
    checker = Feasibility(world)
    host, target = world.hosts[1], world.hosts[3].node.address
    router_id, seqno, advertised = host.node.routing.distance_to(target)
    said = Update(host_prefix(target), router_id, seqno, advertised, 400, port_of(host).address)
    packet = encode([said], port_of(host).address)
    checker.datagram_sent(port_of(host), Transmit("w0", 6696, bytes(16), packet), 0)
    checker.route_changed(host, target)
    assert "after it announced" in checker.violations[0].text


def test_airtime_beyond_the_law_is_found(world):
    checker = Duty(world, Plan("x", media=(MediumPlan("w0", "lora", duty=0.01, dwell_ms=400),)))
    frame = Transmit("w0", 6696, bytes(16), b"")
    for _ in range(90):
        checker.datagram_sent(port_of(world.hosts[0]), frame, 390_000)
    assert checker.violations == []
    for _ in range(3):
        checker.datagram_sent(port_of(world.hosts[0]), frame, 390_000)
    assert "within an hour" in checker.violations[0].text
    checker.datagram_sent(port_of(world.hosts[1]), frame, 500_000)
    assert "one frame" in checker.violations[-1].text


def test_plaintext_cut_in_two_is_found(world):
    checker = Secrecy(world, Ledger())
    host = world.hosts[0]
    checker.asked(host, "post", {"text": "the well is by the school"}, 1)
    checker.stream_sent(host, b"..the well is by the")
    checker.minute()
    assert checker.violations == []
    checker.stream_sent(host, b" school")
    checker.minute()
    assert checker.violations[0].host == "n0"


def test_nonce_with_two_texts_is_found():
    with watched() as nonces:
        crypto.seal(bytes(32), b"n" * 24, b"one")
        crypto.seal(bytes(32), b"n" * 24, b"one")
        assert nonces.repeated == []
        crypto.seal(bytes(32), b"n" * 24, b"two")
        assert len(nonces.repeated) == 1
        cipher = Cipher(bytes(32))
        cipher.encrypt(b"one")
        Cipher(bytes(32)).encrypt(b"two")
    assert len(nonces.repeated) == 2


def written(checker, host, *, on_disk):
    space, author = bytes(32), bytes([7] * 32)
    if on_disk:
        row = EntryRow(space, author, 1, b"entry")
        host.store.commit([(row,)])
        checker.committed(host, (row,))
    checker.asked(host, "post", {"text": "x"}, 5)
    value = {"space": encode_text(space), "author": author.hex(), "seq": 1, "state": "written"}
    checker.reply(host, Reply(5, value))
    return value


def test_word_of_written_without_the_entry_on_disk_is_found(world):
    checker = Promises(world, PLAN, Ledger())
    written(checker, world.hosts[0], on_disk=False)
    assert "before it was on its disk" in checker.violations[0].text


@pytest.mark.parametrize("kind", POWER_CUTS)
def test_written_entry_that_is_gone_is_found_unless_the_plan_took_it(world, kind):
    fault = Fault(kind, 1, nodes="n1", disk="empty")
    checker = Promises(world, Plan("x", faults=(fault,)), Ledger())
    for host in world.hosts[:2]:
        written(checker, host, on_disk=True)
        host.store.entries.clear()
        host.crash()
        host.start()
        checker.started(host)
        checker.minute()
        checker._promised.clear()
    assert [item.host for item in checker.violations] == ["n0"]


def test_entry_told_twice_is_found(world):
    checker = Told(world, PLAN)
    value = written(checker, world.hosts[0], on_disk=True)
    checker.notice(world.hosts[0], Notice("entry", value))
    assert checker.violations == []
    checker.notice(world.hosts[0], Notice("entry", value))
    assert "told twice" in checker.violations[0].text


def test_census_counts_what_a_node_holds(world):
    before = census.take(world.hosts[1].node)
    assert before.items["routing._table.entries"] == 3
    assert before.largest["sessions._roster._by_number"] == 2
    world.hosts[1].node.problems.update({str(number): None for number in range(500)})
    assert census.take(world.hosts[1].node).total == before.total + 500
