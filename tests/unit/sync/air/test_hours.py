"""Entries that the law's hour cannot carry in frames: they go in pieces, and people are told."""

import pytest
from devices.air_net import MINUTE, AirNet
from devices.sync_net import SECOND

from meshd.core.airtime import Modulation, airtime_us
from meshd.core.law import Budget
from meshd.wire.air_entry import ref_parts

SF11 = Modulation(11, 125_000)
HOUR_US = 18 * SECOND
"""What a hundredth of the time leaves to bulk."""


@pytest.fixture
def net(monkeypatch):
    net = AirNet()
    net.anna, net.ben = net.home(2)
    net.given = {}
    for house in (net.anna, net.ben):
        budget = Budget("l0", 204, airtime_us(SF11, 222), HOUR_US, HOUR_US)
        blobs = house.air._blobs
        monkeypatch.setattr(house.radios, "airtime_us", lambda size: airtime_us(SF11, size))
        monkeypatch.setattr(blobs, "budget", lambda link, now, budget=budget: budget)
        monkeypatch.setattr(blobs, "least_us", lambda *_: 3 * 60 * MINUTE, raising=False)
        give = net.given.setdefault(house.name, [])
        monkeypatch.setattr(blobs, "give", lambda plan, ref, *_, to=give: to.append(ref))
    net.run(5 * MINUTE)
    return net


def post(house, size):
    """Post a text; return what its author is told."""
    house.post("x" * size)
    home = house.home
    return house.air.post_waits(home, home.feeds[home.author].seq, size, house.net.now)


def test_what_no_hour_carries_in_frames_goes_in_pieces_and_its_author_is_told(net):
    begin = net.now
    told = post(net.anna, 1_200)
    assert told.startswith("goes by LoRa in pieces, 3 h at least on l0")
    net.run(MINUTE)
    home = net.anna.home
    name = home.keys.author_id(home.author)
    assert [ref_parts(ref) for ref in net.given["h0"]] == [(name, home.feeds[home.author].seq)]
    net.run(20 * MINUTE)
    assert not net.named("ENTRY_PART", since=begin) and net.named("DIGESTS", since=begin)


def test_who_lacks_it_is_offered_pieces_too(net):
    net.apart(net.anna, net.ben)
    post(net.anna, 1_200)
    net.run(MINUTE)
    net.given["h0"].clear()
    net.together(net.anna, net.ben)
    before = net.named("ENTRY_PART")
    net.run(20 * MINUTE, until=lambda: net.given["h0"])
    assert net.given["h0"] and net.named("ENTRY_PART") == before


@pytest.mark.parametrize("size", [300, 850])
def test_what_an_hour_carries_goes_in_frames_and_nothing_is_said(net, size):
    assert post(net.anna, size) == ""
    net.run(20 * MINUTE)
    assert net.same((net.anna, net.ben)) and not net.given["h0"]
    assert net.named("ENTRY_PART")


def test_where_only_strangers_hear_it_waits_for_wifi_and_says_so(net):
    net.apart(net.anna, net.ben)
    stranger = net.house("rita")
    net.run(MINUTE)
    assert stranger in net.in_earshot(net.anna)
    net.anna.air._links["l0"].near.talk._shared.clear()
    told = post(net.anna, 1_200)
    assert told.startswith("waits for WiFi: nobody who hears l0 shares the space, and others pass")
    assert "pass on less than 1.3 kB at its setting" in told
    assert "others pass on 2 kB" in post(net.anna, 3_000)
