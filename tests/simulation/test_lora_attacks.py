"""Whole nodes on an air with somebody who means ill: recorder, forger, jammer, copied card.

After each attack the mesh does its work, what was lost has a name, and no node was made to spend
its hour for nothing. The rules behind it are tried one by one in tests/unit/link/test_sources.py.
"""

from random import Random

import pytest
from radios.camp import MINUTE, Camp
from radios.intruder import Intruder, drops, notices, spent_ms
from radios.mesh import Mesh

from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.core.identity import Identity
from meshd.core.ids import SHORT_LEN, node_text
from meshd.forwarding.turns import part_of
from meshd.link.lora import _SOURCE_AT
from meshd.link.sender import Sender
from meshd.routing.lora.dialect import SILENT_MAX
from meshd.simulation.faults.radio import RadioTrouble
from meshd.wire.lora_frame import FrameKind, echo_of
from meshd.wire.lora_items import Heard, Object, Wants
from meshd.wire.lora_payload import Local, Sub, encode
from meshd.wire.lora_routes import Direct, Routes, Want

NAMED = {
    *("frame-malformed", "frame-foreign", "frame-forged", "frame-stranger", "frame-replayed"),
    *("frame-own", "frame-unused", "beacon-malformed", "beacon-forged", "beacon-stale"),
}


def link_of(host):
    return host.node.radios.links["lora0"]


def works(camp, text):
    """Post, and see that all have it."""
    camp.post(0, text)
    camp.until_same(10 * MINUTE)
    camp.run(1)
    assert all(text in camp.texts(number) for number in range(len(camp.hosts)))


def test_replayed_frames_change_nothing_and_cost_nobody_much():
    camp = Camp(3)
    recorder = Intruder(camp)
    works(camp, "first")
    camp.run(5 * MINUTE)
    before = [camp.texts(number) for number in range(3)]
    spent = [spent_ms(host) for host in camp.hosts]
    recorded = list(recorder.frames)
    assert len(recorded) >= 3
    for _ in range(3):
        recorder.send(*recorded)
    camp.run(MINUTE)
    assert [camp.texts(number) for number in range(3)] == before
    for host, was in zip(camp.hosts, spent, strict=True):
        assert drops(host)["frame-replayed"] + drops(host).get("frame-own", 0) >= len(recorded)
        assert spent_ms(host) - was < 5_000
    works(camp, "second")


def test_cut_flipped_and_foreign_frames_are_named_drops():
    camp = Camp(2)
    recorder = Intruder(camp)
    works(camp, "first")
    chance, before = Random(7), [drops(host) for host in camp.hosts]
    recorded = recorder.frames[:12]
    ugly = [frame[: chance.randrange(len(frame))] or b"\0" for frame in recorded]
    for frame in recorded:
        flipped = bytearray(frame)
        flipped[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        ugly.append(bytes(flipped))
    ugly += [chance.randbytes(chance.randint(1, 255)) for _ in range(40)]
    mute = RadioTrouble("mute", 1.0)
    for host in camp.hosts:
        host.lora.begin(mute)
    camp.run(10)  # what is on the air, and what waits for a free channel
    recorder.send(*ugly)
    for host in camp.hosts:
        host.lora.end(mute)
    for host, was in zip(camp.hosts, before, strict=True):
        now = drops(host)
        new = {reason for reason in now if now[reason] > was.get(reason, 0)}
        assert new <= NAMED, new
        assert sum(now.values()) - sum(was.values()) >= len(ugly)
        assert len(camp.known(host)) == 1, "nobody was made up"
    works(camp, "second")


def colliding():
    """Return the names of two hosts of a world with seed 1 whose short addresses are one."""
    from meshd.simulation.world import World

    world, seen = World(1), {}
    for number in range(2_000):
        keys = world.stream(f"identity of s{number}")
        short = Identity(keys.randbytes(32), keys.randbytes(32)).node[:2]
        if short in seen:
            return seen[short], f"s{number}"
        seen[short] = f"s{number}"
    raise AssertionError("no two are alike")


def test_two_with_one_short_address_out_of_range_of_each_other_are_both_neighbours():
    one, other = colliding()
    mesh = Mesh(0)
    mesh.cut = {frozenset((one, other))}
    for name in (one, "middle", other):
        mesh.add(name)
    assert mesh.hosts[0].node.id[:2] == mesh.hosts[2].node.id[:2]
    heard = mesh.world.run_until(lambda: len(mesh.known(mesh.hosts[1])) == 2, 20_000_000)
    assert heard, "from their first frames on"
    before = drops(mesh.hosts[1]).get("frame-forged", 0)  # the second, until it was met
    mesh.run(120)
    assert len(mesh.known(mesh.hosts[1])) == 2
    assert drops(mesh.hosts[1]).get("frame-forged", 0) == before
    got = []
    for host in mesh.hosts:
        host.node.radios.on_object[200] = lambda event, now, host=host: got.append((host, event))
    for host in (mesh.hosts[0], mesh.hosts[2]):
        host.input(lambda now, host=host: host.node.radios.publish(b"\xc8" + host.node.id, 1, now))
    mesh.run(5 * MINUTE)  # they do not hear each other, so their first frames may collide
    bodies = {host.name: set() for host in mesh.hosts}
    for host, event in got:
        bodies[host.name].add(event.body[1:])
    assert bodies["middle"] == {mesh.hosts[0].node.id, mesh.hosts[2].node.id}


def test_copied_card_with_both_running_is_told_and_both_are_heard():
    mesh = Mesh(2)
    mesh.until_complete()
    one, witness = mesh.hosts
    twin = mesh.add("twin", identity=one.identity, store=one.store)
    assert twin.node.id == one.node.id
    mesh.run(10 * MINUTE)
    assert notices(witness, "radio-twin"), {notice.kind for notice in witness.notices}
    assert notices(one, "radio-own-twin") or notices(twin, "radio-own-twin")
    got = []
    witness.node.radios.on_object[200] = lambda event, now: got.append(event.body)
    for number, host in enumerate((one, twin)):
        host.input(lambda now, h=host, n=number: h.node.radios.publish(bytes((200, n)), 1, now))
        mesh.run(60)
    assert {b"\xc8\x00", b"\xc8\x01"} <= set(got), "no copy silences the other"


def test_member_that_forges_anothers_frames_and_drives_its_counter_ahead_is_outlived():
    camp = Camp(3)
    works(camp, "first")
    camp.run(MINUTE)  # nobody sends just now: were the first of them lost, no window would follow
    victim = link_of(camp.hosts[0]).sender
    forger = Sender(victim.identity, victim.link, boot=victim.boot, salt=victim.salt)
    intruder = Intruder(camp)
    for _ in range(20):
        forger.counter = victim.counter + 4_000 * (_ + 1)
        intruder.send(forger.seal(FrameKind.LOCAL, b"\xff forged"))
    before = [camp.texts(number) for number in range(3)]
    camp.run(5 * MINUTE)
    assert [camp.texts(number) for number in range(3)] == before, "entries are signed"
    works(camp, "second")
    told = [notice for host in camp.hosts[1:] for notice in notices(host, "radio-counter-forged")]
    assert told, "it does not go unseen"


def test_member_that_uses_the_counters_anothers_frames_will_have_silences_none():
    camp = Camp(3)
    works(camp, "first")
    victim, intruder = link_of(camp.hosts[0]).sender, Intruder(camp)
    forger = Sender(victim.identity, victim.link, boot=victim.boot, salt=victim.salt)
    for number in range(4):
        forger.counter = victim.counter
        for _ in range(8):
            intruder.send(forger.seal(FrameKind.LOCAL, b"\xff%d" % number))
        camp.post(0, f"text {number}")
        camp.run(MINUTE)
    assert all(f"text {number}" in camp.texts(1) for number in range(4))
    assert [notices(host, "radio-counter-forged") for host in camp.hosts[1:]] != [[], []]


def test_recording_played_to_a_rebooted_relay_is_not_sent_on():
    mesh = Mesh(3)
    source, relay, far = mesh.hosts
    mesh.cut = {frozenset((source.name, far.name))}
    mesh.air.moved(source.lora.radio)
    recorder = Intruder(mesh)
    mesh.cut |= {frozenset((recorder.radio.name, far.name))}
    mesh.air.moved(recorder.radio)
    mesh.run(60)
    got = []

    def listen():
        far.node.radios.on_object[200] = lambda event, now: got.append(event.body)

    listen()
    source.input(lambda now: source.node.radios.publish(b"\xc8once", 1, now))
    mesh.run(60)
    assert got == [b"\xc8once"]
    recorded = list(recorder.frames)
    for host in mesh.hosts:
        host.crash()
    far.start()
    relay.start()
    listen()
    mesh.run(60)
    sent_before = relay.lora.radio.sent_us
    for _ in range(5):
        recorder.send(*recorded)
        mesh.run(60)
    assert got == [b"\xc8once"], "nothing came through the relay"
    assert link_of(relay).heard_frames >= 5 * len(recorded)
    assert relay.lora.radio.sent_us - sent_before < 15_000_000


def test_jammer_stops_the_air_and_no_node_for_longer():
    camp = Camp(3)
    works(camp, "first")
    jammer = Intruder(camp, "jammer")
    camp.post(1, "while it lasts")
    jammer.jam(20 * MINUTE)
    for host in camp.hosts:
        status = host.node.snapshot(host.now).radios[0]
        assert status.waiting <= 64 and status.left_ms > 0
        assert status.airtime_hour_ms < 120_000, "frames are not thrown into a jammed air"
    camp.until_same(30 * MINUTE)
    works(camp, "second")


def test_neighbour_that_floods_wants_gets_little():
    camp = Camp(3)
    recorder = Intruder(camp)
    works(camp, "first")
    member = link_of(camp.hosts[2]).sender
    spent = [spent_ms(host) for host in camp.hosts[:2]]
    chance = Random(5)
    for _ in range(300):
        wants = Wants(tuple(chance.randbytes(2) for _ in range(40)))
        recorder.send(member.seal(FrameKind.LOCAL, encode([wants])))
    for host, was in zip(camp.hosts[:2], spent, strict=True):
        assert spent_ms(host) - was < 10_000
        assert host.node.snapshot(host.now).radios[0].waiting <= 64
    works(camp, "second")


@pytest.mark.parametrize("known", [False, True])
def test_neighbour_that_asks_for_ways_without_end_leaves_the_others_their_control(known):
    camp = Camp(3, seed=3)
    intruder = Intruder(camp)
    camp.run(10 * MINUTE)
    member = link_of(camp.hosts[2]).sender
    others = camp.hosts[:2]
    before = [host.node.snapshot(host.now).radios[0].hour_control_ms for host in others]
    for count in range(0, 15 * 300, 15):
        wants = [Want((count + more).to_bytes(2, "big"), 1) for more in range(15)]
        if known:
            wants = [Want(others[count % 2].node.id[:SHORT_LEN], 0)]
        intruder.send(member.seal(FrameKind.LOCAL, Routes(1, boot=1, wants=tuple(wants)).encode()))
        camp.run(3)
    for host, was in zip(others, before, strict=True):
        assert known or drops(host)["lora-wants-rate"]
        assert host.node.snapshot(host.now).radios[0].hour_control_ms - was < 10_000


@pytest.mark.parametrize("seed", [1, 2])
def test_random_members_bodies_break_no_node(seed):
    camp = Camp(2, seed=seed)
    intruder = Intruder(camp)
    member, chance = link_of(camp.hosts[1]).sender, Random(seed)
    for _ in range(200):
        kind = chance.choice((FrameKind.ROUTED, FrameKind.LOCAL))
        to = b"to" if kind is FrameKind.ROUTED else b""
        body = chance.randbytes(chance.randint(0, 60))
        intruder.send(member.seal(kind, body, destination=to))
    works(camp, "after all that")


def test_a_crowd_of_invented_neighbours_keeps_no_newcomer_out():
    mesh = Mesh(2, seed=2)
    mesh.until_complete()
    mesh.run(60)
    victim, friend = mesh.hosts
    liar, link = Intruder(mesh), link_of(victim)
    chance = Random(5)
    crowd = [
        Sender(
            Identity(chance.randbytes(32), chance.randbytes(32)),
            link.sender.link,
            boot=1,
            salt=chance.randbytes(8),
        )
        for _ in range(NEIGHBOURS_MAX + 24)
    ]
    for one in crowd:
        liar.send(one.beacon())
        mesh.run(2)
        echoes = [echo_of(frame) for frame in liar.frames[-8:]]
        items = [Local(Sub.ECHOES, b"".join(echoes)), Heard((victim.node.id[:2],))]
        liar.send(one.seal(FrameKind.LOCAL, encode(items)))
    table = victim.node.radios.meshes["lora0"]
    assert len(table.neighbours.known) == len(table.ways.peers) == NEIGHBOURS_MAX
    newcomer = mesh.add("newcomer")
    mesh.run(120)
    assert newcomer.node.id in table.ways.peers and table.ways.ways(newcomer.node.id)
    assert newcomer.node.id[:2] in table.neighbours.known
    assert link.sources.trusts(friend.node.id)


def test_noise_without_a_key_spends_no_hour_and_keeps_no_newcomer_out():
    mesh = Mesh(4, frequency_hz=868_300_000)  # a hundredth of the time, a tenth of it for control
    mesh.until_complete()
    mesh.run(5 * MINUTE)
    noise, chance = Intruder(mesh), Random(4)
    shape = link_of(mesh.hosts[0]).sender.seal(FrameKind.LOCAL, b"")[:-8]
    before = [spent_ms(host) for host in mesh.hosts]
    for _ in range(60):
        junk = bytearray(shape + chance.randbytes(8))
        junk[_SOURCE_AT : _SOURCE_AT + SHORT_LEN] = chance.randbytes(SHORT_LEN)
        noise.send(bytes(junk))
        mesh.run(10)
    for host, was in zip(mesh.hosts, before, strict=True):
        assert drops(host)["frame-stranger"] > 30
        assert spent_ms(host) - was < 800, "of 3600 for control"
    newcomer = mesh.add("newcomer")
    mesh.run(120)
    ways = newcomer.node.radios.meshes["lora0"].ways
    assert all(ways.ways(host.node.id[:2]) for host in mesh.hosts[:4])


def test_beacons_of_invented_nodes_keep_a_newcomer_waiting_for_minutes_at_most():
    mesh = Mesh(4)
    mesh.until_complete()
    mesh.run(5 * MINUTE)
    liar, link, chance = Intruder(mesh), link_of(mesh.hosts[0]).sender.link, Random(6)

    def invent():
        keys = Identity(chance.randbytes(32), chance.randbytes(32))
        liar.send(Sender(keys, link, boot=1, salt=chance.randbytes(8)).beacon())
        mesh.run(10)

    before = [spent_ms(host) for host in mesh.hosts]
    for _ in range(150):
        invent()
    for host, was in zip(mesh.hosts, before, strict=True):
        assert spent_ms(host) - was < 18_000, "of 36 s for control"
    newcomer = mesh.add("newcomer")
    for _ in range(18):
        invent()
    ways = newcomer.node.radios.meshes["lora0"].ways
    assert all(ways.ways(host.node.id[:2]) for host in mesh.hosts[:4])


def believed(mesh, relay):
    """Return a stranger whom a relay believes to be there, and its radio, that only this hears."""
    stranger = Intruder(mesh)
    mesh.cut |= {frozenset(("intruder", one.name)) for one in mesh.hosts if one is not relay}
    keys, link = Random(7), link_of(relay)
    identity = Identity(keys.randbytes(32), keys.randbytes(32))
    liar = Sender(identity, link.sender.link, boot=1, salt=keys.randbytes(8))
    while not link.sources.trusts(liar.node):
        stranger.send(liar.beacon(echoes_max=0))
        mesh.run(8)
        echoes = [echo_of(frame) for frame in stranger.frames[-40:]]
        stranger.send(liar.seal(FrameKind.LOCAL, encode([Local(Sub.ECHOES, b"".join(echoes))])))
    return liar, stranger


def line_of_three():
    """Return a line whose ends have a way to each other."""
    mesh = Mesh(3)
    first, _, last = mesh.hosts
    mesh.cut.add(frozenset((first.name, last.name)))
    mesh.run(25 * MINUTE)  # and nobody has news any more
    assert first.node.radios.meshes["lora0"].ways.ways(last.node.id[:2])
    return mesh


@pytest.mark.parametrize("apart_s", [15, 300])
def test_junk_for_a_node_takes_nobodys_way_to_it(apart_s):
    mesh = line_of_three()
    first, relay, last = mesh.hosts
    liar, radio = believed(mesh, relay)
    to = {"hop_limit": 7, "next_hop": relay.node.id, "destination": last.node.id[:2]}
    for number in range(SILENT_MAX):
        junk = Direct(liar.node[:2], number, 0, 15, b"x")
        radio.send(liar.seal(FrameKind.ROUTED, encode([junk]), **to))
        mesh.run(apart_s)
    for _ in range(10):
        mesh.run(30)
        for host in (first, relay):
            assert host.node.radios.meshes["lora0"].ways.ways(last.node.id[:2])
    assert drops(relay)["direct-hop-silent"] == SILENT_MAX, "the junk went on, as anything does"


def test_junk_in_anothers_name_stops_none_of_its_texts_and_costs_a_relay_little():
    mesh = line_of_three()
    first, relay, last = mesh.hosts
    first.ask("message", node=node_text(last.node.id), text="before")
    mesh.run(60)
    liar, radio = believed(mesh, relay)
    number, spent = first.node.radios.meshes["lora0"].direct.forwarder._next, spent_ms(relay)
    to = {"hop_limit": 7, "next_hop": relay.node.id, "destination": last.node.id[:2]}
    for attempt in (7, 3):
        junk = [
            Direct(first.node.id[:2], number + at & 0xFFFF, attempt, 15, b"x") for at in range(28)
        ]
        radio.send(liar.seal(FrameKind.ROUTED, encode(junk), **to))
        mesh.run(60)
    assert drops(relay)["direct-odd"] == 2 * 27 + 1
    assert spent_ms(relay) - spent < 1_000, "of 7000"
    texts = [f"text {at}" for at in range(3)]
    for text in texts:
        first.ask("message", node=node_text(last.node.id), text=text)
        mesh.run(30)
    got = [row["text"] for row in last.ask("messages", limit=50)["messages"]]
    assert set(texts) <= set(got)


def test_distress_of_a_stranger_leaves_a_relay_time_for_the_true_one():
    mesh = Mesh(3, frequency_hz=868_300_000)
    near, relay, far = mesh.hosts
    mesh.cut |= {frozenset((near.name, far.name))}
    mesh.cut |= {frozenset(("intruder", host.name)) for host in (near, far)}
    for host in mesh.hosts:
        mesh.air.moved(host.lora.radio)
    mesh.run(5 * MINUTE)
    chance, stranger = Random(3), Intruder(mesh)
    keys = Identity(chance.randbytes(32), chance.randbytes(32))
    link = link_of(relay)
    liar = Sender(keys, link.sender.link, boot=1, salt=chance.randbytes(8))
    for _ in range(5):
        stranger.send(liar.beacon())
        mesh.run(8)
        echoes = b"".join(echo_of(frame) for frame in stranger.frames[-20:])
        stranger.send(liar.seal(FrameKind.LOCAL, encode([Local(Sub.ECHOES, echoes)])))
    assert link.sources.trusts(liar.node)
    for _ in range(32):
        flood = Object(chance.randbytes(190), 0)
        stranger.send(liar.seal(FrameKind.LOCAL, encode([flood])))
        mesh.run(30)
    got = []
    far.node.radios.on_object[200] = lambda event, now: got.append(event.body)
    near.input(lambda now: near.node.radios.publish(b"\xc8help", 0, now))
    near.input(lambda now: near.node.radios.publish(b"\xc8text", 4, now))
    mesh.run(2 * MINUTE)
    assert set(got) == {b"\xc8help", b"\xc8text"}


def test_messages_of_a_stranger_leave_a_relay_time_for_those_of_others():
    mesh = Mesh(3, frequency_hz=868_300_000)  # 21.6 s an hour to pass things on
    first, relay, last = mesh.hosts
    mesh.cut |= {frozenset((first.name, last.name))}
    for host in mesh.hosts:
        mesh.air.moved(host.lora.radio)
    mesh.run(25 * MINUTE)
    liar, radio = believed(mesh, relay)
    to = {"hop_limit": 7, "next_hop": relay.node.id, "destination": last.node.id[:2]}
    junk = Random(3)
    for number in range(60):
        item = Direct(liar.node[:2], number, 0, 15, junk.randbytes(150))
        radio.send(liar.seal(FrameKind.ROUTED, encode([item]), **to))
        mesh.run(15)
    parts = relay.node.radios.meshes["lora0"].parts
    assert parts.over(part_of(liar.node[:2])) and not parts.over(part_of(first.node.id[:2]))
    assert parts._all_us < 15_000_000
    first.ask("message", node=node_text(last.node.id), text="all the same")
    mesh.run(2 * MINUTE)
    assert "all the same" in [row["text"] for row in last.ask("messages", limit=9)["messages"]]
