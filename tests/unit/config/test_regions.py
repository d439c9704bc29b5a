"""The law as data: the file that comes with meshd, what its reader refuses, where it is found."""

import re
from pathlib import Path

import pytest

from meshd.config import facts
from meshd.config.regions import BANDS_MAX, law_of, laws, parse
from meshd.core.errors import ConfigError, UsageError

ROOT = Path(__file__).resolve().parents[3]
REGION = '[[region]]\nname = "XX1"\nwhere = "nowhere"\n'
BAND = """\
[[band]]
region = "XX1"
name = "a"
low_hz = 868_000_000
high_hz = 868_600_000
power_dbm = 14
power = "erp"
duty_percent = 0.1
source = "a test"
"""


def test_every_region_of_the_issue_has_its_law():
    asked = "EU868 EU433 US915 AU915 AS923 IN865 KR920 JP920 CN470 NZ865 MY919 SG923 RU864 UA433"
    assert set(asked.split()) <= set(laws())


@pytest.mark.parametrize(
    ("region", "name", "hour_s"),
    [("EU868", "K", 3.6), ("EU868", "M", 36), ("EU868", "P", 360), ("EU433", "H", 36)],
)
def test_airtime_of_an_hour_follows_from_the_percentage(region, name, hour_s):
    band = next(band for band in laws()[region].sub_bands if band.name == name)
    assert band.airtime_us_max == hour_s * 1_000_000


def test_where_sources_disagree_the_stricter_value_stands():
    assert laws()["RU864"].judge(869_000_000, 125_000, 13).duty_ppm == 10_000
    assert laws()["EU433"].judge(433_500_000, 125_000, 10).duty_ppm == 10_000
    with pytest.raises(UsageError):
        laws()["KR920"].judge(921_000_000, 125_000, 14, listens=True)


def test_what_nobody_read_in_a_law_is_marked():
    unread = {band.name for band in laws()["EU868"].sub_bands if "power_dbm" in band.unverified}
    assert unread == {"K", "L", "M", "N", "Q"}
    assert laws()["US915"].sub_bands[0].unverified


def test_page_of_the_docs_has_every_band():
    page = (ROOT / "docs" / "regions.md").read_text()
    rows = set(re.findall(r"^\| ([A-Z]\w+) \| \S+ \| (.+?) \|", page, re.M))
    assert rows == {(region, str(band)) for region, law in laws().items() for band in law.sub_bands}


def test_region_is_found_however_it_is_written():
    assert law_of(" eu868 ").region == "EU868"
    with pytest.raises(UsageError, match='did you mean "EU868"'):
        law_of("EU86")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("eu", ["EU433", "EU868"]),
        ("EU999", ["EU433", "EU868"]),
        ("us", ["US915"]),
        ("868", ["EU868", "PH868", "UA868"]),
        ("Japan", ["JP920"]),
        ("United Kingdom", ["EU868", "EU433"]),
        ("Austria", []),
        ("", []),
    ],
)
def test_region_that_may_be_meant_is_told(said, meant):
    with pytest.raises(UsageError) as told:
        law_of(said)
    named = " or ".join(f'"{name}"' for name in meant)
    assert str(told.value).endswith(f"did you mean {named}?" if meant else ", US915)")


def test_every_mistake_is_told_at_once_with_its_line():
    text = REGION + BAND + BAND.replace('"a"', '"b"') + "colour = 1\n"
    text += BAND.replace("XX1", "XX2").replace("= 14", "= 99").replace("erp", "loud")
    with pytest.raises(ConfigError) as told:
        parse(text, "r.toml")
    assert told.value.text.splitlines() == [
        'r.toml:16: band.low_hz: overlaps "a" of XX1',
        "r.toml:22: band.colour: unknown key (known: region, name, low_hz, high_hz, power_dbm, "
        "power, duty_percent, dwell_ms, dwell_below_hz, listen_first, source, note, unverified)",
        'r.toml:24: band.region: "XX2" is no region of this file',
        "r.toml:28: band.power_dbm: 99 is not between -20 and 36",
        'r.toml:29: band.power: "loud" is not a choice (known: erp, eirp)',
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (REGION, "XX1 has 0 bands"),
        (REGION + BAND.replace("868_600_000", "868_000_000"), "must be above low_hz"),
        (REGION + BAND + BAND.replace("868", "869"), 'has a band "a" already'),
        (REGION + REGION + BAND, '"XX1" stands there twice'),
        (REGION + BAND.replace('"XX1"', '"XX1"\ndwell_below_hz = 5'), "without dwell_ms"),
        (REGION + BAND.replace("0.1", "0"), "not between 0.001 and 100"),
        (REGION + BAND.replace('source = "a test"\n', ""), '"source" is missing'),
        (REGION + BAND + 'unverified = ["colour"]', '"colour" is not a choice'),
        (REGION.replace("XX1", "xx1") + BAND, "upper-case letters"),
        (
            REGION
            + "".join(
                BAND.replace('"a"', f'"{n}"').replace("868", str(500 + n))
                for n in range(BANDS_MAX + 1)
            ),
            f"1 to {BANDS_MAX} fit",
        ),
    ],
)
def test_what_cannot_be_a_law_is_refused(text, wrong):
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        parse(text, "r.toml")


def test_file_is_found_in_a_package_that_was_installed(tmp_path, monkeypatch):
    place = tmp_path / "meshd" / "hardware" / "radios"
    place.mkdir(parents=True)
    (place / "one.toml").write_text("x = 1\n")
    monkeypatch.setattr(facts.resources, "files", lambda name: tmp_path / name)
    assert facts.read_fact("radios/one.toml") == ("x = 1\n", "hardware/radios/one.toml")
    with pytest.raises(ConfigError, match="not found beside meshd"):
        facts.read_fact("regions.toml")


def test_wheel_takes_the_folder_along():
    assert '"hardware" = "meshd/hardware"' in (ROOT / "pyproject.toml").read_text()
