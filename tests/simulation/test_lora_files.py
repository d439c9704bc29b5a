"""Files over LoRa between the daemon's own nodes, on a simulated air with the law on."""

import re

import pytest
from devices.seeded_bytes import bytes_of
from radios.camp import MINUTE, Camp

from meshd.core.airtime import Modulation
from meshd.simulation.world import SECOND

DATA = bytes_of(10_000)


def received(camp, number, name="map"):
    """Get a file as `meshd get` does; return its bytes."""
    host = camp.hosts[number]
    handle = host.store.files.lend()
    host.ask("get", space="camp", name=name, handle=handle)
    return bytes(host.store.files.lent[handle])


def status(camp, number):
    host = camp.hosts[number]
    return host.node.snapshot(host.now).radios[0]


@pytest.mark.parametrize("count", [2, 6])
def test_ten_kilobytes_reach_all_neighbours_within_two_minutes(count):
    camp = Camp(count)
    camp.run(120)
    before = status(camp, 0).airtime_hour_ms
    value = camp.put(0, DATA)
    assert "waits" not in value
    camp.run(120)
    for number in range(1, count):
        assert camp.file(number)["state"] == "here"
        assert received(camp, number) == DATA
    assert status(camp, 0).airtime_hour_ms - before < 22_000, "about 50 frames of at most 400 ms"


def test_a_file_crosses_two_hops():
    camp = Camp(3, line=True)
    camp.run(120)
    camp.put(0, DATA[:2000])
    camp.run(300)
    assert camp.file(2)["state"] == "here"
    assert received(camp, 2) == DATA[:2000]


def test_a_large_file_waits_for_wifi_says_so_and_comes_once_there_is_some():
    camp = Camp(2)
    camp.run(120)
    before = status(camp, 0).airtime_hour_ms
    data = bytes(2_500_000)
    text = "waits for WiFi: 2.5 MB would take 28 h on lora0; files up to 46 kB go by LoRa"
    assert camp.put(0, data)["waits"] == text
    camp.run(60)
    line = camp.file(1)
    assert (line["state"], line["why"]) == ("waits-for-wifi", text)
    assert status(camp, 0).airtime_hour_ms - before < 3_000
    one, other = camp.hosts
    ticket = other.request("get", space="camp", name="map", handle=other.store.files.lend())
    camp.world.link(one, other)
    assert camp.world.run_until(lambda: ticket in other.replies, 60 * SECOND)
    assert other.replies[ticket].value
    assert camp.file(1)["state"] == "here"


def test_one_per_cent_of_the_hour_at_sf9_is_for_very_small_files():
    camp = Camp(2, modulation=Modulation(9, 125_000), frequency_hz=868_100_000)
    camp.run(120)
    assert "files up to 2" in camp.put(0, DATA)["waits"]
    camp.put(0, DATA[:700], name="note")
    camp.run(600)
    assert camp.file(1, "note")["state"] == "here"
    assert status(camp, 0).airtime_hour_ms <= 0.6 * status(camp, 0).airtime_hour_max_ms


def test_a_file_reaches_who_lost_its_giver_since_nodes_told_whom_they_hear():
    camp = Camp(4, without=(3,))
    camp.run(10 * MINUTE)
    camp.apart((0, 2))
    camp.run(10 * MINUTE)
    camp.put(0, bytes_of(3_000))
    for _ in range(40):
        camp.run(MINUTE)
        if camp.file(2).get("state") == "here":
            return
    raise AssertionError(camp.file(2))


SLOW = Modulation(9, 125_000)


def came(camp, since):
    """Tell whether all but the first host had news of a file that came."""
    rows = zip(camp.hosts[1:], since, strict=True)
    return all(any(one.kind == "file-by-lora" for one in host.notices[at:]) for host, at in rows)


def begin(camp, size=20_000):
    """Put a file for LoRa and one for WiFi shortly after it."""
    since = [len(host.notices) for host in camp.hosts[1:]]
    assert "goes" in camp.put(0, bytes_of(size))
    camp.run(1)
    assert camp.put(0, bytes(2_000_000), name="film")["waits"].startswith("waits for WiFi")
    return since


def test_who_was_started_again_and_deaf_for_minutes_has_a_file_soon_after_he_hears():
    camp = Camp(3, modulation=SLOW, seed=2)
    camp.run(10 * MINUTE)
    since = begin(camp)
    for host in camp.hosts[1:]:
        host.crash()
    camp.run(2)
    for host in camp.hosts[1:]:
        host.start()
    camp.apart((0, 1), (0, 2))
    camp.run(4 * MINUTE)
    camp.together((0, 1), (0, 2))
    camp.run(5 * MINUTE)
    assert came(camp, since), "two and a half minutes of airtime; nobody had to ask by hand"
    (line,) = [camp.file(0)]
    assert len(line["complete_at"]) == 2 and "giving" not in line


def test_what_waits_for_the_hour_goes_when_it_was_said_to_and_both_sides_tell_when():
    camp = Camp(3, modulation=SLOW)
    camp.run(2 * MINUTE)
    begin(camp)
    camp.run(4 * MINUTE)
    waits = camp.put(0, bytes_of(15_000), name="next")["waits"]
    said = re.fullmatch(r"waits for airtime: .*; it goes in (\d+) min \d+ s at the earliest", waits)
    minutes = int(said[1])
    camp.run(6 * MINUTE)
    assert camp.file(0, "next")["giving"].startswith("waits for airtime on lora0: it is offered in")
    why = camp.file(1, "next")["why"]
    assert re.fullmatch(r"waits to be offered by LoRa: who has it has airtime in .*earliest", why)
    camp.run((minutes - 8) * MINUTE)
    assert camp.file(1, "next")["state"] == "awaited"
    camp.run(8 * MINUTE)
    assert camp.file(1, "next")["state"] == camp.file(2, "next")["state"] == "here"


def test_an_author_gives_his_own_files_all_that_the_law_leaves_to_files():
    camp = Camp(2, modulation=SLOW)
    camp.run(2 * MINUTE)
    camp.put(0, bytes_of(11_000))
    camp.put(0, bytes_of(11_001), name="second")
    camp.run(15 * MINUTE)
    assert camp.file(1)["state"] == camp.file(1, "second")["state"] == "here"
