"""Files that wait, for WiFi, for airtime or for their giver, and what people are told of it."""

import re

from devices.ether import crowd, has, manifest_of, meet, put
from devices.file_devices import MIB, household, sync
from devices.seeded_bytes import bytes_of

from meshd.core.ids import node_text
from meshd.wire import lora_pieces as wire
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
    assert "has spent its airtime and goes on in" in ben.progress[-1].what
    ether.radios[0].left_us = 10**12
    ether.wait(1200)
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_who_gives_it_is_said_to_be_gone_where_it_is_not_heard():
    ether = begun()
    ether.radios[0].up = False
    ether.wait(180)
    (line,) = ether.devices[1].listed()
    assert "none came for" in line["why"] and line["why"].endswith("who gives it is not heard now")


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


def test_what_waits_for_airtime_is_offered_unasked_when_there_is_some_and_both_say_when():
    ether = crowd(1)
    anna, ben = ether.devices
    anna_s = ether.radios[0]
    anna_s.hour_us, anna_s.left_us = 216_000_000, 10_000_000
    waits = put(ether, DATA).value["waits"]
    assert waits.endswith("10 s are left of this hour; it goes in 30 min at the earliest")
    ben.listed()
    ether.wait(600)
    (line,) = anna.listed()
    assert line["state"] == "here"
    assert line["giving"].startswith("waits for airtime on lora0: it is offered in 2")
    (line,) = ben.listed()
    assert line["state"] == "awaited"
    assert "who has it has airtime in 2" in line["why"], "it asked, and was told"
    assert ether.by_sub[Sub.PIECES_LATER][0] == 1 and Sub.OFFER not in ether.by_sub
    anna_s.left_us = 216_000_000
    asked = ether.by_sub[Sub.PIECES_WANTED][0]
    while Sub.OFFER not in ether.by_sub:
        ether.wait(10)
    assert ether.by_sub[Sub.PIECES_WANTED][0] <= asked + 3
    ether.wait(300)
    assert has(ben, DATA)


def test_what_was_put_where_nobody_heard_is_offered_when_somebody_does():
    ether = crowd(1)
    anna, ben = ether.devices
    ether.radios[1].up = False
    put(ether, DATA)
    (line,) = anna.listed()
    assert line["giving"] == "waits to be offered by LoRa: nobody is in earshot"
    ether.wait(1200)
    assert not ether.bytes
    ether.radios[1].up = True
    meet(ether)
    ether.wait(300)
    assert has(ben, DATA)


def test_its_author_sees_who_has_a_file_whole():
    ether = crowd(2)
    anna, ben, cleo = ether.devices
    put(ether, DATA)
    assert anna.listed()[0]["giving"].startswith("offered by LoRa on lora0")
    while Sub.PIECE not in ether.by_sub or ether.by_sub[Sub.PIECE][0] < 10:
        ether.wait(5)
    (line,) = anna.listed()
    assert re.match(r"goes by LoRa on lora0: .* more( at least)?$", line["giving"])
    assert "complete_at" not in line
    ether.wait(300)
    (line,) = anna.listed()
    nodes = sorted([ben.identity.node, cleo.identity.node])
    assert line["complete_at"] == [node_text(node) for node in nodes] and "giving" not in line
    assert "complete_at" not in ben.listed()[0]


def test_a_word_of_having_a_file_is_repeated_when_its_author_offers_it_again():
    ether = crowd(1)
    anna, ben = ether.devices
    ether.change = lambda radio, sub, body: (sub, b"" if sub == Sub.FILE_HELD else body)
    put(ether, DATA)
    ether.wait(300)
    assert has(ben, DATA) and "complete_at" not in anna.listed()[0]
    ether.change = None
    ref = wire.ref_of(manifest_of(anna).space, manifest_of(anna).clear.root)
    ether.inject(ben.identity.node, Sub.PIECES_WANTED, wire.Sought(ref).encode())
    ether.wait(60)
    assert anna.listed()[0]["complete_at"] == [node_text(ben.identity.node)]


def test_nobody_says_for_another_that_a_file_is_there():
    ether = crowd(2)
    anna, ben, cleo = ether.devices
    put(ether, DATA)
    ether.wait(300)
    word = next(body for sub, body in ether.radios[1].sent if sub == Sub.FILE_HELD)
    manifest_of(anna).whole_at.clear()
    for body in (word, b"\x03" + bytes(8), bytes(12)):
        ether.inject(cleo.identity.node, Sub.FILE_HELD, body)
    assert not manifest_of(anna).whole_at
    ether.inject(ben.identity.node, Sub.FILE_HELD, word)
    assert manifest_of(anna).whole_at == {ben.identity.node}


def test_a_false_word_of_no_airtime_stops_nothing():
    ether = crowd(2)
    anna, ben, cleo = ether.devices
    put(ether, DATA)
    ref = wire.ref_of(manifest_of(anna).space, manifest_of(anna).clear.root)
    for _ in range(60):
        later = wire.Later(ref, 65_535).encode()
        ether.inject(cleo.identity.node, Sub.PIECES_LATER, later)
        ether.wait(10)
    assert has(ben, DATA)


def test_a_member_that_gives_is_asked_on_and_on_though_seldom():
    ether = begun()
    ether.radios[0].left_us = 0
    ether.wait(3600)
    asked = ether.by_sub[Sub.PIECES_WANTED][0]
    ether.wait(4 * 3600)
    assert 2 <= ether.by_sub[Sub.PIECES_WANTED][0] - asked <= 8


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
