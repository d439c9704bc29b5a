"""The unit gives the daemon what it needs, and no more; where systemd is, it agrees."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "meshd.service"
ANALYZE = shutil.which("systemd-analyze")


def settings(name):
    """Return all values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_serial_ports_and_the_tunnel_are_open_and_no_other_device():
    assert settings("DevicePolicy") == ["closed"]
    assert settings("DeviceAllow") == [
        *("char-ttyUSB rw", "char-ttyACM rw", "char-ttyAMA rw", "char-ttyS rw"),
        "/dev/net/tun rw",
    ]
    assert "dialout" in settings("SupplementaryGroups")[0].split()
    assert not settings("PrivateDevices")  # would take them all away


def test_drivers_are_loaded_before_their_devices_are_allowed():
    (wanted,), (after,) = settings("Wants"), settings("After")
    for module in ("tun", "cdc_acm", "usbserial"):
        assert f"modprobe@{module}.service" in wanted.split()
        assert f"modprobe@{module}.service" in after.split()


def test_it_is_not_root_and_may_change_the_network_only():
    assert settings("User") == ["meshd"]
    assert settings("CapabilityBoundingSet") == settings("AmbientCapabilities") == ["CAP_NET_ADMIN"]
    assert settings("NoNewPrivileges") == ["yes"] and settings("ProtectSystem") == ["strict"]
    assert not settings("ProtectKernelTunables")  # routing is switched on below /proc/sys/net


def test_every_group_that_it_is_in_is_made():
    made = re.findall(r"^[ug] (\S+)", (FOLDER / "sysusers.conf").read_text(), re.MULTILINE)
    assert {*settings("User"), *settings("SupplementaryGroups")[0].split()} <= set(made)


def test_every_right_is_explained():
    page = (FOLDER.parent / "docs" / "service.md").read_text()
    for word in ("CAP_NET_ADMIN", "dialout", "meshd-admin", "ttyUSB", "ttyACM", "ttyAMA", "tun"):
        assert f"`{word}`" in page or f"/{word}`" in page


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_unit(tmp_path):
    text = UNIT.read_text().replace("/opt/meshd/bin/meshd", sys.executable)
    (tmp_path / "meshd.service").write_text(text)
    said = subprocess.run(
        [ANALYZE, "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "meshd.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0 and "meshd.service" not in said.stderr, said.stderr


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_little_exposed(tmp_path):
    shutil.copy(UNIT, tmp_path)
    said = subprocess.run(
        [ANALYZE, "security", "--offline=yes", "--threshold=35", str(tmp_path / "meshd.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
