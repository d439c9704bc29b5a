"""Items of files from the air: any bytes, any order, from anybody."""

from devices.ether import crowd, has
from devices.file_devices import sync
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.sync.files.air import sending, taking
from meshd.sync.files.air.blob import pack
from meshd.sync.files.air.rule import cut_of
from meshd.wire import lora_pieces as wire
from meshd.wire.air_messages import decode_held
from meshd.wire.lora_payload import Sub

PIECES = [Sub.PIECE, Sub.PIECES_WANTED, Sub.OFFER, Sub.MARKS, Sub.PIECES_LATER]
SUBS = st.sampled_from([*PIECES, Sub.FILE_HELD])
TAGS = st.binary(min_size=4, max_size=4)
DATA = bytes(range(256)) * 8


def decode(sub, data):
    if sub == Sub.PIECES_WANTED:
        return wire.decode_wanted(data)
    if sub == Sub.FILE_HELD:
        return decode_held(data)
    if sub == Sub.PIECES_LATER:
        return wire.Later.decode(data)
    return {Sub.PIECE: wire.Piece, Sub.OFFER: wire.Offer, Sub.MARKS: wire.Marks}[sub].decode(data)


@settings(max_examples=400)
@given(SUBS, st.binary(max_size=255))
def test_any_bytes_are_an_item_or_an_error(sub, data):
    try:
        item = decode(sub, data)
    except WireError:
        return
    assert item.encode() == data


@given(
    st.binary(min_size=1, max_size=9000),
    st.integers(100, 255),
    st.binary(min_size=8, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_offers_marks_and_pieces_read_back_and_fit(blob, room, ref):
    packed = pack(ref, blob, room)
    if packed is None:
        assert cut_of(len(blob), room) is None
        return
    offer = packed.offer
    assert wire.Offer.decode(offer.encode()) == offer
    assert wire.Offer.decode(offer.encode()).tag == offer.tag
    runs = [packed.marks(number) for number in range(len(packed.runs))]
    assert all(wire.Marks.decode(run.encode()) == run for run in runs)
    piece = wire.Piece(offer.tag, offer.pieces - 1, 3, packed.pieces[-1])
    assert wire.Piece.decode(piece.encode()) == piece
    longest = [offer.encode(), *(run.encode() for run in runs), piece.encode()]
    assert all(len(item) <= room for item in longest)


@given(TAGS, st.integers(0, 255), st.integers(0, 0xFFFF))
def test_wants_read_back(tag, more, runs):
    data = wire.Wanted(tag, more, runs).encode()
    try:
        assert wire.decode_wanted(data) == wire.Wanted(tag, more, runs)
    except WireError:
        assert not more and not runs


def heard(ether):
    """Return the items that were sent so far, as anybody could repeat them."""
    return [item for radio in ether.radios for item in radio.sent]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_noise_between_true_items_changes_nothing_in_the_end(data):
    """Random, altered and repeated items of a hostile neighbour; the file comes all the same."""
    ether = crowd(2, seed=data.draw(st.integers(0, 1000)))
    anna, ben, eve = ether.devices
    anna.put(DATA)
    sync(*ether.devices)
    for _ in range(data.draw(st.integers(1, 40))):
        ether.wait(data.draw(st.integers(0, 10)))
        sub, body = data.draw(SUBS), data.draw(st.binary(max_size=237))
        known = heard(ether)
        if known and data.draw(st.booleans()):
            sub, body = data.draw(st.sampled_from(known))
            if data.draw(st.booleans()) and body:
                place = data.draw(st.integers(0, len(body) - 1))
                body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        ether.inject(eve.identity.node, sub, body)
        for device in ether.devices:
            lora = device.files.lora
            assert len(lora._takings._takings) <= taking.GIVERS_MAX
            assert len(lora._takings._lost) <= taking.LOST_MAX
            assert len(lora._senders._sendings) <= sending.SENDINGS_MAX
    ether.wait(1200)
    if not has(ben, DATA):
        ben.get(wait_s=1800)
        ether.wait(1800)
    assert has(ben, DATA)
