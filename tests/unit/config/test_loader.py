import os
from pathlib import Path

import pytest

from meshd.config.loader import parse
from meshd.config.locate import line_of, lines
from meshd.config.paths import default_state_dir
from meshd.config.reference import example, markdown
from meshd.config.schema import TABLES, TOP
from meshd.config.values import Admit, Endpoint, Interface, MqttConfig, NodeConfig
from meshd.core.errors import ConfigError, Exit
from meshd.core.events import LinkKind

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"

FULL = """\
name = "roof-1"
state_dir = "/srv/meshd"
peers = ["tcp://mesh.example.org", "tcp://[2001:db8::1]:7000"]
listen = "127.0.0.1:7001"
admit = ["udp/9797", "tcp/22"]
lora_ports = ["udp/5683"]
leaf = true
log_level = "debug"
control_group = "staff"

[[interface]]
name = "wlan0"
kind = "mesh"

[[interface]]
name = "eth0"

[relay]
quota_mb = 64

[mqtt]
url = "mqtts://broker.example"
username = "me"
password_file = "/etc/secret"
"""


def test_every_value_arrives():
    assert parse(FULL, "f.toml") == NodeConfig(
        state_dir="/srv/meshd",
        name="roof-1",
        interfaces=(Interface("wlan0", LinkKind.MESH), Interface("eth0")),
        peers=("tcp://mesh.example.org:6697", "tcp://[2001:db8::1]:7000"),
        listen=Endpoint("127.0.0.1", 7001),
        admit=(Admit("udp", 9797), Admit("tcp", 22)),
        lora_ports=(5683,),
        leaf=True,
        log_level="debug",
        control_group="staff",
        relay_quota_mb=64,
        mqtt=MqttConfig("broker.example", 8883, True, "me", "/etc/secret"),
    )


def test_empty_file_means_the_defaults():
    assert parse("", "f") == NodeConfig(state_dir=default_state_dir())


def test_mqtt_that_is_not_enabled_is_off():
    assert parse('[mqtt]\nurl = "mqtt://b"\nenabled = false', "f").mqtt is None


MISTAKES = [
    ("interfce = 1", 'f:1: interfce: unknown key, did you mean "interface"?'),
    ("\n\nlog_levle = 'info'", 'f:3: log_levle: unknown key, did you mean "log_level"?'),
    ("zzz = 1", "f:1: zzz: unknown key (known: name, state_dir,"),
    ("name = 7", "f:1: name: must be a text in quotes, not an integer"),
    ("name = 1979-05-27", "f:1: name: must be a text in quotes, not a date or time"),
    (f"name = '{'x' * 33}'", "f:1: name: a name has at most 32 printable characters"),
    ('name = "a\\u001bb"', "f:1: name: must not hold characters that cannot be printed"),
    ("state_dir = 'rel/ative'", 'f:1: state_dir: "rel/ative" must be an absolute path'),
    ("state_dir = ''", "f:1: state_dir: must not be empty"),
    ("peers = 'tcp://a'", "f:1: peers: must be a list of texts, not a text"),
    ("peers = [1]", "f:1: peers: must be a text in quotes, not an integer"),
    ("peers = ['udp://a']", 'f:1: peers: "udp://a" is not a peer; write tcp://HOST:6697'),
    ("peers = ['tcp://']", 'f:1: peers: "tcp://" has no usable host'),
    ("peers = ['tcp://[town]:1']", 'f:1: peers: "town" is not an IPv6 address'),
    (
        "peers = ['tcp://[fe80::1]:1']",
        'f:1: peers: "tcp://[fe80::1]:1": neighbours on a link are found without being named',
    ),
    ("peers = ['tcp://a/b']", 'f:1: peers: "tcp://a/b" has no usable host'),
    ("peers = ['tcp://a:0']", 'f:1: peers: "0" is not a port (1 to 65535)'),
    ("peers = ['tcp://a', 'tcp://a:6697']", 'f:1: peers: "tcp://a:6697" stands there twice'),
    ("listen = '::'", 'f:1: listen: "::": write an IPv6 address in brackets'),
    ("listen = 'host:1'", 'f:1: listen: "host" is not an IP address; "[::]:1" means all'),
    ("listen = '[::]:70000'", 'f:1: listen: "70000" is not a port (1 to 65535)'),
    ("listen = '[::'", 'f:1: listen: "[::" is not [ADDRESS]:PORT'),
    ("admit = ['9797']", 'f:1: admit: "9797" is not a port to admit; write udp/9797'),
    ("lora_ports = ['5683']", 'f:1: lora_ports: "5683" is not a port to carry; write udp/5683'),
    ("lora_ports = ['tcp/22']", 'f:1: lora_ports: "tcp/22": TCP does not go over LoRa'),
    ("lora_ports = ['udp/0']", 'f:1: lora_ports: "0" is not a port (1 to 65535)'),
    ("admit = ['udp/x']", 'f:1: admit: "x" is not a port (1 to 65535)'),
    ("admit = ['udp/²']", 'f:1: admit: "²" is not a port (1 to 65535)'),
    ("leaf = 'maybe'", 'f:1: leaf: must be true, false or "auto"'),
    ("leaf = 1", 'f:1: leaf: must be true, false or "auto"'),
    ("log_level = 'loud'", 'f:1: log_level: "loud" is not a choice (known: debug, info'),
    ("interface = 'eth0'", "f:1: interface: must be tables [[interface]], not a text"),
    ("[interface]\nname='a'", "f:1: interface: must be tables [[interface]], not a table"),
    ("[[interface]]\nkind = 'mesh'", 'f:1: interface: "name" is missing'),
    (
        "[[interface]]\nname='a'\n[[interface]]\nname='b'\nkind='mehs'",
        'f:5: interface.kind: "mehs" is not a choice, did you mean "mesh"?',
    ),
    (
        "[[interface]]\nname='a'\n[[interface]]\nname='a'",
        'f:4: interface.name: "a" stands there twice',
    ),
    ("[[interface]]\nname='a b'", 'f:2: interface.name: "a b" is not the name of an interface'),
    (
        "[[interface]]\nname='a'\nchannel=1",
        "f:3: interface.channel: unknown key (known: name, kind)",
    ),
    ("relay = 3", "f:1: relay: must be a table [relay], not an integer"),
    ("[relay]\nquota_mb = true", "f:2: relay.quota_mb: must be an integer, not true or false"),
    ("[relay]\n\nquota_mb = -1", "f:3: relay.quota_mb: -1 is not between 0 and 1000000000"),
    ("[mqtt]\nenabled = true", 'f:1: mqtt: "url" is missing'),
    ("[mqtt]\nurl='http://b'", 'f:2: mqtt.url: "http://b" is not a broker'),
    ("[mqtt]\nurl='mqtt://b:99999'", 'f:2: mqtt.url: "mqtt://b:99999" is not a broker'),
    ("[mqtt]\nurl='mqtt://u:p@b'", "f:2: mqtt.url: a broker's URL holds no credentials"),
    (
        "[mqtt]\nurl='mqtt://b'\npassword_file='/p'",
        "f:3: mqtt.password_file: needs a username beside it",
    ),
    ("[mqtt]\nurl='mqtt://b'\nca_file='/p'", "f:3: mqtt.ca_file: is for mqtts:// only"),
    ("mqtt.url = 'x'", 'f:1: mqtt.url: "x" is not a broker'),
    ("mqtt = {url = 'mqtt://b', usrname = 'x'}", "f:1: mqtt.usrname: unknown key"),
    ("a = ", "f:1: not TOML: Invalid value"),
    ("name = 'a'\nname = 'b'", "f:2: not TOML: Cannot overwrite a value"),
    ("x = " + "[" * 5000, "f:1: "),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=lambda item: item[:32])
def test_mistake_is_named_with_its_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.text.startswith(message), caught.value.text
    assert caught.value.code is Exit.CONFIG
    assert "docs/configuration.md" in caught.value.remedy


def test_lines_are_found_past_lists_strings_and_comments():
    text = """\
# a = 1
peers = [
  "b = [", # ]
  'c = 2',
]
long = '''
d = 3
[not.a.table]
'''
[[interface]] # first
"quoted key" = 1
[[interface]]
x.y = { z = 1 }
"""
    found = lines(text)
    assert found[("peers",)] == 2
    assert found[("long",)] == 6
    assert found[("interface", 0)] == 10
    assert found[("interface", 0, "quoted key")] == 11
    assert found[("interface", 1, "x", "y")] == 13
    assert line_of(found, ("interface", 1, "x", "y", "z")) == 13
    assert line_of(found, ("nothing",)) == 1
    assert ("d",) not in found and ("not", "a", "table") not in found


def test_every_key_is_documented():
    if os.environ.get("MESHD_REGENERATE"):
        PAGE.write_text(markdown())
    assert PAGE.read_text() == markdown(), "run again with MESHD_REGENERATE=1 and read the diff"
    for table in (TOP, *TABLES):
        for key in table.keys:
            assert f"| `{key.name}` |" in markdown() and f"{key.name} = " in example()


def test_the_documented_example_is_valid():
    assert parse(example(), "example").mqtt.host == "localhost"


LONG = "9" * 5000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"# a comment\n[relay]\nquota_mb = {LONG}\n",
            "f:3: relay.quota_mb: a number has too many",
        ),
        (f"peers = [1,\n {LONG}]\n", "f:2: a number has too many digits"),
        (f"[relay]\nquota_mb = 0x{'f' * 5000}\n", "f:2: relay.quota_mb: a number of 20000 bits is"),
        (f"[relay]\nquota_mb = -{'9' * 400}\n", "f:2: relay.quota_mb: a number of 1329 bits is"),
        ("relay." + "a." * 100_000 + "a = 1\n", "f:1: nested too deeply"),
        ("[" + "'a'. " * 100_000 + "a]\n", "f:1: nested too deeply"),
        ("a = " + "{a = " * 100_000, "f:1: nested too deeply"),
    ],
)
def test_number_or_nesting_beyond_reading_is_named_with_its_line(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert caught.value.text.startswith(said)
    assert "docs/configuration.md" in caught.value.remedy


def test_of_very_many_mistakes_the_first_are_told():
    with pytest.raises(ConfigError) as caught:
        parse("".join(f"key{number} = 1\n" for number in range(60_000)), "f")
    told = caught.value.text.splitlines()
    assert len(told) == 51
    assert told[0].startswith("f:1: key0: unknown key") and told[-1] == "and 59950 more"


def test_long_key_is_cut_in_its_message():
    with pytest.raises(ConfigError) as caught:
        parse(f"{LONG} = 1\n", "f")
    assert len(caught.value.text) < 320 and "9…: unknown key (known: " in caught.value.text


def test_many_texts_are_compared_in_no_square_of_time():
    admit = ", ".join(f'"udp/{port}"' for port in range(1, 60_000))
    assert len(parse(f"admit = [{admit}]\n", "f").admit) == 59_999
