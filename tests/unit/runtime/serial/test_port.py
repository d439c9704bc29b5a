"""When a port that was away is tried again: no clock is waited for."""

import asyncio

import pytest

from meshd.core.airtime import Modulation
from meshd.core.drops import DropReason
from meshd.radio.kinds import made
from meshd.radio.modem import Broken, RadioPlan
from meshd.runtime.serial import port as serial_port
from meshd.runtime.serial.port import LOOK_S, SerialPort, pause

PLAN = RadioPlan(869_525_000, Modulation(), 14)


@pytest.mark.parametrize(
    ("name", "reason", "cause"),
    [
        ("file", DropReason.MODEM_PORT, "it can not be used as a serial port"),
        ("nothing", DropReason.MODEM_GONE, "there is no such port"),
    ],
)
def test_port_that_is_of_no_use_is_not_called_gone(tmp_path, name, reason, cause):
    (tmp_path / "file").touch()
    told = []

    async def until_told():
        heard = asyncio.Event()
        port = SerialPort(
            str(tmp_path / name),
            lambda: made("rnode", PLAN),
            lambda event: told.append(event) or heard.set(),
        )
        running = asyncio.create_task(port.run())
        await heard.wait()
        running.cancel()

    asyncio.run(until_told())
    (broken,) = told
    assert isinstance(broken, Broken) and (broken.reason, broken.cause) == (reason, cause)
    assert "meshd radio scan" in broken.remedy


@pytest.fixture
def slept(monkeypatch):
    """Count the seconds slept; `slept.then` are acts by how many there were before."""
    slept = Slept()
    monkeypatch.setattr(serial_port.asyncio, "sleep", slept)
    return slept


class Slept:
    def __init__(self):
        self.seconds = 0.0
        self.then = {}

    async def __call__(self, seconds):
        self.seconds += seconds
        self.then.pop(self.seconds, lambda: None)()


def test_a_port_that_appears_is_not_waited_for(slept, tmp_path):
    port = tmp_path / "radio"
    slept.then[5 * LOOK_S] = port.touch
    asyncio.run(pause(str(port), 30.0))
    assert slept.seconds == 5 * LOOK_S


def test_a_port_that_is_there_and_of_no_use_has_its_whole_pause(slept, tmp_path):
    port = tmp_path / "radio"
    port.touch()
    asyncio.run(pause(str(port), 30.2))
    assert slept.seconds == pytest.approx(30.2)


def test_plugged_out_and_in_again_during_the_pause_counts_too(slept, tmp_path):
    port = tmp_path / "radio"
    port.touch()
    slept.then |= {LOOK_S: port.unlink, 3 * LOOK_S: port.touch}
    asyncio.run(pause(str(port), 30.0))
    assert slept.seconds == 3 * LOOK_S
