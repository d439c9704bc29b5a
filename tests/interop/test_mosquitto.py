"""Status on a real mosquitto: what is retained, who is online, what a dead process leaves."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemons.fake_host import FAR, NODE, OTHER
from radios.radio_site import Site, own_air

from meshd.lab.namespaces import stop

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    not (MOSQUITTO and shutil.which("mosquitto_sub")), reason="mosquitto is not installed"
)
BASE = f"meshd/v1/pq4ohv4c/{NODE}"
QUICK = {"every_s": 60, "check_s": 0.05, "retry_first_s": 0.05, "retry_max_s": 0.2}
PUBLISHER = Path(__file__).parent / "mqtt_publisher.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mosquitto:
    """The broker, on a free port of the loopback; `lines` go into its configuration."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        user = ["user root"] if os.geteuid() == 0 else []
        self.config = folder / "mosquitto.conf"
        allowed = "allow_anonymous " + ("false" if lines else "true")
        self.config.write_text(
            "\n".join([f"listener {self.port} 127.0.0.1", allowed, *user, *lines]) + "\n"
        )

    def start(self) -> None:
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


class Subscriber:
    """`mosquitto_sub` on everything; each line: retained, QoS, topic, payload."""

    def __init__(self, broker: Mosquitto, *options: str) -> None:
        self.process = subprocess.Popen(
            [
                *("mosquitto_sub", "-p", str(broker.port), "-t", "meshd/#", "-q", "1"),
                *("-W", "30"),
                *("-F", "%r %q %t %p", *options),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seen: dict[str, tuple[str, str, str]] = {}

    def until(self, *wanted: tuple[str, str]) -> tuple[str, str, str]:
        """Read until topic `name` holds `part`, for each (name, part); return the last one."""
        for name, part in wanted:
            while part not in self.seen.get(name, ("", "", ""))[2]:
                line = self.process.stdout.readline()
                assert line, "the subscriber ended"
                retained, qos, topic, payload = line.rstrip("\n").split(" ", 3)
                assert topic.startswith(BASE)
                self.seen[topic.removeprefix(BASE + "/")] = (retained, qos, payload)
        return self.seen[name]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Publisher:
    """The process under test."""

    def __init__(self, port: int, *, pace=None, **broker) -> None:
        options = {
            "broker": {"host": "127.0.0.1", "port": port, **broker},
            "pace": {**QUICK, **(pace or {})},
        }
        root = Path(__file__).resolve().parents[2]
        self.process = subprocess.Popen(
            [sys.executable, str(PUBLISHER), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def says(self) -> str:
        return self.process.stdout.readline().rstrip()

    def change(self, **changes) -> None:
        self.process.stdin.write(json.dumps(changes) + "\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Stop as a service manager does; return what it logged."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=15)
        return errors


@pytest.fixture
def stage(tmp_path):
    """Start things that all end with the test."""
    started: list = []

    def start(made):
        started.append(made)
        return made

    start.folder = tmp_path
    yield start
    for made in reversed(started):
        if isinstance(made, Publisher):
            if made.process.poll() is None:
                made.process.kill()
            made.process.communicate()
        else:
            made.stop()


@pytest.fixture
def broker(stage, tmp_path):
    made = stage(Mosquitto(tmp_path))
    made.start()
    return made


ALL = (("availability", "line"), ("info", "{"), ("state", "{"), ("neighbours", "{"))


def test_late_subscriber_sees_everything_retained(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    stage(Subscriber(broker)).until(*ALL)
    late = stage(Subscriber(broker))
    late.until(*ALL)
    assert {name: message[0] for name, message in late.seen.items()} == {
        name: "1" for name, _ in ALL
    }
    assert late.seen["availability"] == ("1", "1", "online")
    assert late.seen["info"][1] == "1"
    info, state, near = (json.loads(late.seen[name][2]) for name, _ in ALL[1:])
    for payload in (info, state, near):
        assert payload["v"] == 1 and payload["id"] == NODE
        assert payload["boot"] == 7 and payload["seq"] >= 1
    assert state["net"] == {"neigh": 2, "nodes": 2, "routes": 2, "best_q": 1.0, "worst_q": 0.5}
    assert near["neighbours"][0]["id"] == OTHER
    assert FAR not in late.seen["neighbours"][2]


def test_clean_stop_says_offline_itself(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(("availability", "online"))
    publisher.end()
    assert publisher.process.returncode == 0
    assert live.until(("availability", "offline"))[1] == "1"
    late = stage(Subscriber(broker))
    assert late.until(("availability", "line")) == ("1", "1", "offline")
    assert late.until(("state", "{"))[0] == "1", "what was last known stays"


def test_killed_process_is_offline_by_its_will(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(("availability", "online"))
    publisher.process.kill()
    live.until(("availability", "offline"))
    assert stage(Subscriber(broker)).until(("availability", "line")) == ("1", "1", "offline")
    again = stage(Publisher(broker.port))
    assert again.says() == "fine"
    assert live.until(("availability", "online"))[2] == "online"


def test_silent_process_is_offline_after_its_keepalive(stage, broker):
    publisher = stage(Publisher(broker.port, pace={"keepalive_s": 1}))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(("availability", "online"))
    publisher.process.send_signal(signal.SIGSTOP)
    live.until(("availability", "offline"))
    publisher.process.send_signal(signal.SIGCONT)
    live.until(("availability", "online"))


def test_broker_that_restarts_empty_is_filled_again(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    stage(Subscriber(broker)).until(*ALL)
    broker.stop()
    assert publisher.says() == "mqtt-unreachable"
    broker.start()
    while publisher.says() != "fine":
        pass
    stage(Subscriber(broker)).until(*ALL)
    warned = publisher.end()
    assert warned.count("is the broker running") == 1, "one warning a state, not one a try"


def test_change_is_sent_soon_and_no_change_is_not(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(*ALL)
    first = json.loads(live.seen["state"][2])["seq"]
    publisher.change(problems=[], routes=[])
    after = json.loads(live.until(("state", '"routes":0'))[2])
    assert after["seq"] > first
    publisher.change(neighbours=[])
    live.until(("neighbours", '"total":0'))
    assert json.loads(live.seen["info"][2])["seq"] <= after["seq"], "info did not change"


def test_all_is_repeated_after_a_while(stage, broker):
    publisher = stage(Publisher(broker.port, pace={"every_s": 0.2}))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(*ALL)
    seqs = [json.loads(live.seen["state"][2])["seq"]]
    for _ in range(3):
        del live.seen["state"]
        seqs.append(json.loads(live.until(("state", "{"))[2])["seq"])
    assert seqs == sorted(set(seqs)), "numbers only rise"


def test_broker_that_is_not_there_is_a_problem_until_it_is(stage, tmp_path):
    broker = stage(Mosquitto(tmp_path))
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "mqtt-unreachable"
    broker.start()
    while publisher.says() != "fine":
        pass
    stage(Subscriber(broker)).until(*ALL)


def test_wrong_password_is_named_and_a_corrected_file_is_enough(stage, tmp_path):
    users = tmp_path / "users"
    users.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(users), "roof", "right"], check=True)
    users.chmod(0o644)
    broker = stage(Mosquitto(tmp_path, f"password_file {users}"))
    broker.start()
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    login = {"username": "roof", "password_file": str(secret)}
    publisher = stage(Publisher(broker.port, **login))
    assert publisher.says() == "mqtt-denied"
    secret.write_text("right\n")
    while publisher.says() != "fine":
        pass
    stage(Subscriber(broker, "-u", "roof", "-P", "right")).until(*ALL)
    warned = publisher.end()
    assert warned.count("refuses this node") == 1 and "right" not in warned.replace("rights", "")


def test_missing_password_file_is_a_problem_and_not_the_end(stage, broker, tmp_path):
    login = {"username": "roof", "password_file": str(tmp_path / "none")}
    publisher = stage(Publisher(broker.port, **login))
    assert publisher.says() == "mqtt-credentials"
    (tmp_path / "none").write_text("any")
    while publisher.says() != "fine":
        pass


def test_clean_stop_is_quick_while_the_broker_hangs(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    broker.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    publisher.end()
    assert publisher.process.returncode == 0
    broker.process.send_signal(signal.SIGCONT)
    assert time.monotonic() - begun < 10


RADIO = {
    "name": "lora0",
    "port": "/dev/ttyUSB0",
    "state": "up",
    "kind": "rnode",
    "airtime_15_s_ms": 150,
    "airtime_hour_ms": 36_000,
    "airtime_hour_max_ms": 360_000,
    "left_ms": 324_000,
    "noise_dbm": -117.0,
}


def test_radio_that_goes_is_told_soon(stage, broker):
    publisher = stage(Publisher(broker.port))
    assert publisher.says() == "fine"
    live = stage(Subscriber(broker))
    live.until(*ALL)
    publisher.change(radios=[RADIO])
    state = json.loads(live.until(("state", '"lora0"'), ("info", '"radios"'), ("state", "{"))[2])
    assert state["radio"]["lora0"]["duty_left_s"] == 324
    publisher.change(radios=[{**RADIO, "state": "port gone", "noise_dbm": None}])
    state = json.loads(live.until(("state", "port gone"))[2])
    assert "noise_dbm" not in state["radio"]["lora0"]


def test_daemons_tell_their_radios_and_how_they_hear_each_other(broker, tmp_path, monkeypatch):
    sites = [Site(tmp_path, number) for number in range(2)]
    with own_air(monkeypatch):
        try:
            for site in sites:
                site.plug()
                site.daemon.options += ["--mqtt", f"mqtt://127.0.0.1:{broker.port}"]
                site.daemon.start()
            one, two = sites
            told = heard_of(broker, one, two)
        finally:
            stop([process for site in sites for process in site.processes])
    near, state, info = told["neighbours"], told["state"], told["info"]
    (row,) = near["neighbours"]
    assert row["id"] == two.daemon.node and row["if"] == "lora0"
    assert row["snr_db"] > 0 > row["rssi_dbm"]
    radio = state["radio"]["lora0"]
    assert radio["state"] == "up" and radio["duty_max_pct"] == 10 and radio["noise_dbm"] < -100
    assert 0 < radio["duty_left_s"] < 360 and radio["tx_1h_pct"] > 0
    assert info["radios"][0]["region"] == "EU868" and info["radios"][0]["sf"] == 7


def heard_of(broker, one, two):
    """Return what a node publishes, once it tells the other as its neighbour by LoRa."""
    one.daemon.wait_ready()
    two.daemon.wait_ready()
    base = f"meshd/v1/pq4ohv4c/{one.daemon.node}/"
    sub = subprocess.Popen(
        ["mosquitto_sub", "-p", str(broker.port), "-t", base + "+", "-W", "40", "-F", "%t %p"],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = {}
    try:
        for line in sub.stdout:
            topic, payload = line.rstrip("\n").split(" ", 1)
            if payload.startswith("{"):
                told[topic.removeprefix(base)] = json.loads(payload)
            near = told.get("neighbours", {}).get("neighbours")
            radio = told.get("state", {}).get("radio", {}).get("lora0", {})
            spent = "noise_dbm" in radio and radio.get("tx_1h_pct", 0) > 0
            if spent and near and "snr_db" in near[0] and "radios" in told.get("info", {}):
                return told
    finally:
        sub.kill()
        sub.wait()
        sub.stdout.close()
    raise AssertionError(f"only this was told: {told}")
