"""Files to many over LoRa: what it costs, losses, late comers, islands, relays."""

import pytest
from devices.ether import Ether, all_have, crowd, has, put
from devices.file_devices import MIB, household, sync
from devices.seeded_bytes import bytes_of

from meshd.sync.air.acks import FEW
from meshd.wire.lora_payload import Sub

DATA = bytes_of(10_000)
SMALL = bytes_of(1_500)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_ten_kilobytes_to_all_neighbours_take_less_than_twelve(count):
    ether = crowd(count)
    put(ether, DATA)
    ether.wait(600)
    assert all_have(ether, DATA)
    words, said = ether.by_sub.get(Sub.FILE_HELD, (0, 0))
    assert words == (count if count < FEW else 0) and ether.bytes - said <= 12_100


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
