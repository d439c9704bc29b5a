"""Entries that are too long for LoRa as entries come in pieces, and what follows comes too."""

import re

import pytest
from radios.camp import MINUTE, Camp

from meshd.core.airtime import LONG_FAST, Modulation
from meshd.core.ids import node_text
from meshd.simulation.world import SECOND


def airtime_ms(camp):
    hosts = (host for host in camp.hosts if host.lora is not None)
    return [host.node.snapshot(host.now).radios[0].airtime_hour_ms for host in hosts]


@pytest.mark.parametrize(("size", "limit_s"), [(3_000, 40), (20_000, 90), (32_000, 120)])
def test_a_short_post_after_a_long_one_arrives_within_its_time(size, limit_s):
    camp = Camp(2)
    camp.run(10 * MINUTE)
    before = sum(airtime_ms(camp))
    text = camp.letters(size)
    camp.post(0, text)
    camp.run(1)
    camp.post(0, "help, short")
    camp.until_text(1, "help, short", limit_s)
    assert camp.same()
    assert sum(airtime_ms(camp)) - before < 2_500 + 2.4 * size, "ms: a tenth more than its bytes"


def test_a_long_post_crosses_two_hops_with_a_relay_that_is_a_member():
    camp = Camp(3, line=True)
    camp.run(10 * MINUTE)
    camp.post(0, camp.letters(3_000))
    camp.post(0, "help, short")
    camp.until_text(2, "help, short", 3 * MINUTE)
    camp.until_same(MINUTE)


def test_a_long_post_from_an_island_of_wifi_reaches_the_other():
    camp = Camp(2, more=2)
    one, other, near, far = camp.hosts
    camp.world.link(one, near)
    camp.world.link(other, far)
    camp.run(10 * MINUTE)
    camp.post(2, camp.letters(6_000))
    camp.post(2, "help, short")
    camp.until_text(3, "help, short", 3 * MINUTE)
    camp.until_same(MINUTE)


def test_at_long_fast_three_kilobytes_take_a_minute():
    camp = Camp(2, modulation=LONG_FAST)
    camp.run(10 * MINUTE)
    camp.post(0, camp.letters(3_000))
    camp.post(0, "help, short")
    camp.until_text(1, "help, short", 2 * MINUTE)


def test_who_was_off_gets_the_long_entry_when_it_is_back():
    camp = Camp(2)
    camp.run(5 * MINUTE)
    camp.hosts[1].crash()
    camp.post(0, camp.letters(5_000))
    camp.post(0, "help, short")
    camp.run(20 * MINUTE)
    camp.hosts[1].start()
    camp.until_text(1, "help, short", 10 * MINUTE)


def test_power_lost_in_the_middle_loses_nothing_and_it_comes_again():
    camp = Camp(2)
    camp.run(5 * MINUTE)
    camp.post(1, "from the other side")
    camp.run(MINUTE)
    camp.post(0, camp.letters(20_000))
    camp.run(25)
    taking = camp.hosts[1].node.files.lora._takings._takings
    assert [len(one.pieces) > 10 for one in taking.values()] == [True]
    camp.hosts[1].crash()
    camp.hosts[0].crash()
    camp.run(MINUTE)
    for host in camp.hosts:
        host.start()
    camp.run(MINUTE)
    camp.post(0, "help, short")
    camp.until_text(1, "help, short", 15 * MINUTE)
    assert "from the other side" in camp.texts(0)
    camp.until_same(MINUTE)


def said(camp, number):
    """Return what `status` and `log` say of what is on its way, which is the same."""
    host = camp.hosts[number]
    (space,) = host.node.snapshot(host.now).spaces
    log = host.ask("log", space="camp").get("waits")
    assert log == (list(space.waits) if space.waits else None)
    return " / ".join(space.waits or ())


def post(camp, number, text):
    return camp.hosts[number].ask("post", space="camp", text=text)


def test_author_and_receiver_are_told_how_long_it_takes_and_what_waits_for_it():
    camp = Camp(2)
    camp.run(10 * MINUTE)
    assert "waits" not in post(camp, 1, "short")
    assert "waits" not in post(camp, 1, camp.letters(1_800))
    camp.until_same(20 * MINUTE)
    told = post(camp, 0, camp.letters(20_000))["waits"]
    assert (
        told == "goes by LoRa in pieces, 47 s at least on lora0; what you write next comes after it"
    )
    post(camp, 0, "help, short")
    post(camp, 0, "another")
    camp.run(20)
    assert "of this node (20 kB) goes by LoRa on lora0: " in said(camp, 0)
    assert " more at least" in said(camp, 0)
    assert "(20 kB) waits for pieces by LoRa: " in said(camp, 1)
    assert said(camp, 1).endswith("; 2 entries wait for it")
    camp.until_text(1, "another", 2 * MINUTE)
    assert (said(camp, 0), said(camp, 1)) == ("", "")


def seconds(before, words):
    """Return the time that is told after these words."""
    minutes, rest = re.search(before + r"(?:(\d+) min )?(\d+) s more", words).groups()
    return 60 * int(minutes or 0) + int(rest)


def test_where_two_share_the_air_author_and_receiver_tell_the_same_time():
    camp = Camp(2, modulation=Modulation(9, 125_000), seed=2)
    camp.run(10 * MINUTE)
    for number in (0, 1):
        assert "in pieces, 47 s at least" in post(camp, number, camp.letters(6_000))["waits"]
    camp.run(30)
    told = [seconds(r"of this node [^/]*?", said(camp, number)) for number in (0, 1)]
    heard = [seconds("are here, about ", said(camp, number)) for number in (1, 0)]
    for one, other in zip(told, heard, strict=True):
        assert 0.6 < one / other < 1.6


def test_a_long_text_after_a_file_of_the_same_author_goes_at_once():
    camp = Camp(2, modulation=Modulation(9, 125_000))
    camp.run(10 * MINUTE)
    camp.put(0, bytes(3_000))
    camp.run(2 * MINUTE)
    text = camp.letters(3_000)
    post(camp, 0, text)
    camp.until_text(1, text, MINUTE)


def test_a_put_says_how_long_it_takes_with_the_text_before_it():
    camp = Camp(2, modulation=Modulation(9, 125_000))
    camp.run(10 * MINUTE)
    assert camp.put(0, bytes(3_000))["goes"] == "goes by LoRa on lora0, 25 s at least"
    camp.run(10 * MINUTE)
    assert "25 s at least" in post(camp, 0, camp.letters(3_000))["waits"]
    camp.run(2)
    goes = camp.put(0, bytes(3_001))["goes"]
    assert goes.startswith("goes by LoRa on lora0, 4") and goes.endswith(" s at least")


def test_what_no_hour_holds_is_told_in_hours():
    camp = Camp(2, modulation=LONG_FAST)
    camp.run(10 * MINUTE)
    assert "in pieces, 1 h at least on lora0" in post(camp, 0, camp.letters(20_000))["waits"]


def test_between_strangers_it_waits_for_wifi_and_both_sides_say_so():
    camp = Camp(3, line=True, without=(1,))
    camp.run(10 * MINUTE)
    told = post(camp, 0, camp.letters(3_000))["waits"]
    assert told.startswith("waits for WiFi: nobody who hears lora0 shares the space")
    post(camp, 0, "help, short")
    camp.run(5 * MINUTE)
    assert "1 entry of " in said(camp, 2)
    assert said(camp, 2).endswith(", which is missing")
    camp.world.link(camp.hosts[0], camp.hosts[2])
    camp.until_text(2, "help, short", MINUTE)
    assert said(camp, 2) == ""


def test_nothing_is_said_of_lora_where_wifi_has_all():
    camp = Camp(2)
    camp.world.link(*camp.hosts)
    camp.run(2 * MINUTE)
    assert "waits" not in post(camp, 0, camp.letters(20_000))
    camp.until_same(10)


def test_a_long_message_to_one_goes_in_pieces_and_says_so():
    camp = Camp(2)
    camp.run(10 * MINUTE)
    one, other = camp.hosts
    told = one.ask("message", node=node_text(other.node.id), text=camp.letters(2_500))
    assert told["waits"].startswith("goes as an entry of camp, in pieces")
    camp.run(2 * MINUTE)
    (sent,) = one.ask("messages")["messages"]
    assert sent["state"] == "delivered"


def ahead(camp, number):
    shown = camp.hosts[number].ask("log", space="camp").get("ahead", [])
    return [(entry["by"], entry["text"], entry["ahead"]) for entry in shown]


def waits(camp, number):
    return camp.hosts[number].node.snapshot(camp.world.now).spaces[0].waits or ()


def test_a_call_for_help_is_shown_at_once_though_its_authors_long_text_comes_before_it():
    camp = Camp(2, modulation=LONG_FAST)
    camp.run(10 * MINUTE)
    camp.post(0, camp.letters(3_000))
    camp.run(10)
    told = camp.hosts[0].ask("post", space="camp", text="two hurt at the mill", distress=True)
    assert "a call for help is shown ahead of it" in told["waits"]
    assert camp.world.run_until(lambda: camp.world.notices("distress"), 20 * SECOND)
    (shown,) = ahead(camp, 1)
    assert shown[1:] == ("two hurt at the mill", True)
    assert camp.texts(1) == [], "what its feed has before it is not here"
    assert any("calls for help" in said for said in waits(camp, 1))
    camp.hosts[1].crash()
    camp.run(1)
    camp.hosts[1].start()
    camp.run(5)
    assert ahead(camp, 1) == [shown], "a restart loses it not"
    camp.until_same(20 * MINUTE)
    camp.run(1)  # until it is on the disk
    assert ahead(camp, 1) == []
    assert len(camp.texts(1)) == 2
    assert not any("calls for help" in said for said in waits(camp, 1))
    camp.hosts[1].crash()
    camp.hosts[1].start()
    assert ahead(camp, 1) == [], "its row is gone"
