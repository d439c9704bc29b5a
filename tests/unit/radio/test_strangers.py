"""What is told of a device that is not the expected modem."""

import pytest

from meshd.radio.strangers import advice, looks_like


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"\x94\xc3\x00\x05", "meshtastic"),
        (b"invalid_param\r\n", "rn2483"),
        (b"\r\nAT_COMMAND_NOT_FOUND\r\n", "rak3172"),
        (b"+ERR=2\r\n", "reyax"),
        (b"\xff\xff\xff", "ebyte"),
        (b"\xc0\x08\x46\xc0", "rnode or meshcore"),
        (b"noise", None),
        (b"", None),
    ],
)
def test_kinds(said, name):
    assert looks_like(said) == name


def test_advice_names_what_to_set():
    assert 'set kind = "rn2483"' in advice(b"invalid_param\r\n", "reyax", 115_200)
    assert "GPS receiver" in advice(b"$GPGGA,1,2", "reyax", 115_200)
    assert "choose another port" in advice(b"raspberry login: ", "reyax", 115_200)
    assert "115200 baud" in advice(b"\x01\x02", "reyax", 115_200)
