"""Golden packets: ours, and what babeld 1.12.1 and BIRD 2.0.12 really sent.

MESHD_REGENERATE=1 writes the JSON of all and the bytes of ours again: read the diff.
"""

import json
import os
from pathlib import Path

import pytest
from speakers.air import link_address, node_address

from meshd.core.ids import Prefix, address_text, host_prefix, parse_prefix
from meshd.wire import babel
from meshd.wire.babel_parser import decode

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "babel"
CAPTURED = sorted(path for path in FOLDER.glob("*.bin") if not path.name.startswith("meshd"))
SOURCE = link_address(1)


def own(number: int, metric: int) -> babel.Update:
    address = node_address(number)
    return babel.Update(host_prefix(address), address[8:], 7, metric, 2400, SOURCE)


OURS = {
    "meshd-link-up": (babel.Hello(50494, 400), babel.RouteRequest(None)),
    "meshd-hello": (babel.Hello(50497, 400), babel.Ihu(link_address(2), 256, 1200)),
    "meshd-greeting": (
        babel.Hello(50494, 400),
        babel.Ihu(link_address(2), 256, 1200),
        babel.RouteRequest(None),
        own(1, 0),
    ),
    "meshd-dump": (own(1, 0), own(2, 256), own(3, 512), own(4, 256)),
    "meshd-foreign": (
        own(1, 0),
        babel.Update(parse_prefix("fd42::1"), bytes(7) + b"\x09", 3, 512, 2400, SOURCE),
        babel.Update(parse_prefix("fd43::/64"), bytes(7) + b"\x09", 3, 512, 2400, link_address(9)),
    ),
    "meshd-retractions": (
        babel.Retraction(host_prefix(node_address(2)), 7, 2400, origin=True),
        babel.Retraction(parse_prefix("fd42::1"), 0, 2400),
        babel.Retraction(None, 0, 2400),
    ),
    "meshd-requests": (
        babel.RouteRequest(parse_prefix("fd42::1")),
        babel.SeqnoRequest(host_prefix(node_address(2)), node_address(2)[8:], 8, 64),
        babel.AckRequest(0x1234, 10),
        babel.Ack(0x1234),
    ),
}


def plain(tlv: babel.Tlv) -> dict[str, object]:
    """Return a TLV as JSON."""
    fields: dict[str, object] = {"tlv": type(tlv).__name__}
    for name, value in tlv._asdict().items():
        if isinstance(value, Prefix):
            value = str(value)
        elif isinstance(value, bytes):
            value = address_text(value) if len(value) == 16 else value.hex()
        fields[name] = value
    return fields


def check(name: str, data: bytes, source: bytes) -> None:
    path = FOLDER / f"{name}.json"
    packet = decode(data, source)
    found = {
        "source": address_text(source),
        "tlvs": [plain(tlv) for tlv in packet.tlvs],
        "ignored": [reason.value for reason in packet.ignored],
    }
    if os.environ.get("MESHD_REGENERATE"):
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert json.loads(path.read_text()) == found, "run again with MESHD_REGENERATE=1, read the diff"


@pytest.mark.parametrize("name", OURS)
def test_our_packets_are_byte_for_byte_these(name):
    data = babel.encode(OURS[name], SOURCE)
    path = FOLDER / f"{name}.bin"
    if os.environ.get("MESHD_REGENERATE"):
        path.write_bytes(data)
    assert path.read_bytes() == data
    assert decode(data, SOURCE).tlvs == OURS[name]
    check(name, data, SOURCE)


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_packets_of_others_mean_this(path):
    check(path.stem, path.read_bytes(), bytes.fromhex("fe80000000000000") + bytes(7) + b"\x02")


def test_packets_of_babeld_and_bird_are_there():
    names = " ".join(path.name for path in CAPTURED)
    assert "babeld" in names and "bird" in names


def test_a_thin_path_is_told_in_a_sub_tlv_that_others_may_pass_over():
    update = own(1, 3_072)._replace(thin=2 << 8 | 12)
    data = babel.encode((update, own(2, 256)), SOURCE)
    assert bytes.fromhex("7102020c") in data and babel.SUB_THIN < 0x80
    assert decode(data, SOURCE).tlvs == (update, own(2, 256))
    odd = data.replace(bytes.fromhex("7102020c"), bytes.fromhex("7202020c"))
    assert decode(odd, SOURCE).tlvs == (update._replace(thin=0), own(2, 256))
