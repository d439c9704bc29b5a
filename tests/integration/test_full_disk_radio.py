"""A node with a radio on a disk that is filled to the last byte: it goes on sending, by the law."""

from collections.abc import Iterator

import pytest
from daemons.small_disk import boxed, need_small_disk
from radios.radio_site import SLACK_S, Site, two_sites

from meshd.lab.daemons import MESHD, CommandError, wait_for
from meshd.runtime.airtime_file import AIRTIME_FILE
from meshd.wire.kept_record import KeptRecord


class SmallDisk:
    """A disk of 3 MB in a user namespace of its own, which outlives the daemons on it."""

    def __init__(self, site):
        self.site = site
        self.real = site.folder / "small"
        self.real.mkdir()
        self.holder = site.spawn(boxed(self.real, "3m", "sleep", "600"), log="disk.log")
        self.view = site.folder / "view"
        self.view.symlink_to(f"/proc/{self.holder.pid}/root{self.real}")

    @property
    def mounted(self):
        return wait_for(lambda: self.view.is_dir() and self.view.is_mount(), SLACK_S) or False

    def start(self, daemon):
        """Start the daemon on this disk."""
        inside = ["nsenter", "--target", str(self.holder.pid), "--user", "--mount"]
        run = [*MESHD, "run", "--state-dir", str(self.real), *daemon.options]
        argv = [*inside, "--preserve-credentials", *run]
        daemon.state = self.view
        daemon.process = self.site.spawn(argv, log="meshd.log")

    def fill(self):
        """Leave not one byte."""
        with (self.view / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def number(self):
        """Return how often the ledger was written."""
        data = (self.view / AIRTIME_FILE).read_bytes()
        return KeptRecord.decode(data, b"meshd-airtime").number


@pytest.fixture
def sites(tmp_path, monkeypatch) -> Iterator[list[Site]]:
    yield from two_sites(tmp_path, monkeypatch)


def refused(daemon, text, node):
    """Write a text; tell whether it was refused for want of room."""
    try:
        daemon.ask("message", node, text)
    except CommandError as error:
        return "full" in error.said
    return False


def answers(one, two):
    """Have one asked by two; tell whether it answered by radio."""
    try:
        two.daemon.ask("ping", one.daemon.node, "-c", "1")
    except CommandError:
        return False
    return True


def test_a_node_on_a_full_disk_goes_on_sending_and_its_hour_is_right_after_kill_and_restart(sites):
    one, two = sites
    need_small_disk(one.folder)
    disk = SmallDisk(one)
    assert disk.mounted
    for site in sites:
        site.plug()
    disk.start(one.daemon)
    two.daemon.start()
    for site in sites:
        site.daemon.wait_ready()
    assert wait_for(lambda: answers(one, two), 4 * SLACK_S), one.daemon.log_end()
    while not refused(one.daemon, "x" * 1000, two.daemon.node):
        disk.fill()
    disk.fill()

    sent, number = one.radio()["sent"], disk.number()
    assert wait_for(lambda: answers(one, two) and disk.number() > number, 6 * SLACK_S)
    assert one.radio()["sent"] > sent, "it goes on on a full disk"
    codes = {problem["code"] for problem in one.daemon.ask("status")["problems"]}
    assert "store-full" in codes and "airtime-unsaved" not in codes

    before, boot = one.radio(), one.daemon.ask("status")["boot"]
    one.daemon.kill()
    disk.fill()
    disk.start(one.daemon)
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio().get("airtime_hour_ms", 0) > 0, SLACK_S)
    after, status = one.radio(), one.daemon.ask("status")
    assert after["airtime_hour_ms"] >= before["airtime_hour_ms"] > 0
    assert 0 < after["left_ms"] <= before["left_ms"], "neither given back nor all of it lost"
    assert status["boot"] == boot + 1
    assert not {problem["code"] for problem in status["problems"]} & {"airtime-suspect"}
    assert wait_for(lambda: answers(one, two), 4 * SLACK_S), one.daemon.log_end()
    number = disk.number()
    assert wait_for(lambda: answers(one, two) and disk.number() > number, 6 * SLACK_S)
