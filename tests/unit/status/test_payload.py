import json
from dataclasses import replace

from daemons.fake_host import NODE, OTHER, PROBLEM, snapshot

from meshd.core.snapshot import LinkStatus, NeighbourStatus, RadioStatus, SpaceStatus
from meshd.status.payload import (
    NEIGHBOURS_MAX,
    PAYLOAD_BYTES_MAX,
    changed,
    encode,
    info,
    neighbours,
    state,
    topic,
)


def test_topic_holds_mesh_and_whole_node_id():
    assert topic(snapshot(), "state") == f"meshd/v1/pq4ohv4c/{NODE}/state"


def test_state_golden():
    assert encode(state(snapshot(problems=(PROBLEM,)))).decode() == (
        f'{{"v":1,"id":"{NODE}","boot":7,"seq":12,"up":3725,"ver":"0.1.0",'
        '"net":{"neigh":2,"nodes":2,"routes":2,"best_q":1.0,"worst_q":0.5},'
        '"sync":{"spaces":1,"behind":0,"pct":100},"drops":3,"problems":["disk-full"]}'
    )


def test_info_golden():
    assert encode(info(snapshot(name="roof"))).decode() == (
        f'{{"v":1,"id":"{NODE}","boot":7,"seq":12,"ver":"0.1.0","mode":"router","name":"roof",'
        '"addr":"fd7c:38e3:d782::1",'
        '"ifaces":[{"if":"mesh0","kind":"mesh"},{"if":"wlan1","kind":"shared"}]}'
    )
    assert "name" not in info(snapshot())


def test_neighbours_golden():
    assert encode(neighbours(snapshot())).decode() == (
        f'{{"v":1,"id":"{NODE}","boot":7,"seq":12,"total":2,"neighbours":['
        f'{{"id":"{OTHER}","if":"mesh0","q":1.0,"age":60,"cost":96,"rxcost":96,"txcost":96}},'
        '{"addr":"fe80::3","if":"mesh0","q":0.5,"age":4,"rxcost":300}]}'
    )


RADIO = RadioStatus(
    name="lora0",
    port="/dev/ttyUSB0",
    state="up",
    kind="rnode",
    model="RNode (ESP32)",
    firmware="1.86",
    advice=None,
    region="EU868",
    frequency_mhz=869.525,
    spreading_factor=9,
    bandwidth_khz=125.0,
    tx_dbm=14,
    noise_dbm=-117.0,
    protection="open",
    band="P",
    airtime_15_s_ms=150,
    airtime_hour_ms=36_000,
    airtime_hour_max_ms=360_000,
    left_ms=324_000,
    sent=5,
    heard=7,
    waiting=1,
)


def test_radio_golden():
    shown = snapshot(radios=(RADIO,))
    assert json.dumps(state(shown)["radio"]) == (
        '{"lora0": {"state": "up", "tx_15s_pct": 1.0, "tx_1h_pct": 1.0, "duty_max_pct": 10.0, '
        '"duty_left_s": 324, "noise_dbm": -117.0, "sent": 5, "heard": 7, "wait": 1}}'
    )
    assert json.dumps(info(shown)["radios"]) == (
        '[{"if": "lora0", "kind": "rnode", "model": "RNode (ESP32)", "region": "EU868", '
        '"freq_mhz": 869.525, "sf": 9, "bw_khz": 125.0, "tx_dbm": 14, "protection": "open"}]'
    )
    assert "port" not in info(shown)["radios"][0], "the path of a port is nobody's business"


def test_radio_that_is_not_there_says_why_and_no_numbers():
    silent = RadioStatus("lora0", "/dev/ttyUSB0", "no region", "auto")
    shown = snapshot(radios=(silent,))
    assert state(shown)["radio"]["lora0"] == {
        "state": "no region",
        "sent": 0,
        "heard": 0,
        "wait": 0,
    }
    assert info(shown)["radios"] == [{"if": "lora0", "kind": "auto"}]
    assert "radio" not in state(snapshot()) and "radios" not in info(snapshot())


def test_signal_of_a_lora_neighbour_is_told():
    row = NeighbourStatus(
        "lora0", "fd7c::9", OTHER, 3072, 0xFFFF, 3072, 0.9, 8.0, False, 7.5, -98.0
    )
    (shown,) = neighbours(snapshot(neighbours=(row,)))["neighbours"]
    assert (shown["if"], shown["rssi_dbm"], shown["snr_db"]) == ("lora0", -98.0, 7.5)
    deaf = replace(row, snr_db=None, rssi_dbm=None)
    (shown,) = neighbours(snapshot(neighbours=(deaf,)))["neighbours"]
    assert "snr_db" not in shown and "rssi_dbm" not in shown


def test_wavering_signal_and_each_frame_are_no_change():
    before = state(snapshot(radios=(RADIO,)))
    wavers = replace(RADIO, noise_dbm=-115.0, sent=6, heard=99, airtime_15_s_ms=0)
    assert not changed(before, state(snapshot(radios=(wavers,))))
    for other in ({"noise_dbm": -110.0}, {"left_ms": 300_000}, {"state": "port gone"}):
        assert changed(before, state(snapshot(radios=(replace(RADIO, **other),)))), other


def test_unknown_is_absent():
    alone = state(snapshot(neighbours=()))
    assert "best_q" not in alone["net"]


def test_sync_is_complete_only_when_nothing_is_missing():
    spaces = (SpaceStatus("s", None, "writer", 1, 9_999, 1, 0),)
    assert state(snapshot(spaces=spaces))["sync"] == {"spaces": 1, "behind": 1, "pct": 99}


def test_payloads_are_bounded_whatever_the_node_holds():
    rows = tuple(
        NeighbourStatus("m" * 15, f"fe80::{n:x}", f"{n:016d}", n, n, n, 0.123456, 1e6, True)
        for n in range(1000)
    )
    links = tuple(LinkStatus(f"{n:x}" * 4, "mesh", "up") for n in range(999))
    problems = (PROBLEM,) * 99
    radios = (replace(RADIO, model="m" * 64),) * 20
    full = snapshot(neighbours=rows, links=links, problems=problems, name="n" * 32, radios=radios)
    for build in (info, state, neighbours):
        assert len(encode(build(full))) <= PAYLOAD_BYTES_MAX
    shown = json.loads(encode(neighbours(full)))
    assert shown["total"] == 1000 and 20 < len(shown["neighbours"]) <= NEIGHBOURS_MAX
    assert shown["neighbours"][0]["cost"] == 0, "the best are kept"


def test_change_is_five_percent_or_another_word():
    old = state(snapshot())
    later = state(snapshot(seq=99, uptime_s=9e9, drops={"x": {"-": 10**6}}))
    assert not changed(old, later)
    assert not changed({"a": 100}, {"a": 105}) and changed({"a": 100}, {"a": 106})
    assert changed(old, state(snapshot(problems=(PROBLEM,))))
    assert changed(old, state(snapshot(routes=())))
    assert changed({"a": 1}, {}) and changed([1], [1, 2]) and changed({"a": "x"}, {"a": "y"})
    assert not changed(neighbours(snapshot()), neighbours(snapshot(seq=50)))
