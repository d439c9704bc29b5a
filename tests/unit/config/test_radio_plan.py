"""`[[radio]]`: the law of its region, defaults that it allows, and mistakes with their lines."""

from functools import cache
from itertools import product
from random import Random

import pytest

from meshd.config.loader import load, parse
from meshd.config.radio_fit import beacon_us, has_room
from meshd.config.radio_plan import USUAL_BYTES, PlanError, radio_config
from meshd.config.radios import facts_of, has_rate, nearest_mhz
from meshd.config.regions import laws
from meshd.config.values import RADIO_KINDS
from meshd.core.airtime import Modulation, airtime_us
from meshd.core.context import Context
from meshd.core.errors import ConfigError
from meshd.core.events import AirtimeImage, RadioLink
from meshd.core.law import NO_LAW
from meshd.forwarding.radio_hour import RadioHour
from meshd.radio.kinds import KINDS, made
from meshd.radio.modem import RadioPlan

PORT = 'port = "/dev/ttyUSB0"\n'


def radios(text):
    return parse(text, "f").radios


def test_kinds_are_those_that_there_are():
    assert RADIO_KINDS == ("auto", *KINDS)


@pytest.mark.parametrize("region", laws())
def test_default_of_each_region_may_be_sent_and_carries_a_usual_frame(region):
    (radio,) = radios(f'[[radio]]\n{PORT}region = "{region}"\n')
    law = laws()[region]
    band = law.judge(radio.frequency_hz, radio.modulation.bandwidth_hz, radio.tx_dbm, listens=True)
    limit_us = band.frame_us_max(radio.modulation.bandwidth_hz)
    assert airtime_us(radio.modulation, USUAL_BYTES) <= limit_us
    assert 0 <= radio.tx_dbm <= 14


def test_europe_gets_the_band_of_ten_percent():
    (radio,) = radios(f'[[radio]]\n{PORT}region = "eu868"\n')
    assert (radio.frequency_hz, radio.modulation) == (869_525_000, Modulation(9, 125_000))


def test_america_gets_a_rate_whose_frames_are_short_enough():
    (radio,) = radios(f'[[radio]]\n{PORT}region = "US915"\n')
    assert radio.modulation.spreading_factor == 7


def test_without_a_region_the_radio_is_kept_and_has_no_law():
    (radio,) = radios(f"[[radio]]\n{PORT}")
    assert radio.law == NO_LAW and radio.kind == "auto"


def test_what_is_named_is_taken():
    (radio,) = radios(
        f'[[radio]]\n{PORT}kind = "ebyte"\nregion = "EU868"\nfrequency_mhz = 868.125\n'
        "spreading_factor = 7\nbandwidth_khz = 250\npower_dbm = 5\nantenna_dbi = 8.5\n"
        'rssi_scale = "half"\nmodule_dbm = 30\n'
    )
    assert radio.frequency_hz == 868_125_000
    assert radio.modulation == Modulation(7, 250_000)
    assert (radio.tx_dbm, radio.antenna_dbi) == (5, 8.5)
    assert (radio.rssi_scale, radio.module_dbm) == ("half", 30)


def test_a_power_that_nobody_named_gives_way_to_the_antenna():
    (radio,) = radios(f'[[radio]]\n{PORT}region = "EU433"\nantenna_dbi = 6\n')
    assert radio.tx_dbm == 6


EU = f'[[radio]]\n{PORT}region = "EU868"\n'
MISTAKES = [
    ("[[radio]]\n", 'f:1: radio: "port" is missing'),
    ('[[radio]]\nport = "ttyUSB0"\n', "f:2: radio.port: "),
    (f'[[radio]]\n{PORT}kind = "rnodes"\n', 'f:3: radio.kind: "rnodes" is not a choice, did'),
    (f'[[radio]]\n{PORT}region = "EU686"\n', 'f:3: radio.region: "EU686" is no region, did'),
    (f"{EU}frequency_mhz = 867.99\npower_dbm = 14\n", "f:4: radio.frequency_mhz: 867.99 MHz with"),
    (f"{EU}power_dbm = 28\n", "f:4: radio.power_dbm: 28 dBm at 869.525 MHz is too much in EU868"),
    (f"{EU}spreading_factor = 13\n", "f:4: radio.spreading_factor: 13 is not between 7 and 12"),
    (f"{EU}bandwidth_khz = 500\n", "f:1: radio: 869.525 MHz with 500 kHz of bandwidth lies in"),
    (f'{EU}kind = "rnode"\nmodule_dbm = 30\n', "f:5: radio.module_dbm: is for ebyte only"),
    (f"{EU}module_dbm = 33\n", "f:4: radio.module_dbm: must be 22 or 30, the number after the T"),
    (f"{EU}module_dbm = true\n", "f:4: radio.module_dbm: must be 22 or 30, the number after the T"),
    (f'{EU}kind = "ebyte"\n', 'f:1: radio: "module_dbm" is missing, and an Ebyte does not tell it'),
    (f"{EU}{EU}", 'f:5: radio.port: "/dev/ttyUSB0" stands there twice'),
    (
        f'{EU}[[radio]]\nport = "/dev/b"\nregion = "US915"\n',
        "f:6: radio.region: another radio of this node is in EU868",
    ),
    (
        f'{EU}[[radio]]\nport = "/dev/b"\nregion = "EU868"\n',
        "f:5: radio.port: another radio of this node has the same frequency",
    ),
    (
        f'{EU}[[radio]]\nport = "/dev/b"\nregion = "EU868"\nkey_file = "/etc/k"\n',
        "f:7: radio.key_file: the radios of a node have one, or none",
    ),
    (
        f'[[radio]]\n{PORT}region = "US915"\nspreading_factor = 11\nbandwidth_khz = 250\n',
        "f:4: radio.spreading_factor: SF11 at 250 kHz is too slow here: one frame may take 400 ms",
    ),
    (
        "".join(f'[[radio]]\nport = "/dev/tty{number}"\n' for number in range(9)),
        "f:17: radio: 9 radios; 8 are the most",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=lambda item: item[:40])
def test_mistake_is_named_with_its_line_and_advice(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert message in caught.value.text.splitlines()[0], caught.value.text


def test_whatever_is_named_is_refused_or_within_the_law():
    for region, law in laws().items():
        for factor in range(7, 13):
            text = f'[[radio]]\n{PORT}region = "{region}"\nspreading_factor = {factor}\n'
            try:
                (radio,) = radios(text)
            except ConfigError as error:
                assert "too slow here" in error.text or "nothing is ever sent" in error.text
                continue
            band = law.judge(
                radio.frequency_hz, radio.modulation.bandwidth_hz, radio.tx_dbm, listens=True
            )
            limit_us = band.frame_us_max(radio.modulation.bandwidth_hz)
            assert beacon_us(None, radio.modulation) <= limit_us


MODULE = {kind: {"module_dbm": 22} if kind == "ebyte" else {} for kind in ("auto", *KINDS)}
EBYTE = f'{EU}kind = "ebyte"\nmodule_dbm = 22\n'
UNREACHED = [
    ("frequency_mhz = 869.525\n", "f:6: radio.frequency_mhz: 869.525 MHz: ebyte can be set to"),
    ("frequency_mhz = 869.125\n", "f:6: radio.frequency_mhz: 869.125 MHz at SF7 at 125 kHz: the"),
    ("spreading_factor = 9\n", "f:6: radio.spreading_factor: SF9 at 125 kHz is 1757 bit/s: ebyte"),
]


@pytest.mark.parametrize(("key", "message"), UNREACHED)
def test_what_the_radio_or_its_airtime_does_not_reach_is_refused_with_what_can_be_had(key, message):
    with pytest.raises(ConfigError) as caught:
        parse(EBYTE + key, "f")
    assert caught.value.text.startswith(message), caught.value.text
    near = "the nearest that EU868 gives enough airtime to is 868.125 MHz"
    assert caught.value.text.endswith("SF10 at 250 kHz" if "factor" in key else near)


def test_radio_that_can_not_work_is_kept_and_says_where_and_why(tmp_path):
    file = tmp_path / "meshd.toml"
    file.write_text(
        EBYTE + "frequency_mhz = 869.125\n" + f"{EU}power_dbm = 9\n".replace("/d", "/e")
    )
    unfit, works = load(str(file)).radios
    assert unfit.unfit.startswith(f"{file}:6: radio.frequency_mhz: 869.125 MHz at SF7 at 125 kHz")
    assert not unfit.usable and works.usable and works.tx_dbm == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EBYTE + "spreading_factor = 9\n" + EU.replace("EU868", "US915"), "a node is in one"),
        (EBYTE + "spreading_factor = 9\n" + EU, "stands there twice"),
        (EU.replace("EU868", "EU86"), "is no region"),
    ],
)
def test_what_else_is_wrong_with_a_radio_is_the_files_mistake(tmp_path, text, message):
    file = tmp_path / "meshd.toml"
    file.write_text(text.replace("/dev", "/tmp", 1) if "US915" in text else text)
    with pytest.raises(ConfigError) as caught:
        load(str(file))
    assert message in caught.value.text


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (f'{EU}kind = "ebyte"\n', "--module-dbm DBM"),
        (f'[[radio]]\n{PORT}kind = "ebyte"\n', "--module-dbm DBM"),
        (
            EBYTE + "spreading_factor = 9\n",
            "--sf 10 --bandwidth 250, or --usual sf for SF7 at 125 kHz",
        ),
        (EBYTE + "frequency_mhz = 869.525\n", "--frequency 868.125, or --usual frequency"),
        (f"{EU}power_dbm = 28\n", "--usual power"),
    ],
)
def test_radio_that_stays_closed_names_each_option_that_opens_it(tmp_path, text, mend):
    file = tmp_path / "meshd.toml"
    file.write_text(text)
    (radio,) = load(str(file)).radios
    assert radio.unfit and not radio.usable and radio.mend == mend


def test_usual_setting_of_each_kind_can_be_had_and_used():
    for kind in KINDS:
        facts = facts_of(kind)
        for region in laws():
            read = {"port": "/p", "kind": kind, "region": region}
            try:
                one = radio_config({**read, **({"module_dbm": 22} if kind == "ebyte" else {})})
            except PlanError as error:
                assert (kind, region) == ("rn2483", "CN470"), error.text
                assert "enough airtime nowhere" in error.text
                continue
            mhz, wide_hz = one.frequency_hz / 1e6, one.modulation.bandwidth_hz
            assert nearest_mhz(facts, mhz) == mhz
            band = one.law.judge(one.frequency_hz, wide_hz, one.tx_dbm, listens=True)
            assert beacon_us(facts, one.modulation) <= band.control_us_max(wide_hz)


@pytest.mark.parametrize("kind", ["auto", *KINDS])
def test_usual_rates_are_those_that_the_pages_name(kind):
    short = ("US915", "AU915", "AS923", "BR902", "JP920")
    for region in set(laws()) - ({"CN470"} if kind == "rn2483" else set()):
        rate = radio_config(
            {"port": "/p", "kind": kind, "region": region, **MODULE[kind]}
        ).modulation
        usual = (7 if region in short else 8 if region == "CN470" else 9, 125_000)
        if kind == "ebyte":
            usual = (7, 250_000 if region in short else 125_000)
        assert (rate.spreading_factor, rate.bandwidth_hz) == usual, region


@cache
def airtimes_us(kind, rate):
    """Return what frames of each size take, as the engine is told of a modem."""
    modem = made(kind, RadioPlan(0, rate, 0), module_dbm=22)
    return tuple(modem.airtime_us(size) for size in range(modem.frame_max + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_beacon_has_room_for_the_configuration_where_the_engine_sends_one(kind):
    facts = facts_of(kind)
    for law in laws().values():
        hour = RadioHour(Context(rng=Random(1), entropy=bytes))
        hour.start(AirtimeImage(law, bytes(16), 0, None), 0)
        for band, factor, khz in product(law.sub_bands, range(7, 13), facts.bandwidths_khz):
            middle_hz, rate = (
                (band.low_hz + band.high_hz) // 2,
                Modulation(factor, round(khz * 1e3)),
            )
            if not band.holds(middle_hz, rate.bandwidth_hz) or not has_rate(facts, rate):
                continue
            known = (middle_hz, rate, -100, airtimes_us(kind, rate))
            link = RadioLink("lora0", kind, *known, listens=True)
            assert (hour.judged(link) is not None) == has_room(facts, rate, band), (band, rate)


@pytest.mark.parametrize(
    ("kind", "setting", "fits"),
    [
        ("meshcore", "EU868 868.95 9 250", True),
        ("meshtastic", "EU868 868.3 11 125", False),
        ("meshtastic", "US915 915 9 250", False),
        ("rnode", "US915 915 9 125", False),
        ("rnode", "US915 915 9 250", True),
        ("reyax", "US915 915 9 250", False),
        ("auto", "US915 915 9 250", True),
    ],
)
def test_room_of_a_beacon_is_that_of_each_modules_framing(kind, setting, fits):
    region, mhz, factor, khz = setting.split()
    keys = {"frequency_mhz": float(mhz), "spreading_factor": int(factor)}
    read = {"port": "/p", "kind": kind, "region": region, "bandwidth_khz": float(khz), **keys}
    if fits:
        assert radio_config(read).usable
        return
    with pytest.raises(PlanError, match=r"too slow here|nothing is ever sent"):
        radio_config(read)


def test_keys_alone_are_enough():
    assert radio_config({"port": "/dev/x"}).port == "/dev/x"
