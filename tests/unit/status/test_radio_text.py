"""What `meshd radio list` and `meshd status` say of radios."""

from meshd.status.radio_text import advice_text, duty_text, radios_text, spent_text
from meshd.status.text import status_text

UP = {
    "name": "lora0",
    "port": "/dev/ttyUSB0",
    "state": "up",
    "kind": "rnode",
    "region": "EU868",
    "model": "RNode (ESP32)",
    "frequency_mhz": 869.525,
    "spreading_factor": 9,
    "bandwidth_khz": 125.0,
    "tx_dbm": 14,
    "sent": 5,
    "heard": 7,
    "waiting": 1,
    "band": "P",
    "airtime_15_s_ms": 150,
    "airtime_hour_ms": 36_000,
    "left_ms": 324_000,
    "airtime_hour_max_ms": 360_000,
    "left_text_ms": 270_000,
    "left_file_ms": 144_000,
    "hour_control_ms": 2_000,
    "hour_relayed_ms": 30_000,
    "hour_own_ms": 4_000,
    "hour_unknown_ms": 0,
}
GONE = {
    "name": "lora1",
    "port": "/dev/ttyUSB1",
    "state": "port gone",
    "kind": "rnode",
    "advice": "there is no such port: plug the radio in",
    "sent": 0,
    "heard": 0,
    "waiting": 0,
}
VALUE = {"radios": [UP, GONE]}


def test_list_shows_each_radio_and_beneath_what_is_wrong():
    lines = radios_text(VALUE).splitlines()
    assert len(lines) == 3 and "869.525 MHz SF9/125" in lines[1] and "port gone" in lines[2]
    assert advice_text(VALUE) == "lora1: there is no such port: plug the radio in"
    assert advice_text({"radios": [UP]}) == ""


def test_list_shows_how_loud_the_channel_is_while_nobody_sends():
    head, row = radios_text({"radios": [{**UP, "noise_dbm": -117.0}]}).splitlines()
    at = head.index("noise")
    assert row[at:].startswith("-117 dBm")
    assert "-117 dBm" not in radios_text({"radios": [UP]})
    assert "-117 dBm" in status_text({"radios": [{**UP, "noise_dbm": -117.0}]})


def test_list_shows_which_radios_are_closed():
    closed = {**UP, "protection": "encrypted and authenticated: only who has its key_file"}
    opened = {**UP, "protection": "checksum only: the key of the open mesh is public"}
    head, first, second, gone = radios_text({"radios": [closed, opened, GONE]}).splitlines()
    at = head.index("protection")
    assert first[at:] == "encrypted and authenticated"
    assert second[at:] == "checksum only" and gone[at:] == "-"
    assert "encrypted and authenticated" in status_text({"radios": [closed]})


def test_duty_shows_what_is_left_for_whom_and_what_the_hour_went_for():
    head, row = duty_text(VALUE).splitlines()
    assert [word for word in head.split("  ") if word][-4:] == [
        "left for files",
        "messages",
        "distress",
        "waiting",
    ]
    assert row.split()[-7:] == ["144.0", "s", "270.0", "s", "324.0", "s", "1"]
    free = {key: value for key, value in UP.items() if not key.startswith("left_")}
    del free["airtime_hour_max_ms"]
    assert "no limit" in duty_text({"radios": [free]})
    assert spent_text(VALUE).splitlines()[1].split() == "lora0 2.0 s 30.0 s 4.0 s 0.0 s".split()


def test_status_shows_airtime_in_a_table_of_its_own():
    assert "airtime" not in radios_text(VALUE)
    shown = status_text(VALUE)
    assert "\nairtime\n" in shown and "324.0 s" in shown
    assert duty_text({"radios": [GONE]}) == "" and "\nairtime\n" not in status_text(
        {"radios": [GONE]}
    )
