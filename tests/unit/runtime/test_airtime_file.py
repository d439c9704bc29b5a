"""The files of the airtime ledger: no hour comes back by removing them or putting old ones back."""

import os
from itertools import product

import pytest

from meshd.config.regions import law_of
from meshd.core.errors import RequestError
from meshd.link.account import Share
from meshd.link.ledger import CLAIM_PARTS, SMALL_CLAIMS, Emission, Priority, Reservation
from meshd.runtime.airtime_file import AirtimeDisk, AirtimeFile
from meshd.runtime.twin_files import COPY, TwinFiles

NODE = bytes(range(10))
LAW = law_of("EU868")
BAND = next(band for band in LAW.sub_bands if band.name == "P")
HOUR_US = BAND.airtime_us_max


@pytest.fixture(autouse=True)
def run_dir(tmp_path, monkeypatch):
    """What lives as long as this boot."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr("meshd.runtime.airtime_file.SYSTEM_RUN_DIR", str(tmp_path / "no" / "run"))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state" / "airtime")


def opened(path, node=NODE):
    return AirtimeFile(path, LAW, node)


def left_us(file):
    return file.ledger.left_us(BAND, file.now())


def send(file, airtime_us=1_000_000):
    """Send a frame as the daemon does: claimed on the disk first."""
    emission = Emission(BAND, 125_000, airtime_us, Share.OWN, Priority.TEXT)
    file.ledger.prepare(BAND)
    file.save()
    held = file.ledger.reserve(emission, file.now())
    assert isinstance(held, Reservation)
    file.ledger.settle(held.number, file.now(), airtime_us=None)


def copy(path):
    """Return both files as they are, to be put back later."""
    return {name: open(name, "rb").read() for name in (path, path + COPY)}


def put_back(files):
    for name, data in files.items():
        with open(name, "wb") as file:
            file.write(data)


def test_first_start_has_its_whole_hour(path):
    file = opened(path)
    assert left_us(file) == HOUR_US and not file.suspicion


def test_what_was_sent_is_known_after_a_restart(path):
    file = opened(path)
    send(file)
    file.close()
    again = opened(path)
    assert left_us(again) == HOUR_US - 1_000_000 and not again.suspicion


@pytest.mark.parametrize("gone", [("",), (COPY,)])
def test_one_copy_is_enough(path, gone):
    file = opened(path)
    send(file)
    file.close()
    for name in gone:
        os.unlink(path + name)
    again = opened(path)
    assert left_us(again) == HOUR_US - 1_000_000 and not again.suspicion


@pytest.mark.parametrize("bad", ["", COPY])
def test_one_unreadable_file_silences_nobody(path, bad):
    file = opened(path)
    send(file)
    file.close()
    left = left_us(file)
    os.unlink(path + bad)
    os.mkdir(path + bad)
    again = opened(path)
    assert not again.suspicion and left_us(again) == left
    send(again)


def test_removed_files_spend_the_hour(path):
    file = opened(path)
    send(file)
    file.close()
    os.unlink(path)
    os.unlink(path + COPY)
    again = opened(path)
    assert left_us(again) == 0 and "removed" in again.suspicion


def test_old_files_put_back_spend_the_hour(path):
    file = opened(path)
    send(file)
    file.close()
    old = copy(path)
    file = opened(path)
    send(file)
    file.close()
    put_back(old)
    again = opened(path)
    assert left_us(again) == 0 and "older" in again.suspicion


def test_old_file_put_back_beside_a_new_copy_is_passed_over(path):
    file = opened(path)
    file.close()
    old = copy(path)
    file = opened(path)
    send(file)
    file.close()
    for name in (path, path + COPY):
        new = copy(path)
        put_back({name: old[name]})
        again = opened(path)
        assert left_us(again) == HOUR_US - 1_000_000 and not again.suspicion
        put_back(new)


def spoilt(data, place):
    bad = bytearray(data)
    bad[place] ^= 1
    return bytes(bad)


def test_damaged_file_leaves_the_other_to_tell_and_damage_of_both_spends_the_hour(path):
    file = opened(path)
    send(file)
    file.close()
    good = copy(path)
    for name, place in product((path, path + COPY), (0, 9, 30)):
        put_back(good | {name: spoilt(good[name], place)})
        again = opened(path)
        assert left_us(again) == HOUR_US - 1_000_000 and not again.suspicion
        put_back({each: spoilt(data, place) for each, data in good.items()})
        again = opened(path)
        assert left_us(again) == 0 and "damaged" in again.suspicion


def test_write_torn_by_a_power_cut_gives_no_airtime_back(path, monkeypatch):
    real = os.pwrite
    for place in (0, 5, 40):
        file = opened(path)
        send(file)
        before_us = left_us(file)

        def torn(fd, data, at, place=place):
            real(fd, data[:place], at)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "pwrite", torn)
        with pytest.raises(KeyboardInterrupt):
            file.close()
        monkeypatch.setattr(os, "pwrite", real)
        again = opened(path)
        assert 0 < left_us(again) <= before_us and not again.suspicion


def test_hour_that_was_taken_for_spent_is_written_and_not_forgotten(path, run_dir):
    file = opened(path)
    file.close()
    os.unlink(path)
    os.unlink(path + COPY)
    opened(path).close()
    again = opened(path)
    assert left_us(again) == 0 and not again.suspicion, "it is known again, and still spent"


def test_kill_between_the_two_copies_believes_the_later(path, monkeypatch):
    file = opened(path)
    send(file)
    file.close()
    file = opened(path)
    written = []

    def killed(kept, name, data):
        if written:
            raise KeyboardInterrupt
        written.append(name)
        real(kept, name, data)

    real = TwinFiles._write
    monkeypatch.setattr(TwinFiles, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        send(file)
    monkeypatch.setattr(TwinFiles, "_write", real)
    again = opened(path)
    assert not again.suspicion
    claim_us = HOUR_US // CLAIM_PARTS >> SMALL_CLAIMS
    assert left_us(again) <= HOUR_US - 1_000_000 - claim_us, "the new claim counts as sent"


def test_reboot_leaves_the_files_alone_to_tell(path, run_dir):
    file = opened(path)
    send(file)
    file.close()
    for entry in (run_dir / "meshd").iterdir():
        entry.unlink()
    again = opened(path)
    assert left_us(again) == HOUR_US - 1_000_000 and not again.suspicion


def test_another_node_of_this_machine_has_an_hour_of_its_own(path, tmp_path):
    file = opened(path)
    send(file)
    file.close()
    (tmp_path / "other").mkdir()
    other = opened(str(tmp_path / "other" / "airtime"), node=bytes(10))
    assert left_us(other) == HOUR_US


def test_without_a_place_for_a_witness_the_files_are_still_used_and_that_is_told(path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/proc/none")
    file = opened(path)
    send(file)
    file.close()
    assert left_us(opened(path)) == HOUR_US - 1_000_000
    disk = AirtimeDisk(path, NODE)
    disk.read()
    disk.write(b"state")
    assert disk.unwitnessed == "/proc/none"
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    disk = AirtimeDisk(path, NODE)
    disk.write(b"state")
    assert not disk.unwitnessed


@pytest.mark.parametrize(("user", "first"), [(0, "machine"), (1000, "run/meshd")])
def test_root_leaves_its_witness_where_no_logout_takes_it(path, tmp_path, monkeypatch, user, first):
    monkeypatch.setattr("meshd.runtime.airtime_file.SYSTEM_RUN_DIR", str(tmp_path / "machine"))
    monkeypatch.setattr("os.geteuid", lambda: user)
    opened(path).close()
    assert os.listdir(tmp_path / first)
    old = copy(path)
    file = opened(path)
    send(file)
    file.close()
    put_back(old)
    monkeypatch.setattr("os.geteuid", lambda: 1000 - user)
    assert opened(path).suspicion, "the number counts wherever it stands"


def test_link_in_place_of_a_witness_leads_nowhere(path, tmp_path, run_dir):
    opened(path).close()
    (witness,) = (run_dir / "meshd").iterdir()
    number = witness.read_text()
    precious = tmp_path / "precious"
    precious.write_text("1234567")
    fresh = witness.with_name(f".{witness.name}.new")
    for link in (fresh, witness):
        if link.exists():
            link.unlink()
        link.symlink_to(precious)
    file = opened(path)
    assert not file.suspicion, "a link is no witness"
    file.close()
    assert precious.read_text() == "1234567"
    assert not witness.is_symlink() and not fresh.exists()
    assert int(witness.read_text()) > int(number)


def test_pipe_in_place_of_a_witness_is_not_waited_for(path, run_dir):
    opened(path).close()
    (witness,) = (run_dir / "meshd").iterdir()
    witness.unlink()
    os.mkfifo(witness)
    assert not opened(path).suspicion


def test_folder_of_another_user_takes_no_witness(path, run_dir, monkeypatch):
    real = os.fstat
    disk = AirtimeDisk(path, NODE)

    def anothers(file):
        mode, number, device, links, user, *rest = real(file)
        return os.stat_result((mode, number, device, links, user + 1, *rest))

    monkeypatch.setattr("os.fstat", anothers)
    disk.write(b"state")
    assert not os.listdir(run_dir / "meshd") and disk.unwitnessed


def test_witness_that_is_no_number_is_none(path, run_dir):
    file = opened(path)
    file.close()
    (witness,) = (run_dir / "meshd").iterdir()
    witness.write_bytes(b"\xff12")
    assert not opened(path).suspicion


def test_disk_that_takes_nothing_is_a_trouble_that_names_the_file(path):
    disk = AirtimeDisk(path, NODE)
    os.rmdir(os.path.dirname(path))
    with pytest.raises(RequestError) as caught:
        disk.write(b"state")
    assert path.rpartition("/")[0] in caught.value.text
    assert "make room" in caught.value.remedy
