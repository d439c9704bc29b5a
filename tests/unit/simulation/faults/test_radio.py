"""LoRa radios that are jammed, unplugged, deaf, mute, refusing, silent, garbled, or abused."""

from dataclasses import replace

import pytest
from worlds.lora_pair import AIR, hears, two

from meshd.core.drops import DropReason
from meshd.simulation.plan.plan import AIR_BEHAVIOURS, MODEM_MODES, Fault
from meshd.simulation.world import SECOND


def dropped(host):
    return {reason for reason, links in host.node.snapshot(host.now).drops.items() if links}


@pytest.mark.parametrize("fault", ["jam", *MODEM_MODES])
def test_two_find_each_other_after_whatever_befell_one_radio(fault):
    kind, mode = ("jam", "") if fault == "jam" else ("modem", fault)
    trouble = Fault(kind, 0, 60, nodes="n1", mode=mode, share=1.0)
    world, frames = two(trouble)
    world.run(59 * SECOND)
    assert hears(world).get("n1", []) == (
        [] if fault not in ("mute", "refusing", "silent") else ["n2"]
    )
    if fault in ("mute", "refusing", "silent", "gone"):
        assert frames.sent.get("n1", 0) == 0 and hears(world)["n2"] == []
    world.run(600 * SECOND)
    assert hears(world) == {"n1": ["n2"], "n2": ["n1"]}
    named = {"refusing": DropReason.MODEM_REFUSED, "silent": DropReason.MODEM_SILENT}
    if fault in named:
        assert named[fault].value in dropped(world.hosts[0])


def test_host_that_boots_while_its_modem_is_gone_has_it_later():
    world, _ = two(
        Fault("modem", 10, 60, nodes="n1", mode="gone"), Fault("crash", 20, 10, nodes="n1")
    )
    world.run(40 * SECOND)
    assert hears(world)["n2"] in ([], ["n1"])
    world.run(300 * SECOND)
    assert hears(world) == {"n1": ["n2"], "n2": ["n1"]}


@pytest.mark.parametrize("behaviour", AIR_BEHAVIOURS)
def test_malice_on_the_air_ends_and_counts_for_no_node(behaviour):
    world, frames = two(Fault("hostile", 30, 30, nodes="n1", behaviour=behaviour, count=10))
    world.run(60 * SECOND + 1)
    assert frames.sent == frames.given, "a lent radio is nobody's"
    seen = {
        "air-junk": {"frame-malformed", "frame-forged", "frame-foreign"},
        "air-replay": {"frame-own", "frame-replayed"},
        "air-flood": {"frame-unused", "frame-malformed", "listing-stranger", "local-stranger"},
    }
    assert dropped(world.hosts[1]) & seen[behaviour]
    world.run(300 * SECOND)
    assert "n2" in hears(world)["n1"] and "n1" in hears(world)["n2"]
    assert len(list(world.airs["air"].ways())) == 2


def test_malice_sends_no_more_than_its_module_takes():
    """Seed 14035: a module that adds much takes shorter frames, and refuses others."""
    air = replace(AIR, modem="meshtastic-signed")
    world, _ = two(Fault("hostile", 5, 30, nodes="n1", behaviour="air-junk", count=20), air=air)
    sizes = []
    world.airs["air"]._air.told = lambda radio, purpose, size, us: sizes.append(size)
    world.run(36 * SECOND)
    assert max(sizes) == 255
