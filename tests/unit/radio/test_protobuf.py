"""Our reader and writer of protocol buffers against the library that the vendor's client uses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshtastic.protobuf import mesh_pb2

from meshd.radio.protobuf import FIELDS_MAX, MalformedError, Message, delimited, fixed32, varint
from meshd.simulation.modems import messages

UINT32 = st.integers(0, 0xFFFFFFFF)


@given(UINT32, UINT32, st.binary(max_size=231))
@settings(max_examples=100, deadline=None)
def test_written_as_the_library_reads(packet_id, port, payload):
    data = varint(1, port & 0x1FF) + delimited(2, payload)
    packet = fixed32(2, 0xFFFFFFFF) + delimited(4, data) + fixed32(6, packet_id)
    read = mesh_pb2.ToRadio.FromString(delimited(1, packet)).packet
    assert (read.to, read.id) == (0xFFFFFFFF, packet_id)
    assert (read.decoded.portnum, read.decoded.payload) == (port & 0x1FF, payload)


@given(UINT32, st.integers(-200, 30), st.floats(-30, 30, width=32), st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_read_as_the_library_writes(sender, rssi_dbm, snr_db, payload):
    packet = mesh_pb2.MeshPacket(id=7, rx_rssi=rssi_dbm, rx_snr=snr_db)
    setattr(packet, "from", sender)
    packet.decoded.portnum = 256
    packet.decoded.payload = payload
    read = Message.decode(packet.SerializeToString())
    assert (read[1].number, read[6].number) == (sender, 7)
    assert read[12].signed() == rssi_dbm
    assert read[8].real() == snr_db
    assert read.message(4)[1].number == 256
    assert read.message(4)[2].data == payload


@given(st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_message_or_malformed(data):
    try:
        read = Message.decode(data)
    except MalformedError:
        read = None
    other = messages.fields(data)
    if read is not None and other is not None:
        for tag, value in other.items():
            assert value in (read[tag].number, read[tag].data)


@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\x0a\x05abc", b"\x0d\x00\x00", b"\x0b", b"\x80" * 11, b"\x08" + b"\xff" * 10],
)
def test_malformed(data):
    with pytest.raises(MalformedError):
        Message.decode(data)


def test_fields_are_bounded():
    with pytest.raises(MalformedError):
        Message.decode(varint(1, 0) * (FIELDS_MAX + 1))


def test_absent_is_zero():
    read = Message.decode(b"")
    assert (read[3].number, read[3].data, 3 in read) == (0, b"", False)
