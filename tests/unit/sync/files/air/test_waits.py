"""Files that wait, for WiFi, for airtime or for their giver, and what people are told of it."""

import re

from devices.ether import crowd, has, put
from devices.file_devices import MIB, household, sync
from devices.seeded_bytes import bytes_of

from meshd.wire.lora_payload import Sub

DATA = bytes_of(10_000)


def test_a_large_file_waits_for_wifi_and_everybody_says_so():
    ether = crowd(1)
    anna, ben = ether.devices
    for radio in ether.radios:
        radio.left_us = radio.hour_us = 216_000_000
    reply = put(ether, bytes_of(2 * MIB))
    text = "waits for WiFi: 2.1 MB would take 4 days on lora0; files up to 19 kB go by LoRa"
    assert reply.value["waits"] == text
    assert [one.fields["why"] for one in anna.notices if one.kind == "file-waits"] == [text]
    (line,) = ben.listed()
    assert (line["state"], line["why"]) == ("waits-for-wifi", text)
    (line,) = anna.listed()
    assert line["state"] == "here"
    ticket, _ = ben.get(wait_s=60)
    ether.wait(90)
    assert text in ben.reply(ticket).error
    assert ben.progress[0].what == text
    assert not ether.bytes


def test_nothing_is_said_to_wait_for_wifi_where_a_session_takes_it():
    ether = crowd(1)
    anna, ben = ether.devices
    for radio in ether.radios:
        radio.left_us = radio.hour_us = 216_000_000
    ether.link(anna, ben)
    data = bytes_of(2 * MIB)
    assert "waits" not in put(ether, data).value
    assert not [one for one in anna.notices if one.kind == "file-waits"]
    (line,) = ben.listed()
    assert line["state"] == "elsewhere" and "why" not in line
    ticket, handle = ben.get()
    ether.settle()
    assert ben.reply(ticket).value and ben.content(handle) == data


def test_a_neighbour_without_a_session_still_waits_for_wifi():
    ether = crowd(2)
    for radio in ether.radios:
        radio.left_us = radio.hour_us = 216_000_000
    ether.link(*ether.devices[:2])
    assert put(ether, bytes_of(2 * MIB)).value["waits"].startswith("waits for WiFi")
    (line,) = ether.devices[2].listed()
    assert line["state"] == "waits-for-wifi"


def test_pieces_under_way_are_told():
    ether = crowd(1)
    put(ether, DATA)
    while Sub.PIECE not in ether.by_sub or ether.by_sub[Sub.PIECE][0] < 10:
        ether.wait(5)
    (line,) = ether.devices[1].listed()
    assert line["state"] == "coming"
    assert 5 <= line["pieces"][0] <= 12 and line["pieces"][1] == 44


def begun(count=1, pieces=10):
    """A file on its way to the others, so many pieces of it sent."""
    ether = crowd(count)
    put(ether, DATA)
    while Sub.PIECE not in ether.by_sub or ether.by_sub[Sub.PIECE][0] < pieces:
        ether.wait(5)
    return ether


def test_a_get_says_how_far_a_file_is_that_comes_by_lora_and_waits_for_it():
    ether = begun()
    ben = ether.devices[1]
    ticket, handle = ben.get()
    ether.wait(20)
    told = [one.what for one in ben.progress]
    assert re.fullmatch(
        r"waits for pieces by LoRa: \d+ of 44 are here, about \d+ (s|min.*) more", told[0]
    )
    assert len(set(told)) > 1
    ether.wait(600)
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_a_get_waits_through_a_pause_of_its_giver_and_tells_of_it():
    ether = begun()
    ether.radios[0].left_us = 0
    ben = ether.devices[1]
    ticket, handle = ben.get()
    ether.wait(180)
    assert ben.reply(ticket) is None
    assert "none came for 2 min" in ben.progress[-1].what and "airtime" in ben.progress[-1].what
    ether.radios[0].left_us = 10**12
    ether.wait(1200)
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_a_get_that_may_not_wait_longer_says_that_the_file_comes_by_itself():
    ether = begun()
    ether.radios[0].left_us = 0
    ben = ether.devices[1]
    ticket, _ = ben.get(wait_s=5)
    ether.wait(30)
    reply = ben.reply(ticket)
    assert reply.code == 5 and reply.error.startswith("not here yet: it waits for pieces by LoRa")
    assert "comes by itself" in reply.remedy


def test_a_file_that_nobody_offers_is_not_said_to_go_by_lora():
    ether = crowd(1)
    ether.radios[0].left_us, ether.radios[0].hour_us = 0, 216_000_000
    put(ether, DATA)
    ben = ether.devices[1]
    (line,) = ben.listed()
    assert line["state"] == "awaited"
    assert line["why"].startswith("waits to be offered by LoRa")
    ticket, _ = ben.get()
    ether.wait(90)
    assert "it waits to be offered by LoRa" in ben.reply(ticket).error


def test_a_file_waits_for_airtime_and_goes_when_there_is_some():
    ether = crowd(1)
    ben = ether.devices[1]
    for radio in ether.radios:
        radio.hour_us, radio.left_us = 216_000_000, 10_000_000
    reply = put(ether, DATA)
    assert reply.value["waits"].startswith("waits for airtime")
    ether.wait(60)
    assert not ether.bytes
    for radio in ether.radios:
        radio.left_us = 216_000_000
    _, handle = ben.get(wait_s=900)
    ether.wait(800)
    assert ben.content(handle) == DATA


def test_pieces_wait_when_the_law_leaves_nothing():
    ether = crowd(1)
    put(ether, DATA)
    while Sub.PIECE not in ether.by_sub:
        ether.wait(5)
    ether.radios[0].left_us = 0
    ether.wait(5)
    sent = ether.by_sub[Sub.PIECE][0]
    ether.wait(300)
    assert ether.by_sub[Sub.PIECE][0] <= sent + 1
    ether.radios[0].left_us = 10**12
    ether.wait(900)
    assert has(ether.devices[1], DATA)


def test_without_radios_nothing_is_said_of_them():
    anna, ben = household("anna", "ben")
    ticket = anna.put(DATA)
    sync(anna, ben)
    assert "waits" not in anna.reply(ticket).value
    assert ben.listed()[0]["state"] == "elsewhere" and "why" not in ben.listed()[0]
    assert anna.listed()[0]["state"] == "here"
