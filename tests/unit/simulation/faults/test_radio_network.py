"""Faults of the network between LoRa radios: what they lose, spoil, double and delay."""

import pytest
from worlds.lora_pair import hears, two

from meshd.simulation.plan.plan import Fault
from meshd.simulation.world import SECOND

BOTH = {"n1": ["n2"], "n2": ["n1"]}
NOBODY = {"n1": [], "n2": []}
UNOPENED = {"frame-malformed", "frame-foreign", "frame-forged", "frame-stranger", "beacon-forged"}


def drops(host):
    return {
        reason: sum(links.values())
        for reason, links in host.node.snapshot(host.now).drops.items()
        if links
    }


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        (Fault("lose", 0, 60, share=1.0), NOBODY),
        (Fault("partition", 0, 60, mode="isolate", nodes="n1"), NOBODY),
        (Fault("partition", 0, 60, mode="uniform"), NOBODY),
        (Fault("partition", 0, 60, mode="one-way", nodes="n1"), {"n1": ["n2"], "n2": []}),
        (Fault("corrupt", 0, 60, share=1.0), NOBODY),
        (Fault("clog", 0, 60, nodes="n1", other="n2", delay_s=70.0), NOBODY),
        (Fault("duplicate", 0, 60, share=1.0), BOTH),
        (Fault("reorder", 0, 60, share=0.5, delay_s=2.0), BOTH),
        (Fault("lose", 0, 60, share=0.3), BOTH),
    ],
    ids=lambda value: value.kind + value.mode if isinstance(value, Fault) else "",
)
def test_fault_keeps_radios_apart_as_long_as_it_lasts(fault, heard):
    world, frames = two(fault)
    world.run(59 * SECOND)
    assert frames.total > 4, "senders notice nothing"
    assert hears(world) == heard
    world.run(600 * SECOND)
    assert hears(world) == BOTH


def test_nothing_of_a_corrupt_frame_is_believed():
    world, frames = two(Fault("corrupt", 30, 90, share=1.0))
    world.run(30 * SECOND)
    assert hears(world) == BOTH
    for host in world.hosts:
        host.node.radios.links["lora0"].trickle.start(host.now)
    before, sent = [drops(host) for host in world.hosts], frames.total
    arrived = []
    for host in world.hosts:
        link = host.node.radios.links["lora0"]
        link._arrived = Spy(arrived)
    world.run(90 * SECOND)
    assert frames.total - sent > 4
    named = {}
    for host, was in zip(world.hosts, before, strict=True):
        for reason, count in drops(host).items():
            named[reason] = named.get(reason, 0) + count - was.get(reason, 0)
    assert sum(named.get(reason, 0) for reason in UNOPENED) == frames.total - sent
    assert {reason for reason, count in named.items() if count} <= UNOPENED
    assert {type(one).__name__ for one in arrived} <= {"Stranger"}


class Spy(list):
    """A queue of what opened, that keeps a copy of all."""

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def append(self, one):
        self.kept.append(one)
        super().append(one)

    def popleft(self):
        return self.pop(0)


def test_doubled_frame_is_taken_once():
    world, frames = two(Fault("duplicate", 0, 60, share=1.0))
    world.run(60 * SECOND)
    seen = [drops(host).get("frame-replayed", 0) for host in world.hosts]
    assert sum(seen) >= frames.total * 2 // 3
    for host in world.hosts:
        assert host.node.radios.links["lora0"].heard_frames > frames.total // 2


def test_late_frame_does_not_reach_who_has_lost_its_power_or_its_modem():
    world, _ = two(
        Fault("clog", 0, 40, nodes="n1", other="n2", delay_s=20.0),
        Fault("crash", 41, 30, nodes="n2"),
        Fault("modem", 41, 30, nodes="n1", mode="gone", share=1.0),
    )
    world.run(40 * SECOND)
    heard = [0, 0]
    for place, host in enumerate(world.hosts):
        host.lora.radio.received = lambda *_, place=place: heard.__setitem__(
            place, heard[place] + 1
        )
    world.run(1 * SECOND)
    some = list(heard)
    world.run(28 * SECOND)
    assert heard == some


def test_lent_radio_is_split_off_with_the_host_whose_roof_it_stands_on():
    world, _ = two(Fault("partition", 30, 60, mode="isolate", nodes="n1"))
    world.run(31 * SECOND)
    medium, (one, other) = world.airs["air"], world.hosts
    lent = medium.lend(one, "lent")
    heard = []
    lent.received = lambda frame, *_: heard.append(frame)
    before = other.node.radios.links["lora0"].heard_frames
    lent.transmit(b"x" * 40, "hostile")
    world.run(2 * SECOND)
    assert other.node.radios.links["lora0"].heard_frames == before
    assert drops(one).get("frame-malformed", 0) + drops(one).get("frame-foreign", 0) == 1
    medium.take_back(lent)


def test_same_seed_same_fate():
    def fate(seed):
        world, frames = two(
            *(Fault(kind, 0, 90, share=0.4, delay_s=3.0) for kind in ("lose", "reorder")),
            *(Fault(kind, 5, 60, share=0.4, delay_s=3.0) for kind in ("duplicate", "corrupt")),
            seed=seed,
        )
        world.run(120 * SECOND)
        return world.processed, frames.total, [drops(host) for host in world.hosts]

    assert fate(3) == fate(3) != fate(4)
