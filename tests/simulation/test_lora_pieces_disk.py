"""Power cuts while a file or a long text comes by LoRa: what came is on the disk, and goes once."""

import pytest
from devices.seeded_bytes import bytes_of
from radios.camp import Camp

from meshd.core.airtime import Modulation
from meshd.forwarding.radios_for_files import RadiosForFiles
from meshd.simulation.world import SECOND
from meshd.sync.files.air import kept
from meshd.wire.lora_payload import Sub

SLOW = Modulation(9, 125_000)
NEED = 48
SPARE = kept.BATCH + 16
"""What came since the last write, and what went while it was off, and not heard yet."""


@pytest.fixture
def sent(monkeypatch):
    """The pieces that radios took."""
    taken, tell = [], RadiosForFiles.tell

    def counted(self, link, sub, body, now, *, bulk):
        told = tell(self, link, sub, body, now, bulk=bulk)
        if told and sub == Sub.PIECE:
            taken.append(body[4])
        return told

    monkeypatch.setattr(RadiosForFiles, "tell", counted)
    return taken


def cut(camp, number=1, disk="kept"):
    """Take the power for two seconds."""
    camp.hosts[number].crash()
    camp.run(2)
    camp.hosts[number].start(disk)


def kept_rows(camp, number=1):
    return [key for key in camp.hosts[number].store.metas if key.startswith(kept.PREFIX)]


def here(camp, number=1):
    return camp.file(number).get("state") == "here"


@pytest.mark.parametrize("disk", ["kept", "torn"])
@pytest.mark.parametrize("after_s", [8, 23, 38, 53, 68, 75])
def test_after_a_power_cut_the_rest_is_asked_for_alone(sent, disk, after_s):
    camp = Camp(2, modulation=SLOW)
    camp.run(120)
    camp.put(0, bytes_of(11_000))
    camp.run(after_s)
    cut(camp, disk=disk)
    camp.run(240)
    assert here(camp) and not kept_rows(camp)
    assert not [notice for notice in camp.hosts[1].notices if notice.kind == "space-damaged"]
    assert len(sent) <= NEED + SPARE


@pytest.mark.parametrize("disk", ["rolled-back", "empty"])
def test_a_card_that_forgot_costs_airtime_and_no_file(sent, disk):
    camp = Camp(2, modulation=SLOW)
    camp.run(600)
    camp.put(0, bytes_of(6_000))
    camp.run(30)
    if disk == "empty":
        camp.hosts[1].store.metas = {
            key: value
            for key, value in camp.hosts[1].store.metas.items()
            if not key.startswith(kept.PREFIX)
        }
        disk = "kept"
    cut(camp, disk=disk)
    for _ in range(20):
        camp.run(60)
        if here(camp):
            break
    assert here(camp) and not kept_rows(camp)
    assert len(sent) <= 2 * NEED


def test_who_is_cut_off_again_and_again_has_the_file_in_the_end(sent):
    camp = Camp(2, modulation=SLOW)
    camp.run(120)
    camp.put(0, bytes_of(11_000))
    cuts = 0
    while not here(camp) and cuts < 12:
        camp.run(60)
        cut(camp)
        cuts += 1
    assert here(camp)
    assert len(sent) <= NEED + SPARE * cuts


def test_a_giver_that_was_started_again_is_asked_for_the_rest(sent):
    camp = Camp(2, modulation=SLOW)
    camp.run(120)
    camp.put(0, bytes_of(11_000))
    camp.run(40)
    cut(camp, number=0)
    camp.run(300)
    assert here(camp)
    assert len(sent) <= NEED + SPARE


def test_a_long_text_goes_on_where_it_was(sent):
    camp = Camp(2, modulation=SLOW)
    camp.run(120)
    camp.post(0, camp.letters(6_000))
    camp.post(0, "what comes after it")
    assert camp.world.run_until(lambda: len(sent) > kept.BATCH + 2, 60 * SECOND)
    assert camp.world.run_until(lambda: kept_rows(camp), 10 * SECOND)
    (given,) = camp.hosts[0].node.files.lora._senders._sendings.values()
    cut(camp)
    camp.until_text(1, "what comes after it", 180)
    camp.run(60)
    assert not kept_rows(camp)
    assert len(sent) <= given.offer.need + SPARE


def test_a_disk_that_fails_is_told_and_the_file_comes(sent):
    camp = Camp(2, modulation=SLOW)
    camp.run(120)
    camp.hosts[1].disk.failing.append(1.0)
    camp.put(0, bytes_of(6_000))
    camp.run(40)
    assert camp.hosts[1].node._ctx.drops.as_dict()["pieces-unkept"]
    camp.hosts[1].disk.failing.clear()
    camp.run(300)
    assert here(camp) and len(sent) <= 40
