"""Why a port can not be had, and what to do next; which lasting name it has."""

import errno
import os
import subprocess
import sys
import termios

import pytest
import serial

from meshd.runtime.serial import device as serial_device
from meshd.runtime.serial import scan as radio_scan
from meshd.runtime.serial.device import PortError, close_port, open_port


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOENT, "no such port: plug the radio in"),
        (errno.EACCES, "sudo usermod -aG"),
        (errno.EAGAIN, "another program has it open: `sudo fuser /dev/ttyUSB0`"),
        (errno.EBUSY, "stop that program"),
        (errno.EIO, "plug it in again"),
        (errno.ENOTTY, "can not be used as a serial port"),
        (None, "can not be used as a serial port"),
    ],
)
def test_each_trouble_says_what_to_do(monkeypatch, number, said):
    def refuse(*args, **options):
        raise serial.SerialException(number, "as pyserial words it")

    monkeypatch.setattr(serial, "Serial", refuse)
    monkeypatch.setattr(serial_device, "_group", lambda path: "dialout")
    with pytest.raises(PortError) as error:
        open_port("/dev/ttyUSB0", 115_200)
    assert said in error.value.advice and str(error.value) == f"/dev/ttyUSB0: {error.value.advice}"
    assert error.value.gone == (number in (errno.ENOENT, errno.EIO))


def test_port_that_no_group_may_open(monkeypatch, tmp_path):
    (tmp_path / "port").touch(mode=0o600)
    assert serial_device._group(str(tmp_path / "port")) == ""
    assert "run as root" in str(serial_device._trouble(str(tmp_path / "port"), errno.EACCES))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (["meshd", "run"], "meshd itself has it open (process {}): `meshd radio list`"),
        (
            ["meshd", "run", "--state-dir", "my m"],
            "`meshd radio list --state-dir '{home}/my m'` tells how",
        ),
        (
            ["meshd", "run", "--state-dir=m"],
            "`meshd radio list --state-dir {home}/m` tells how it is",
        ),
        (["meshd", "run", "--state-dir=/m"], "`meshd radio list --state-dir /m` tells how it is"),
        (["meshd", "radio"], "meshd radio has it open (process {}): stop it"),
        (["ModemManager"], "ModemManager has it open (process {}): stop it, or wait half a minute"),
        (["minicom"], "minicom has it open (process {}): stop it"),
        (["meshd", "emulate"], "another program has it open"),
    ],
)
def test_who_has_the_port_open_is_named(terminal, tmp_path, program, said):
    path, slave = terminal
    (tmp_path / "other-name").symlink_to(path)
    words = [program[0], "-c", "import sys; print(flush=True); sys.stdin.read()"]
    if program[1:]:
        words = ["python", str(tmp_path / program[0]), *program[1:]]
        (tmp_path / program[0]).write_text("import sys; print(flush=True); sys.stdin.read()")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    home = tmp_path / "home"
    home.mkdir()
    pipes["cwd"] = str(home)
    holder = subprocess.Popen(words, executable=sys.executable, pass_fds=[slave], **pipes)
    holder.stdout.readline()
    try:
        advice = serial_device._trouble(str(tmp_path / "other-name"), errno.EBUSY).advice
    finally:
        holder.communicate()
    assert said.format(holder.pid, home=os.path.realpath(home)) in advice


@pytest.fixture
def terminal():
    master, slave = os.openpty()
    yield os.ttyname(slave), slave
    os.close(master)
    os.close(slave)


def test_port_is_not_hung_up_when_it_is_closed(terminal):
    path, slave = terminal
    port = open_port(path, 115_200)
    assert not termios.tcgetattr(slave)[2] & termios.HUPCL
    assert not os.get_blocking(port.fileno())
    with pytest.raises(BlockingIOError):
        os.read(port.fileno(), 1)
    close_port(port)
    close_port(port)


def test_speed_that_a_port_does_not_know(monkeypatch):
    def refuse(*args, **options):
        raise ValueError("Invalid baud rate: 7")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(PortError, match="7 baud"):
        open_port("/dev/ttyUSB0", 7)


def test_lasting_name(monkeypatch, tmp_path, terminal):
    path, _ = terminal
    monkeypatch.setattr(radio_scan, "_BY_ID", str(tmp_path))
    assert radio_scan.ports([path])[0][0].stable == ""
    (tmp_path / "usb-Radio_0001").symlink_to(path)
    (tmp_path / "usb-Other").symlink_to("/dev/null")
    assert radio_scan.ports([path])[0][0].stable == str(tmp_path / "usb-Radio_0001")
    monkeypatch.setattr(radio_scan, "_BY_ID", str(tmp_path / "none"))
    assert radio_scan.ports([path])[0][0].stable == ""
