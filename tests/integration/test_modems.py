"""Dialects on real pseudo-terminals in real time: two modems on one air, plugs out and in."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import pytest
import serial

from meshd.config.regions import law_of
from meshd.core.airtime import LONG_FAST, Modulation
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError, UsageError
from meshd.radio.kinds import KINDS, made
from meshd.radio.modem import Broken, Configured, Heard, NotSent, RadioPlan, Sent
from meshd.runtime.airtime_file import AIRTIME_FILE, AirtimeFile
from meshd.runtime.serial import port as serial_port
from meshd.runtime.serial import scan as radio_scan
from meshd.runtime.serial.device import PortError, open_port
from meshd.runtime.serial.port import SerialPort
from meshd.runtime.serial.scan import Found, scan
from meshd.runtime.statedir import read_identity
from meshd.simulation.modems.air import RealAir, Wanted
from meshd.simulation.modems.clock import RealTime

PLAN = RadioPlan(868_100_000, Modulation(7, 250_000, 1, 8), 14)
PLANS = {
    "ebyte": RadioPlan(868_125_000, Modulation(7, 125_000), 10),
    "meshtastic": RadioPlan(869_525_000, LONG_FAST, 14),
}
"""Of kinds that cannot be set so, or are set by their owner."""

LIMIT_S = 60.0


class Driver:
    """A SerialPort and what its modem told."""

    def __init__(self, path, kind, plan=None):
        plan = plan or PLANS.get(kind, PLAN)
        self.events = asyncio.Queue()
        self.port = SerialPort(
            str(path), lambda: made(kind, plan, module_dbm=22), self.events.put_nowait
        )
        self.task = asyncio.create_task(self.port.run())

    async def wait(self, *kinds):
        async with asyncio.timeout(LIMIT_S):
            while True:
                event = await self.events.get()
                if isinstance(event, kinds):
                    return event


@asynccontextmanager
async def desk():
    """An air, and a way to drive what is on it."""
    air = RealAir(1)
    drivers = []

    def drive(path, kind, plan=None):
        drivers.append(Driver(path, kind, plan))
        return drivers[-1]

    try:
        yield air, drive
    finally:
        for driver in drivers:
            driver.task.cancel()
            with suppress(asyncio.CancelledError):
                await driver.task
        air.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(serial_port, "PAUSE_FIRST_S", 0.05)


def run(scene):
    asyncio.run(scene())


@pytest.mark.parametrize("kind", KINDS)
def test_frame_from_one_to_the_other(tmp_path, kind):
    async def scene():
        async with desk() as (air, drive):
            air.place(Wanted(kind, str(tmp_path / "a")))
            air.place(Wanted(kind, str(tmp_path / "b"), (0.0, 500.0)))
            one, other = drive(tmp_path / "a", kind), drive(tmp_path / "b", kind)
            await one.wait(Configured)
            await other.wait(Configured)
            for frame in (b"\xc0\xdb over", bytes(range(190))):
                one.port.transmit(frame)
                with pytest.raises(UsageError):
                    one.port.transmit(frame)
                heard = await other.wait(Heard)
                assert heard.frame == frame
                assert -100 < heard.rssi_dbm < -70
                assert (heard.snr_db is None) == (kind == "ebyte") and (heard.snr_db or 6) > 5
                assert isinstance(await one.wait(Sent, NotSent), Sent)

    run(scene)


def test_radio_that_sends_whatever_is_written_is_not_written_to(tmp_path):
    async def scene():
        async with desk() as (air, drive):
            placed = air.place(Wanted("ebyte", str(tmp_path / "a")))
            (tmp_path / "b").symlink_to(os.readlink(tmp_path / "a"))
            broken = await drive(tmp_path / "b", "ebyte").wait(Broken)
            assert broken.reason is DropReason.MODEM_SETTING
            assert f"{tmp_path}/b.m0" in broken.advice
            assert placed.emulator.radio.sent_frames == 0

    run(scene)


def test_mode_pin_that_can_not_be_set(tmp_path):
    async def scene():
        async with desk() as (air, drive):
            air.place(Wanted("rnode", str(tmp_path / "a")))
            for name in ("a.m0", "a.m1"):
                (tmp_path / name).mkdir()
            one = drive(tmp_path / "a", "ebyte", PLAN._replace(frequency_hz=868_125_000))
            broken = await one.wait(Broken)
            assert broken.reason is DropReason.MODEM_SETTING and "a.m0" in broken.advice

    run(scene)


def test_too_far_to_be_heard(tmp_path):
    async def scene():
        async with desk() as (air, drive):
            air.place(Wanted("meshcore", str(tmp_path / "a")))
            far = air.place(Wanted("meshcore", str(tmp_path / "b"), (0.0, 90_000.0)))
            one, other = drive(tmp_path / "a", "meshcore"), drive(tmp_path / "b", "meshcore")
            await one.wait(Configured)
            await other.wait(Configured)
            one.port.transmit(b"anybody")
            await one.wait(Sent)
            assert far.emulator.radio.fates["received"] == 0

    run(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_plug_pulled_out_and_put_in_again(tmp_path, kind):
    async def scene():
        async with desk() as (air, drive):
            placed = air.place(Wanted(kind, str(tmp_path / "a")))
            air.place(Wanted(kind, str(tmp_path / "b")))
            one, other = drive(tmp_path / "a", kind), drive(tmp_path / "b", kind)
            await one.wait(Configured)
            await other.wait(Configured)
            one.port.transmit(bytes(190))
            air.remove(placed)
            gone = await one.wait(NotSent)
            assert gone == NotSent(DropReason.MODEM_GONE, maybe=True)
            assert (await one.wait(Broken)).reason is DropReason.MODEM_GONE
            with pytest.raises(UsageError):
                one.port.transmit(b"x")
            assert not os.path.lexists(tmp_path / "a")
            air.place(Wanted(kind, str(tmp_path / "a")))
            await one.wait(Configured)
            one.port.transmit(b"back again")
            assert (await other.wait(Heard)).frame == b"back again"

    run(scene)


def test_port_that_comes_later(tmp_path):
    async def scene():
        async with desk() as (air, drive):
            one = drive(tmp_path / "a", "rnode")
            broken = await one.wait(Broken)
            assert broken.reason is DropReason.MODEM_GONE and "no such port" in broken.advice
            air.place(Wanted("rnode", str(tmp_path / "a")))
            await one.wait(Configured)

    run(scene)


def test_restarted_modem_is_set_up_again(tmp_path):
    async def scene():
        async with desk() as (air, drive):
            air.place(Wanted("rnode", str(tmp_path / "a"), faults=("resets",)))
            one = drive(tmp_path / "a", "rnode")
            await one.wait(Configured)
            for _ in range(2):
                one.port.transmit(b"x")
                await one.wait(Sent)
            one.port.transmit(b"x")
            assert (await one.wait(Broken)).reason is DropReason.MODEM_RESET
            await one.wait(Configured)
            one.port.transmit(b"x")
            await one.wait(Sent)

    run(scene)


def test_port_is_ours_alone(tmp_path):
    async def scene():
        async with desk() as (air, _):
            air.place(Wanted("rnode", str(tmp_path / "a")))
            first = open_port(str(tmp_path / "a"), 115_200)
            with pytest.raises(PortError, match="another program has it open"):
                open_port(str(tmp_path / "a"), 115_200)
            first.close()

    run(scene)


def test_scan_tells_all_kinds_apart_and_transmits_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(radio_scan, "_ASK_MAX_S", 1.0)

    async def scene():
        async with desk() as (air, _):
            placed = {kind: air.place(Wanted(kind, str(tmp_path / kind))) for kind in KINDS}
            air.place(Wanted("rnode", str(tmp_path / "silent"), faults=("silent",)))
            before = {kind: placed[kind].emulator.radio.setting for kind in KINDS}
            names = [*KINDS, "silent"]
            found = await scan([Found(str(tmp_path / name)) for name in names], lambda _: None)
            assert [answer.kind for answer in found] == [*KINDS, ""]
            assert "nothing answers" in found[-1].problem
            for kind, answer in zip(KINDS, found, strict=False):
                assert answer.baud == KINDS[kind].baud
                assert placed[kind].emulator.radio.setting == before[kind]
                assert placed[kind].emulator.radio.sent_frames == 0
        assert list(tmp_path.iterdir()) == []

    run(scene)


def test_another_speed_is_nonsense(tmp_path):
    async def scene():
        async with desk() as (air, _):
            air.place(Wanted("rnode", str(tmp_path / "a")))
            with serial.Serial(str(tmp_path / "a"), 9_600, timeout=0.2) as port:
                port.write(b"\xc0\x08\x73\xc0")
                assert b"\x46\xc0" not in await asyncio.to_thread(port.read, 100)

    run(scene)


def test_link_replaces_nothing_of_others(tmp_path):
    async def scene():
        async with desk() as (air, _):
            (tmp_path / "file").write_text("mine")
            with pytest.raises(RequestError, match="is there already"):
                air.place(Wanted("rnode", str(tmp_path / "file")))
            (tmp_path / "old").symlink_to("/dev/pts/99999")
            air.place(Wanted("rnode", str(tmp_path / "old")))
            assert os.path.exists(tmp_path / "old")
        assert not os.path.lexists(tmp_path / "old")
        assert (tmp_path / "file").read_text() == "mine"

    run(scene)


def test_time_that_is_real_keeps_the_order_that_was_asked_for():
    async def scene():
        time = RealTime(1)
        done, order = asyncio.Event(), []
        start = time.now
        for name, at in (("c", start + 2_000), ("a", start + 1_000), ("b", start + 1_000)):
            time.at(at, lambda name=name: order.append((name, time.now - start)))
        time.at(start + 3_000, done.set)
        await asyncio.wait_for(done.wait(), LIMIT_S)
        assert order == [("a", 1_000), ("b", 1_000), ("c", 2_000)]
        assert time.random("x") is time.random("x")
        time.close()

    run(scene)


# --- the commands -------------------------------------------------------------------------------


@pytest.fixture
def emulate(tmp_path, monkeypatch):
    """Start `meshd emulate`; returns the process and what it printed when it was up."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "meshd", "emulate", *arguments, "--json"],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait(LIMIT_S)
        process.stdout.close()


def test_two_processes_on_one_air_and_the_first_ends(tmp_path, emulate):
    host, up = emulate("meshcore", "--port", "a", "--air", "roof")
    assert up["schema"] == "meshd.emulate/1" and up["device"].startswith("/dev/pts/")
    guest, _ = emulate("meshcore", "--port", "b", "--air", "roof", "--at", "0,300")

    async def scene():
        async with desk() as (_, drive):
            one, other = drive(tmp_path / "a", "meshcore"), drive(tmp_path / "b", "meshcore")
            await one.wait(Configured)
            await other.wait(Configured)
            one.port.transmit(b"hello")
            assert (await other.wait(Heard)).frame == b"hello"
            host.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(host.wait, LIMIT_S) == 0
            assert not os.path.lexists(tmp_path / "a")
            again = json.loads(await asyncio.to_thread(guest.stdout.readline))
            assert again["port"] == str(tmp_path / "b")
            await other.wait(Configured)

    run(scene)
    guest.send_signal(signal.SIGTERM)
    assert guest.wait(LIMIT_S) == 0
    assert not os.path.lexists(tmp_path / "b")
    assert not os.listdir(tmp_path / "meshd-air")


def test_guest_is_told_what_the_host_refuses(emulate, tmp_path):
    emulate("rnode", "--port", "a", "--air", "roof")
    result = command("emulate", "rnode", "--port", "a", "--air", "roof", cwd=tmp_path)
    assert result.returncode == 1
    assert "is there already, a link to /dev/pts/" in result.stderr


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "meshd", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=LIMIT_S,
    )


def test_scan_command(emulate, tmp_path):
    emulate("rnode", "--port", "a")
    result = command("radio", "scan", "--json", "--port", "a", "--port", "nowhere", cwd=tmp_path)
    assert result.returncode == 0
    value = json.loads(result.stdout)
    assert value["schema"] == "meshd.radio.scan/1"
    assert [(found["port"], found["kind"]) for found in value["radios"]] == [("a", "rnode")]
    assert "no such port" in value["others"][0]["problem"]
    result = command("radio", "scan", "--port", "nowhere", cwd=tmp_path)
    assert result.returncode == 9
    assert result.stdout.startswith("nowhere: there is no such port")


def test_radio_test_sends_within_the_law(emulate, tmp_path):
    emulate("meshcore", "--port", "a", "--air", "roof")
    words = ("--frequency", "869.525", "--sf", "7", "--listen", "0", "--json", "--state-dir", "s")
    test = ("radio", "test", "a", "meshcore", *words, "--count", "1")
    result = command(*test, cwd=tmp_path)
    assert result.returncode == 2 and "before a region is chosen" in result.stderr
    assert not (tmp_path / "s").exists()
    result = command(*test, "--region", "EU868", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[1]["event"] == "configured"
    assert events[1]["plan"]["frequency_hz"] == 869_525_000
    schema = {"schema": "meshd.radio.test/1"}
    assert events[-2] == {**schema, "event": "sent", "told": True}
    assert events[-1] == {**schema, "event": "end", "sent": 1, "heard": 0}

    node = read_identity(str(tmp_path / "s")).node
    airtime = AirtimeFile(str(tmp_path / "s" / AIRTIME_FILE), law_of("EU868"), node)
    spent = [band.spent_hour_us for band in airtime.ledger.status(airtime.now())]
    modem = KINDS["meshcore"](RadioPlan(869_525_000, Modulation(7, 125_000), 10))
    assert sum(spent) == modem.airtime_us(len(b"meshd radio test 1"))
    airtime.ledger.assume_spent(airtime.now())
    airtime.close()
    result = command(*test, "--region", "EU868", cwd=tmp_path)
    assert result.returncode == 75
    assert json.loads(result.stdout.splitlines()[-2])["event"] == "wait"
