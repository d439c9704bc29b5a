"""The radios as files see them: budgets by law and manners, a short backlog, who hears whom."""

from radios.mesh import SF7, Mesh

from meshd.core.airtime import Modulation
from meshd.core.law import HOUR_US
from meshd.forwarding.radios_for_files import AWAY_US, BACKLOG_MAX, RadiosForFiles
from meshd.sync.files.air.files import AirFiles
from meshd.wire.lora_payload import Sub


def air_of(host):
    return RadiosForFiles(host.node.radios, host.identity)


def test_a_limited_band_leaves_bulk_its_part_of_the_hour():
    mesh = Mesh(2)
    mesh.run(30)
    air = air_of(mesh.hosts[0])
    budget = air.budget("lora0", mesh.hosts[0].now)
    assert budget.hour_us == HOUR_US // 10 * 50 // 100
    assert 0 < budget.left_us <= budget.hour_us
    assert budget.room == 237
    assert budget.frame_us == air.frame_us("lora0") == 399_616


def test_where_no_law_limits_the_hour_bulk_keeps_to_a_tenth():
    quick = Modulation(7, 500_000)
    mesh = Mesh(2, region="US915", modulation=quick, frequency_hz=915_000_000)
    mesh.run(30)
    budget = air_of(mesh.hosts[0]).budget("lora0", mesh.hosts[0].now)
    assert budget.hour_us == HOUR_US // 10
    assert budget.hour_us - 10_000_000 < budget.left_us < budget.hour_us


def test_a_radio_that_is_away_takes_nothing():
    mesh = Mesh(1, running=False)
    air = air_of(mesh.hosts[0])
    assert air.links() == air.neighbours_of("lora0") == ()
    assert air.budget("lora0", 0) is None
    assert air.frame_us("lora0") == AWAY_US
    assert air.others("lora0", bytes(10)) == 0
    assert not air.tell("lora0", Sub.PIECE, b"x", 0, bulk=True)


def test_pieces_wait_outside_while_others_wait_inside():
    mesh = Mesh(2)
    mesh.run(30)
    host = mesh.hosts[0]
    air = air_of(host)
    taken = [air.tell("lora0", Sub.PIECE, bytes([n]) * 200, host.now, bulk=True) for n in range(6)]
    assert taken.count(True) == BACKLOG_MAX
    assert air.tell("lora0", Sub.PIECES_WANTED, bytes(8), host.now, bulk=False)


def test_items_of_files_come_in_and_keys_are_known():
    mesh = Mesh(2)
    mesh.run(60)
    one, other = mesh.hosts
    heard = []
    theirs = air_of(other)
    other.node.radios.on_local |= dict.fromkeys(AirFiles.subs, lambda item, now: heard.append(item))
    for sub in AirFiles.subs:
        air_of(one).tell("lora0", sub, bytes([sub]) * 9, one.now, bulk=False)
    mesh.run(10)
    assert sorted(item.sub for item in heard) == sorted(AirFiles.subs)
    assert {(item.link, item.node) for item in heard} == {("lora0", one.node.id)}
    assert theirs.public_of(one.node.id) == one.identity.public
    assert air_of(one).sign(b"x") == one.identity.sign(b"x")


def test_who_does_not_hear_a_neighbour_is_counted():
    mesh = Mesh(3, modulation=SF7)
    left, middle, right = mesh.hosts
    mesh.cut = {frozenset((left.name, right.name))}
    mesh.run(300)
    air = air_of(middle)
    assert sorted(air.neighbours_of("lora0")) == sorted([left.node.id, right.node.id])
    assert air.others("lora0", left.node.id) == 1
    mesh = Mesh(3)
    mesh.run(300)
    one, two, _ = mesh.hosts
    assert air_of(one).others("lora0", two.node.id) == 0


def test_when_so_much_may_be_sent_is_now_or_when_the_hour_moves_on_or_hours_later():
    mesh = Mesh(2)
    mesh.run(30)
    host = mesh.hosts[0]
    air = air_of(host)
    budget = air.budget("lora0", host.now)
    assert air.free_us("lora0", budget.left_us, host.now) == host.now
    later_us = air.free_us("lora0", budget.left_us + 1, host.now)
    assert HOUR_US <= later_us < HOUR_US + 60_000_000, "what was sent in the first half minute"
    assert air.free_us("lora0", 3 * budget.hour_us, host.now) >= host.now + 2 * HOUR_US
    assert air.free_us("lora9", 1, 7) == 7
