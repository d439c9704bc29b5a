"""Files to many over LoRa: what it costs, losses, late comers, islands, and who lies."""

import os
import re

import pytest
from ether import Ether, crowd, has
from file_devices import MIB, drops, household, sync

from meshd.core.drops import DropReason
from meshd.core.identity import Identity
from meshd.sync.files.air import files, sending, taking
from meshd.sync.files.air.blob import pack
from meshd.sync.files.air.erasure import mark_of
from meshd.wire import lora_pieces as wire
from meshd.wire.lora_payload import Sub

DATA = os.urandom(10_000)
SMALL = os.urandom(1_500)


def put(ether, data, device=0):
    """Put a file, and let the others hear of it as entries do."""
    giver = ether.devices[device]
    ticket = giver.put(data)
    sync(*ether.devices)
    return giver.reply(ticket)


def all_have(ether, data, but=()):
    return all(has(device, data) for device in ether.devices if device not in but)


def manifest_of(device):
    device.listed()
    (manifest,) = device.files._catalogue.all(device.spaces.all()[0].id)
    return manifest


@pytest.mark.parametrize("count", [1, 5, 12])
def test_ten_kilobytes_to_all_neighbours_take_less_than_twelve(count):
    ether = crowd(count)
    put(ether, DATA)
    ether.wait(600)
    assert all_have(ether, DATA)
    assert ether.bytes <= 12_000


@pytest.mark.parametrize("loss", [0.1, 0.4])
def test_losses_are_made_good_by_pieces_that_help_all(loss):
    ether = crowd(6, loss=loss)
    put(ether, DATA)
    ether.wait(3600)
    assert all_have(ether, DATA)
    pieces, _ = ether.by_sub[Sub.PIECE]
    assert pieces < 44 / (1 - loss) * 1.5


def test_a_file_that_came_is_got_as_any_other():
    ether = crowd(1)
    put(ether, DATA)
    ether.wait(600)
    ben = ether.devices[1]
    ticket, handle = ben.get()
    ether.settle()
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_a_get_that_waits_is_served_from_the_air():
    ether = crowd(1)
    ben = ether.devices[1]
    put(ether, DATA)
    ticket, handle = ben.get(wait_s=900)
    ether.wait(600)
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_a_get_asks_for_what_nobody_offers_any_more():
    anna, ben = household("anna", "ben")
    ether = Ether(anna, ben)
    radio = ether.radios[1]
    radio.up = False
    put(ether, SMALL)
    ether.wait(7200)
    radio.up = True
    ticket, handle = ben.get(wait_s=900)
    ether.wait(600)
    assert ben.reply(ticket).value and ben.content(handle) == SMALL


def test_an_offer_may_come_before_the_entry_that_names_the_file():
    ether = crowd(1)
    ether.devices[0].put(SMALL)
    ether.wait(60)
    assert Sub.PIECE not in ether.by_sub
    sync(*ether.devices)
    ben = ether.devices[1]
    ben.listed()
    ether.wait(600)
    assert has(ben, SMALL)


def test_a_file_goes_on_to_whom_its_author_does_not_reach_and_only_then():
    ether = crowd(2)
    anna, _, carl = ether.devices
    ether.part(anna, carl)
    put(ether, SMALL)
    ether.wait(1200)
    assert has(carl, SMALL)
    everybody = crowd(2)
    put(everybody, SMALL)
    everybody.wait(1200)
    assert everybody.by_sub[Sub.OFFER][0] == 1


def test_it_goes_on_where_it_was_after_a_pause():
    ether = crowd(1)
    ben = ether.devices[1]
    put(ether, DATA)
    while Sub.PIECE not in ether.by_sub or ether.by_sub[Sub.PIECE][0] < 30:
        ether.wait(5)
    ether.radios[1].up = False
    ether.wait(1800)
    ether.radios[1].up = True
    ben.get(wait_s=3600)
    ether.wait(1200)
    assert has(ben, DATA)
    assert ether.by_sub[Sub.PIECE][0] <= 44 + 25


def test_who_missed_the_offer_asks_for_it():
    ether = crowd(1)
    lost = []

    def change(radio, sub, body):
        if sub == Sub.OFFER and not lost:
            lost.append(body)
            return sub, b""
        return sub, body

    ether.change = change
    put(ether, SMALL)
    ether.wait(30)
    assert lost and not has(ether.devices[1], SMALL)
    ether.wait(1200)
    assert has(ether.devices[1], SMALL)


def test_nothing_is_sent_to_nobody():
    ether = crowd(1)
    ether.radios[1].up = False
    put(ether, DATA)
    ether.wait(3600)
    assert not ether.bytes


def test_who_has_a_session_with_the_author_takes_nothing_from_the_air():
    ether = crowd(1)
    ether.link(*ether.devices)
    put(ether, DATA)
    ether.wait(1200)
    assert Sub.PIECE not in ether.by_sub


def test_a_relay_takes_what_it_promised():
    anna, rita = household("anna", "rita", roles={"rita": "relay"})
    rita.files.set_quota(10 * MIB)
    ether = Ether(anna, rita)
    rita.files._catalogue.watch(rita.spaces.all()[0].id, 0)
    put(ether, SMALL)
    ether.wait(1200)
    assert rita.files.kept_bytes
    space = rita.spaces.all()[0].id
    (manifest,) = rita.files._catalogue.all(space)
    assert not rita.files.lacks(space, manifest.clear.root)


def test_a_relay_without_room_takes_nothing():
    anna, rita = household("anna", "rita", roles={"rita": "relay"})
    ether = Ether(anna, rita)
    rita.files._catalogue.watch(rita.spaces.all()[0].id, 0)
    put(ether, SMALL)
    ether.wait(1200)
    assert Sub.PIECE not in ether.by_sub


# --- what waits, and says so ----------------------------------------------------------------------


def test_a_large_file_waits_for_wifi_and_everybody_says_so():
    ether = crowd(1)
    anna, ben = ether.devices
    for radio in ether.radios:
        radio.left_us = radio.hour_us = 216_000_000
    reply = put(ether, os.urandom(2 * MIB))
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
    data = os.urandom(2 * MIB)
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
    assert put(ether, os.urandom(2 * MIB)).value["waits"].startswith("waits for WiFi")
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


# --- lies -----------------------------------------------------------------------------------------


def listen(ether, sub):
    """Return the bodies of items of a kind that were sent so far."""
    return [body for radio in ether.radios for one, body in radio.sent if one == sub]


def until(ether, sub, limit_s=300):
    for _ in range(limit_s):
        if sub in ether.by_sub:
            return
        ether.wait(1)
    raise AssertionError("it was never sent")


def test_forged_pieces_spoil_no_more_than_their_own_place():
    ether = crowd(3)
    eve = ether.devices[3]
    put(ether, DATA)
    until(ether, Sub.PIECE)
    tag = wire.Offer.decode(listen(ether, Sub.OFFER)[0]).tag
    for number in range(66):
        ether.inject(
            eve.identity.node, Sub.PIECE, wire.Piece(tag, number, 0, os.urandom(229)).encode()
        )
    before = ether.bytes
    ether.wait(1800)
    assert all_have(ether, DATA)
    assert ether.bytes - before <= 12_000 + 66 * 255
    assert drops(ether.devices[1], DropReason.PIECE_FORGED)


@pytest.mark.parametrize("true", [False, True])
def test_who_claims_to_send_the_rest_stops_no_giver_by_a_forged_or_recorded_piece(true):
    ether = crowd(2)
    anna, _, eve = ether.devices
    put(ether, DATA)
    until(ether, Sub.PIECE)
    for _ in range(240):
        heard = wire.Piece.decode(listen(ether, Sub.PIECE)[-1])
        claim = heard._replace(left=255, data=heard.data if true else b"x")
        ether.inject(eve.identity.node, Sub.PIECE, claim.encode())
        ether.wait(1)
    assert all_have(ether, DATA)
    assert bool(drops(anna, DropReason.PIECE_FORGED)) is not true


def test_forged_marks_are_nothing():
    ether = crowd(2)
    put(ether, DATA)
    until(ether, Sub.MARKS)
    tag = wire.Offer.decode(listen(ether, Sub.OFFER)[0]).tag
    for number in range(6):
        forged = wire.Marks(tag, number, os.urandom(176))
        ether.inject(ether.devices[2].identity.node, Sub.MARKS, forged.encode())
    ether.wait(600)
    assert all_have(ether, DATA)
    assert drops(ether.devices[1], DropReason.PIECE_FORGED) == 6
    assert ether.bytes <= 12_100


def test_an_offer_must_be_signed_by_its_sender():
    ether = crowd(2)
    put(ether, SMALL)
    until(ether, Sub.OFFER)
    offer = wire.Offer.decode(listen(ether, Sub.OFFER)[0])
    eve = ether.devices[2].identity.node
    ether.inject(eve, Sub.OFFER, offer.encode())
    ether.inject(eve, Sub.OFFER, offer._replace(signature=bytes(64)).encode())
    stranger = Identity(b"\x09" * 32, b"\x0a" * 32)
    ether.by_node[stranger.node] = ether.by_node[eve]
    assert drops(ether.devices[1], DropReason.PIECE_UNSIGNED) == 2


def test_who_signs_what_is_no_such_file_is_believed_no_more():
    ether = crowd(2)
    anna, ben, eve = ether.devices
    ether.radios[0].up = False
    put(ether, DATA)
    manifest = manifest_of(anna)
    ref = wire.ref_of(manifest.space, manifest.clear.root)
    ben.listed()
    false = pack(ref, os.urandom(32 + manifest.clear.size), 237)
    offer = false.offer._replace(signature=eve.identity.sign(false.offer.signed))
    ether.inject(eve.identity.node, Sub.OFFER, offer.encode())
    for number in range(len(false.runs)):
        ether.inject(eve.identity.node, Sub.MARKS, false.marks(number).encode())
    for number in range(false.offer.need):
        piece = wire.Piece(offer.tag, number, 0, false.pieces[number])
        ether.inject(eve.identity.node, Sub.PIECE, piece.encode())
    assert drops(ben, DropReason.PIECES_WRONG) == 1
    assert not has(ben, DATA)
    ether.inject(eve.identity.node, Sub.OFFER, offer.encode())
    assert drops(ben, DropReason.PIECE_UNSIGNED) == 1
    ether.radios[0].up = True
    ben.get(wait_s=900)
    ether.wait(800)
    assert has(ben, DATA)


def test_an_offer_of_another_size_is_no_offer_of_the_file():
    ether = crowd(2)
    anna, ben, eve = ether.devices
    ether.radios[0].up = False
    put(ether, SMALL)
    manifest = manifest_of(anna)
    ben.listed()
    ref = wire.ref_of(manifest.space, manifest.clear.root)
    false = pack(ref, os.urandom(900), 237)
    offer = false.offer._replace(signature=eve.identity.sign(false.offer.signed))
    ether.inject(eve.identity.node, Sub.OFFER, offer.encode())
    assert drops(ben, DropReason.PIECES_WRONG) == 1


def test_who_floods_wants_gets_a_bounded_number_of_pieces():
    ether = crowd(2)
    eve = ether.devices[2].identity.node
    put(ether, SMALL)
    until(ether, Sub.PIECE)
    offer = wire.Offer.decode(listen(ether, Sub.OFFER)[0])
    for _ in range(100):
        ether.inject(eve, Sub.PIECES_WANTED, wire.Wanted(offer.tag, 255, 0xFFFF).encode())
        ether.wait(20)
    most = sending.SENT_PARTS * offer.need + sending.SENT_MORE + offer.need
    assert ether.by_sub[Sub.PIECE][0] <= most
    assert drops(ether.devices[0], DropReason.PIECES_SPENT)
    assert has(ether.devices[1], SMALL)


def test_who_asks_loudest_keeps_nobody_quiet_for_good():
    """Wants of others that the sender never hears put an own want off a few times."""
    ether = crowd(2, loss=0.0)
    anna, ben, eve = ether.devices
    ether.part(anna, eve)
    put(ether, SMALL)
    until(ether, Sub.OFFER)
    tag = wire.Offer.decode(listen(ether, Sub.OFFER)[0]).tag
    for _ in range(300):
        ether.inject(eve.identity.node, Sub.PIECES_WANTED, wire.Wanted(tag, 255, 0xFFF).encode())
        ether.wait(3)
    assert has(ben, SMALL)


def test_pieces_of_unknown_offers_are_asked_about_a_few_times():
    ether = crowd(1)
    anna, ben = ether.devices
    for number in range(40):
        tag = number.to_bytes(4, "big")
        for _ in range(3):
            piece = wire.Piece(tag, 0, 0, b"x" * 200).encode()
            ether.inject(anna.identity.node, Sub.PIECE, piece)
    ether.wait(600)
    assert drops(ben, DropReason.PIECE_UNKNOWN)
    assert ether.by_sub[Sub.PIECES_WANTED][0] <= taking.LOST_MAX * taking.LOST_ASKS


def test_a_known_number_of_files_comes_at_a_time_and_members_come_first():
    ether = crowd(2)
    anna, ben, eve = ether.devices
    ether.radios[0].up = False
    for number in range(taking.TAKINGS_MAX + 1):
        anna.put(os.urandom(3000), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    anna.listed()
    space = anna.spaces.all()[0]
    for manifest in anna.files._catalogue.all(space.id) or ():
        false = pack(
            wire.ref_of(space.id, manifest.clear.root), os.urandom(32 + manifest.clear.size), 237
        )
        offer = false.offer._replace(signature=eve.identity.sign(false.offer.signed))
        ether.inject(eve.identity.node, Sub.OFFER, offer.encode())
    assert len(ben.files.lora._takings._takings) == taking.TAKINGS_MAX
    assert drops(ben, DropReason.PIECES_FULL) == 1


def test_a_sender_has_a_known_number_of_files_in_memory():
    ether = crowd(1)
    anna = ether.devices[0]
    ether.radios[1].hears = []
    for number in range(sending.SENDINGS_MAX + 3):
        anna.put(os.urandom(1000 + number), name=f"file {number}")
    sync(*ether.devices)
    assert len(anna.files.lora._senders._sendings) <= sending.SENDINGS_MAX


def test_memory_of_offers_and_nodes_is_bounded():
    ether = crowd(1)
    anna, ben = ether.devices
    for number in range(100):
        false = pack(number.to_bytes(8, "big"), os.urandom(500), 237)
        offer = false.offer._replace(signature=anna.identity.sign(false.offer.signed))
        ether.inject(anna.identity.node, Sub.OFFER, offer.encode())
    lora = ben.files.lora
    assert len(lora._ahead) == files.AHEAD_MAX
    assert len(lora._takings._passed) <= 8 * taking.LOST_MAX


@pytest.mark.parametrize("body", [b"", b"x", b"abcd", b"abcde", bytes(7), bytes(90), bytes(255)])
@pytest.mark.parametrize("sub", list(Sub))
def test_what_is_no_item_is_dropped(sub, body):
    ether = crowd(1)
    ether.inject(ether.devices[0].identity.node, sub, body)
    ether.wait(30)
    assert not ether.devices[1].files.lora._takings._takings


def test_malformed_items_are_counted():
    ether = crowd(1)
    anna, ben = ether.devices
    ether.inject(anna.identity.node, Sub.PIECE, b"abc")
    assert drops(ben, DropReason.PIECE_MALFORMED) == 1


def test_marks_are_of_numbers_too():
    assert mark_of(0, b"x") != mark_of(1, b"x")
