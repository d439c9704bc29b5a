"""The facts of each radio are read strictly, and say the same as the code."""

from pathlib import Path

import pytest

from meshd.config.radios import bandwidth_hz, check_frequency, facts_of, parse
from meshd.core.airtime import Modulation
from meshd.core.errors import ConfigError, UsageError
from meshd.radio import ebyte, rak3172, reyax, rn2483
from meshd.radio.kinds import KINDS
from meshd.radio.meshtastic import plan as meshtastic_plan
from meshd.radio.modem import Broken, RadioPlan
from meshd.simulation.media.modules import MODULES, module_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "radios.md"
GOOD = """
kind = "x"
names = ["X"]
baud = 9600
frame_max = 200
added_bytes = 0
listens = true
tells_sent = true
signal = ["rssi"]
usb = ["10c4:ea60"]
wiring = "USB"
limits = []
unknown = []
[[source]]
what = "a manual"
quality = "good"
"""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_facts(kind):
    facts = facts_of(kind)
    modem = KINDS[kind]
    assert (facts.kind, facts.baud, facts.frame_max, facts.listens) == (
        kind,
        modem.baud,
        modem.frame_max,
        modem.listens,
    )
    assert facts.names and facts.wiring and facts.sources
    if kind != "ebyte":
        assert facts.added_bytes == modem.added_bytes
    assert f"`{kind}`" in DOCS.read_text()


def test_form_is_read():
    facts = parse(GOOD, "x.toml")
    assert facts.usb == ("10c4:ea60",) and facts.sources == (("a manual", "good"),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("baud = 9600", "baud = 9", "x.toml:4: baud: 9 is not between"),
        ("baud = 9600", "boud = 9600", 'did you mean "baud"'),
        ("baud = 9600", "", '"baud" is missing'),
        ("10c4:ea60", "10C4", "is no USB id"),
        ("frame_max = 200", "frame_max = 256", "256 is not between"),
        ("listens = true", "listens = 1", "must be true or false"),
        ("limits = []", "bands_mhz = [[870.0, 863.0]]\nlimits = []", "is no [low, high]"),
        ('quality = "good"', "", '"quality" is missing'),
        ('[[source]]\nwhat = "a manual"\nquality = "good"\n', "", "no [[source]]"),
    ],
)
def test_mistakes_are_named_with_their_line(old, new, said):
    with pytest.raises(ConfigError) as error:
        parse(GOOD.replace(old, new), "x.toml")
    assert said in error.value.text


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("reyax", reyax.BANDWIDTH_CODES),
        ("rak3172", rak3172.BANDWIDTH_CODES),
        ("meshtastic", meshtastic_plan.BANDWIDTHS_HZ.values()),
    ],
)
def test_bandwidths_are_those_of_the_dialect(kind, widths):
    assert [khz * 1000 for khz in facts_of(kind).bandwidths_khz] == list(widths)


def test_bandwidth_that_no_radio_has_is_refused_with_those_it_has():
    assert bandwidth_hz("auto", 62.5) == bandwidth_hz("rnode", 62.5) == 62_500
    with pytest.raises(UsageError, match=r"100 kHz: LoRa can be set to 7.8, .* 250 or 500 kHz"):
        bandwidth_hz("auto", 100)
    with pytest.raises(UsageError, match=r"62.5 kHz: rn2483 can be set to 125, 250 or 500 kHz"):
        bandwidth_hz("rn2483", 62.5)
    with pytest.raises(ConfigError, match=r"must be a list of some of 7.8, 10.4"):
        parse("bandwidths_khz = [100]\n" + GOOD, "x.toml")


def test_bands_and_air_rates_are_those_of_the_dialect():
    facts = facts_of("ebyte")
    assert facts.air_rates == ebyte.AIR_RATES and facts.channel_mhz == ebyte.CHANNEL_STEP_HZ / 1e6
    assert facts.bands_mhz == tuple(
        (low / 1e6, (low + ebyte.CHANNEL_STEP_HZ * (count - 1)) / 1e6)
        for low, count in ebyte.BANDS_HZ
    )
    edges = sorted(edge for bands in rn2483.BANDS_HZ.values() for edge in bands)
    assert facts_of("rn2483").bands_mhz == tuple((low / 1e6, high / 1e6) for low, high in edges)


@pytest.mark.parametrize("hz", [869_525_000, 850_000_000, 410_125_000, 700_000_000])
def test_nearest_channel_is_the_one_that_the_dialect_names(hz):
    modem = ebyte.Ebyte(RadioPlan(hz, Modulation(), tx_dbm=14), module_dbm=22)
    modem.open(0)
    broken = [event for event in iter(modem.poll_event, None) if isinstance(event, Broken)]
    if hz == 410_125_000:
        check_frequency("ebyte", hz / 1e6)
        assert not broken
        return
    with pytest.raises(UsageError) as error:
        check_frequency("ebyte", hz / 1e6)
    nearest = error.value.args[0].rpartition("the nearest is ")[2]
    assert nearest in broken[0].advice


def test_kind_without_facts():
    with pytest.raises(ConfigError, match="not found"):
        facts_of("nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_the_simulator_adds_what_a_module_adds(kind):
    assert kind in MODULES
    assert module_of(kind).added_bytes == facts_of(kind).added_bytes
