"""The channel: records and bulks through any fragmentation, and nothing that is not genuine."""

from random import Random

import pytest

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.session.channel import Bulk, Channel
from meshd.session.noise import Cipher
from meshd.wire.session_records import BULK_BYTES_MAX, RECORD_DATA_MAX, Confirm, Data


def channels():
    """Return two channels with fresh counters that speak to each other."""
    one, two = b"\1" * 32, b"\2" * 32
    return Channel(Cipher(one), Cipher(two)), Channel(Cipher(two), Cipher(one))


def traffic(sender):
    """Return one stream with every kind and size, and the items it must become."""
    data = [b"", b"x", bytes(RECORD_DATA_MAX)]
    bulks = [(b"", b"1"), (b"head", bytes(BULK_BYTES_MAX))]
    stream = sender.seal_confirm()
    items = [Confirm()]
    for body in data:
        stream += sender.seal_data(body)
        items.append(Data(body))
    for head, raw in bulks:
        stream += sender.seal_bulk(head, len(raw)) + raw
        items.append(Bulk(head, raw))
    return stream + sender.seal_data(b"end"), [*items, Data(b"end")]


@pytest.mark.parametrize("piece_max", [1, 2, 3, 100, 5000, 70_000, 300_000])
def test_any_fragmentation_gives_the_same_items(piece_max):
    sender, receiver = channels()
    stream, expected = traffic(sender)
    rng = Random(piece_max)
    items = []
    while stream:
        length = rng.randint(1, piece_max)
        items += receiver.feed(stream[:length])
        stream = stream[length:]
    assert items == expected and receiver.failure is None


@pytest.mark.parametrize("length", [0, 1, 16])
def test_record_without_content_is_malformed(length):
    _, receiver = channels()
    assert receiver.feed(length.to_bytes(2, "big") + bytes(length)) == []
    assert receiver.failure is DropReason.RECORD_MALFORMED


def test_unknown_kind_is_malformed():
    sender, receiver = channels()
    assert receiver.feed(sender._seal(b"\x63what")) == []
    assert receiver.failure is DropReason.RECORD_MALFORMED


def test_flipped_bit_ends_the_channel_and_keeps_what_was_genuine():
    sender, receiver = channels()
    good, bad = sender.seal_data(b"good"), bytearray(sender.seal_data(b"bad"))
    bad[-1] ^= 1
    assert receiver.feed(good + bytes(bad)) == [Data(b"good")]
    assert receiver.failure is DropReason.RECORD_FORGED
    assert receiver.feed(sender.seal_data(b"later")) == []


def test_replayed_and_reordered_records_are_forged():
    sender, receiver = channels()
    first, second = sender.seal_data(b"1"), sender.seal_data(b"2")
    assert receiver.feed(second + first) == []
    assert receiver.failure is DropReason.RECORD_FORGED
    _, other = channels()
    assert other.feed(first + first) == [Data(b"1")]
    assert other.failure is DropReason.RECORD_FORGED


def test_own_record_sent_back_is_forged():
    sender, _ = channels()
    assert sender.feed(sender.seal_data(b"1")) == []
    assert sender.failure is DropReason.RECORD_FORGED


def test_altered_bulk_bytes_pass_as_the_reader_verifies_them():
    sender, receiver = channels()
    assert receiver.feed(sender.seal_bulk(b"h", 3) + b"abX") == [Bulk(b"h", b"abX")]


def test_out_of_bounds_is_our_callers_mistake():
    sender, _ = channels()
    for head, length in ((b"", 0), (b"", BULK_BYTES_MAX + 1), (bytes(RECORD_DATA_MAX), 5)):
        with pytest.raises(UsageError):
            sender.seal_bulk(head, length)
    with pytest.raises(UsageError):
        sender.seal_data(bytes(RECORD_DATA_MAX + 1))
