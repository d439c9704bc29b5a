"""Who lies about files over LoRa, or floods, and what it costs those who hear it."""

import pytest
from devices.ether import all_have, crowd, has, manifest_of, meet, put
from devices.file_devices import drops, sync
from devices.seeded_bytes import bytes_of

from meshd.core.drops import DropReason
from meshd.core.identity import Identity
from meshd.sync.files.air import files as air_files
from meshd.sync.files.air import seeking, sending, taking
from meshd.sync.files.air.blob import pack
from meshd.sync.files.air.erasure import mark_of
from meshd.wire import lora_pieces as wire
from meshd.wire.lora_payload import Sub

DATA = bytes_of(10_000)
SMALL = bytes_of(1_500)


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
            eve.identity.node, Sub.PIECE, wire.Piece(tag, number, 0, bytes_of(229, number)).encode()
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


def play(ether, pieces, again):
    """Let the last device play a true piece again, and claim to send all that follow."""
    body = pieces[again % len(pieces)]
    claim = wire.Piece.decode(body)._replace(left=255)
    ether.inject(ether.devices[-1].identity.node, Sub.PIECE, claim.encode())


@pytest.mark.parametrize("known", ["last", "all"])
def test_pieces_of_the_first_giver_played_again_stop_no_second_giver(known):
    ether = crowd(3)
    anna, ben, cleo, eve = ether.devices
    ether.part(anna, cleo)
    eve.files.lora._owner.file_wanted = lambda manifest: False
    put(ether, DATA)
    ether.wait(1)
    while not has(ben, DATA):
        ether.wait(1)
    pieces = [body for sub, body in ether.radios[0].sent if sub == Sub.PIECE]
    pieces = pieces[-1:] if known == "last" else pieces
    wanted = 0
    for again in range(900):
        asked = sum(sub == Sub.PIECES_WANTED for sub, _ in ether.radios[2].sent)
        if known == "all" or asked > wanted:
            play(ether, pieces, again)
        wanted = asked
        ether.wait(1)
        if has(cleo, DATA):
            break
    assert has(cleo, DATA)


def test_a_repair_piece_that_somebody_computed_stops_not_the_first_giver():
    """Its run of marks was never told: the giver tells it when it is asked for."""
    ether = crowd(2)
    anna, ben, eve = ether.devices
    put(ether, DATA)
    until(ether, Sub.OFFER)
    (packed,) = [one.packed for one in anna.files.lora._senders._sendings.values()]
    last = packed.offer.pieces - 1
    repair = wire.Piece(packed.offer.tag, last, 255, packed.pieces[last])
    eve.files.lora._owner.file_wanted = lambda manifest: False
    for _ in range(900):
        ether.inject(eve.identity.node, Sub.PIECE, repair.encode())
        ether.wait(1)
        if has(ben, DATA):
            break
    assert has(ben, DATA)


@pytest.mark.parametrize("first", [True, False])
def test_a_false_offer_under_the_tag_of_a_true_one_keeps_nothing_away(monkeypatch, first):
    ether = crowd(3)
    anna, _, cleo, eve = ether.devices
    eve.files.lora._owner.file_wanted = lambda manifest: False
    put(ether, DATA)
    (giving,) = anna.files.lora._senders._sendings.values()
    if not first:
        until(ether, Sub.PIECE)
    tag = giving.tag
    monkeypatch.setattr(wire.Offer, "tag", property(lambda offer: tag))
    false = giving.offer._replace(
        digests=tuple(bytes_of(8, at) for at, _ in enumerate(giving.offer.digests))
    )
    signature = eve.identity.sign(false.signed)
    ether.inject(eve.identity.node, Sub.OFFER, false._replace(signature=signature).encode())
    assert len(cleo.files.lora._takings._named(tag)) == (1 if first else 2)
    ether.wait(900)
    assert has(cleo, DATA)
    assert not cleo.files.lora._takings._takings


def test_a_false_offer_under_the_tag_of_a_true_one_keeps_no_giver_from_offering(monkeypatch):
    ether = crowd(1)
    senders = ether.devices[0].files.lora._senders
    packed = pack(b"a blob 1", SMALL, 237)
    tag = packed.offer.tag
    senders.add(sending.Plan("lora0", 10**9, True, b"author"), packed, bytes(64))
    monkeypatch.setattr(wire.Offer, "tag", property(lambda offer: tag))
    senders.offered("lora0", packed.offer._replace(size=999), covers=True)
    assert senders._sendings["lora0", tag].offer_due_us is not None
    senders.offered("lora0", packed.offer, covers=True)
    assert senders._sendings["lora0", tag].offer_due_us is None


def test_takings_have_equal_parts_by_giver_and_one_stays_free():
    ether = crowd(3)
    anna, ben, mallory, nick = ether.devices
    ether.radios[0].up = False
    for number in range(2 * taking.TAKINGS_MAX):
        anna.put(bytes_of(3000, number), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    manifests = list(ben.files._catalogue.all(anna.spaces.all()[0].id) or ())
    takings = ben.files.lora._takings
    members = frozenset(device.identity.node for device in ether.devices)
    ben.files.lora._owner.file_members = lambda space: members

    def nodes():
        return sorted(
            [one.node for one in takings._takings.values()].count(device.identity.node)
            for device in (anna, mallory, nick)
        )

    def offer(giver, manifest):
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        packed = pack(ref, bytes_of(32 + manifest.clear.size, ref), 237)
        signed = packed.offer._replace(signature=giver.identity.sign(packed.offer.signed))
        ether.inject(giver.identity.node, Sub.OFFER, signed.encode())
        ether.inject(giver.identity.node, Sub.MARKS, packed.marks(0).encode())
        piece = wire.Piece(signed.tag, 0, 0, packed.pieces[0])
        ether.inject(giver.identity.node, Sub.PIECE, piece.encode())

    for manifest in manifests[:5]:
        offer(mallory, manifest)
    assert nodes() == [0, 0, taking.TAKINGS_MAX - 1]
    for manifest in manifests[5:8]:
        offer(nick, manifest)
    assert nodes() == [0, 2, 3]
    offer(anna, manifests[8])
    assert nodes() == [1, 2, 2]


@pytest.mark.parametrize("soon", [True, False])
def test_members_who_together_bring_too_little_keep_nobody_out(monkeypatch, soon):
    """Each signs one offer and tells a true piece of it each five minutes."""
    if not soon:
        monkeypatch.setattr(taking, "GIVERS_MAX", taking.TAKINGS_MAX)
    ether = crowd(taking.TAKINGS_MAX + 1)
    anna, ben, *bad = ether.devices
    ether.radios[0].up = False
    for number in range(taking.TAKINGS_MAX + 1):
        anna.put(bytes_of(9000, number), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    takings = ben.files.lora._takings
    members = frozenset(device.identity.node for device in ether.devices)
    ben.files.lora._owner.file_members = lambda space: members
    space = anna.spaces.all()[0]
    *most, last = list(ben.files._catalogue.all(space.id) or ())
    packed = []

    def offer(giver, manifest):
        ref = wire.ref_of(manifest.space, manifest.clear.root)
        one = pack(ref, bytes_of(32 + manifest.clear.size, ref), 237)
        signed = one.offer._replace(signature=giver.identity.sign(one.offer.signed))
        ether.inject(giver.identity.node, Sub.OFFER, signed.encode())
        for number in range(len(one.runs)):
            ether.inject(giver.identity.node, Sub.MARKS, one.marks(number).encode())
        packed.append((giver, one))

    for giver, manifest in zip(bad, most, strict=False):
        offer(giver, manifest)
    assert len(takings._takings) == taking.TAKINGS_MAX
    for number in range(0 if soon else 4):
        for giver, one in packed:
            piece = wire.Piece(one.offer.tag, number, 0, one.pieces[number])
            ether.inject(giver.identity.node, Sub.PIECE, piece.encode())
        ether.wait(300)
    offer(anna, last)
    assert anna.identity.node in {one.node for one in takings._takings.values()}
    assert len(takings._takings) == taking.TAKINGS_MAX + soon, "each has a place for one"


def test_forged_marks_are_nothing():
    ether = crowd(2)
    put(ether, DATA)
    until(ether, Sub.MARKS)
    tag = wire.Offer.decode(listen(ether, Sub.OFFER)[0]).tag
    for number in range(6):
        forged = wire.Marks(tag, number, bytes_of(176, number))
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
    false = pack(ref, bytes_of(32 + manifest.clear.size, ref), 237)
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
    false = pack(ref, bytes_of(900), 237)
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


def test_a_blob_that_made_room_in_memory_has_no_new_hour():
    ether = crowd(1)
    senders = ether.devices[0].files.lora._senders
    packed = pack(b"a blob 1", SMALL, 237)
    plan = sending.Plan("lora0", ether.now, False, b"author")
    tag = packed.offer.tag
    senders.add(plan, packed, bytes(64))
    senders._sendings["lora0", tag].sent = 3 * packed.offer.need + sending.SENT_MORE
    senders.stop("lora0", tag)
    senders.add(plan, packed, bytes(64))
    senders.wanted("lora0", wire.Wanted(tag, 5, 0), ether.now)
    assert not senders._sendings["lora0", tag].todo
    for number in range(2 * sending.SENT_MAX):
        other = packed.offer._replace(ref=number.to_bytes(8, "big"))
        senders.add(plan, packed._replace(offer=other), bytes(64))
        senders._sendings["lora0", other.tag].sent = 1
        senders.stop("lora0", other.tag)
    assert len(senders._sent) == sending.SENT_MAX


def test_who_offers_and_gives_nothing_makes_room_for_another():
    ether = crowd(2)
    anna, ben, eve = ether.devices
    ether.radios[0].up = False
    for number in range(taking.TAKINGS_MAX + 1):
        anna.put(bytes_of(3000, number), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    space = anna.spaces.all()[0]
    *most, last = list(ben.files._catalogue.all(space.id) or ())
    for giver, manifests in ((eve, most), (anna, [last])):
        for manifest in manifests:
            ref = wire.ref_of(space.id, manifest.clear.root)
            packed = pack(ref, bytes_of(32 + manifest.clear.size, ref), 237)
            signature = giver.identity.sign(packed.offer.signed)
            offer = packed.offer._replace(signature=signature)
            ether.inject(giver.identity.node, Sub.OFFER, offer.encode())
    takings = ben.files.lora._takings._takings.values()
    assert [one.node for one in takings].count(anna.identity.node) == 1
    assert len(takings) == taking.TAKINGS_MAX


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
        anna.put(bytes_of(3000, number), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    anna.listed()
    space = anna.spaces.all()[0]
    for manifest in anna.files._catalogue.all(space.id) or ():
        false = pack(
            wire.ref_of(space.id, manifest.clear.root), bytes_of(32 + manifest.clear.size), 237
        )
        offer = false.offer._replace(signature=eve.identity.sign(false.offer.signed))
        ether.inject(eve.identity.node, Sub.OFFER, offer.encode())
    assert len(ben.files.lora._takings._takings) == taking.TAKINGS_MAX - 1
    assert drops(ben, DropReason.PIECES_FULL) == 2


def test_files_that_nobody_has_are_asked_for_a_few_times():
    ether = crowd(2)
    anna, ben, _ = ether.devices
    ether.radios[0].up = False
    for number in range(seeking.MISSED_MAX + 8):
        anna.put(bytes_of(300, number), name=f"file {number}")
    sync(*ether.devices)
    ben.listed()
    for _ in range(48):
        ether.wait(1800)
    asked = ether.by_sub[Sub.PIECES_WANTED][0]
    assert 0 < asked <= 2 * seeking.MISSED_MAX * len(seeking.MISSED_US)


def test_a_sender_has_a_known_number_of_files_in_memory():
    ether = crowd(1)
    anna = ether.devices[0]
    ether.radios[1].hears = []
    for number in range(sending.SENDINGS_MAX + 3):
        anna.put(bytes_of(1000 + number, number), name=f"file {number}")
    sync(*ether.devices)
    assert len(anna.files.lora._senders._sendings) <= sending.SENDINGS_MAX


def test_memory_of_offers_and_nodes_is_bounded():
    ether = crowd(1)
    anna, ben = ether.devices
    for number in range(100):
        false = pack(number.to_bytes(8, "big"), bytes_of(500, number), 237)
        offer = false.offer._replace(signature=anna.identity.sign(false.offer.signed))
        ether.inject(anna.identity.node, Sub.OFFER, offer.encode())
    lora = ben.files.lora
    assert len(lora._ahead) == air_files.AHEAD_MAX
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


def test_an_offer_played_again_by_a_stranger_has_nobody_say_each_time_that_the_file_is_here():
    ether = crowd(2)
    anna, ben, _ = ether.devices
    put(ether, SMALL)
    ether.wait(300)
    assert has(ben, SMALL)
    offer, said = listen(ether, Sub.OFFER)[-1], len(listen(ether, Sub.FILE_HELD))
    for _ in range(360):
        ether.inject(anna.identity.node, Sub.OFFER, offer)
        ether.wait(10)
    assert len(listen(ether, Sub.FILE_HELD)) - said <= 2 * 6


def test_another_that_asks_for_a_file_again_and_again_keeps_nobody_from_asking():
    ether = crowd(2)
    anna, ben, eve = ether.devices
    eve.files.lora._owner.file_wanted = lambda manifest: False
    ether.part(anna, eve)
    meet(ether)
    ether.part(anna, ben)
    put(ether, SMALL)
    ether.wait(900)
    ether.deaf = {pair for pair in ether.deaf if eve in (radio.device for radio in pair)}
    assert not has(ben, SMALL)
    sought = wire.Sought(wire.ref_of(manifest_of(anna).space, manifest_of(anna).clear.root))
    for _ in range(36):
        ether.inject(eve.identity.node, Sub.PIECES_WANTED, sought.encode())
        ether.wait(100)
    assert has(ben, SMALL)


@pytest.mark.parametrize("seed", [1, 2])
def test_false_words_of_no_airtime_are_believed_until_pieces_prove_them_wrong(seed):
    ether = crowd(2, loss=0.2, seed=seed)
    anna, ben, eve = ether.devices
    eve.files.lora._owner.file_wanted = lambda manifest: False
    meet(ether)
    put(ether, DATA)
    later = wire.Later(wire.ref_of(manifest_of(anna).space, manifest_of(anna).clear.root), 65_535)
    for _ in range(180):
        ether.inject(eve.identity.node, Sub.PIECES_LATER, later.encode())
        ether.wait(5)
    assert has(ben, DATA)
