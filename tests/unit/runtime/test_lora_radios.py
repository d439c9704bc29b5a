"""What the radios of a daemon advise (meshd.runtime.lora_radios)."""

import asyncio
import os

import pytest

from meshd.config.regions import law_of
from meshd.config.values import RadioConfig
from meshd.core.snapshot import Problem
from meshd.radio.meshtastic.plan import SET
from meshd.runtime import lora_radios
from meshd.runtime.key_file import make_key
from meshd.runtime.lora_radios import LoraRadios, of_node


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        (SET.replace("PORT", "/dev/a"), "`meshd radio set /dev/a --set-board{}` writes it into"),
        ("meshd radio set /dev/a --region NAME; without", "meshd radio set /dev/a{} --region NAME"),
        ("`meshd radio list` tells how it is", "`meshd radio list{}` tells how it is"),
        ("`meshd radio scan` lists them", "`meshd radio scan` lists them"),
    ],
)
def test_advice_works_as_it_stands_for_the_node_that_gives_it(advice, told, monkeypatch):
    monkeypatch.setenv("MESHD_STATE_DIR", "/srv/usual")
    assert of_node(advice, "/srv/usual") == of_node(advice, "/var/lib/meshd") == advice
    assert of_node(advice, "/srv/my node").startswith(told.format(" --state-dir '/srv/my node'"))


class Told:
    """A host that keeps what it is told."""

    def __init__(self):
        self.problems = []

    def problem(self, kind, problem):
        self.problems.append((kind, problem))


def test_a_problem_is_told_once_and_cleared_once(tmp_path):
    host = Told()
    radios = LoraRadios((), str(tmp_path / "airtime"), host)
    one, other = Problem("radio-silent", "a", "b"), Problem("radio-silent", "c", "b")
    for problem in (None, one, one, other, None, None, one):
        radios.problem("lora0", problem)
    assert [problem for _, problem in host.problems] == [one, other, None, one]
    assert {kind for kind, _ in host.problems} == {"radio lora0"}


def test_a_key_that_stays_as_it_was_is_not_told_of(tmp_path, monkeypatch):
    host, file = Told(), tmp_path / "key"
    make_key(str(file))
    config = RadioConfig("/dev/none", law=law_of("EU868"), key_file=str(file))
    radio = LoraRadios((config,), str(tmp_path / "airtime"), host)._radios["lora0"]
    modes = [0o600, 0o600, 0o644, 0o644, 0o600, 0o600]

    async def later(_seconds):
        if not modes:
            raise asyncio.CancelledError
        os.chmod(file, modes.pop(0))

    async def watched():
        await radio._keyed()
        await radio._watch_key()

    monkeypatch.setattr(lora_radios.asyncio, "sleep", later)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watched())
    assert [bool(problem) for _, problem in host.problems] == [True, False]


def test_a_radio_that_can_not_be_set_so_is_told_and_opens_nothing(tmp_path):
    host = Told()
    config = RadioConfig("/dev/a", law=law_of("EU868"), unfit="f:6: radio.spreading_factor: slow")
    radios = LoraRadios((config,), str(tmp_path / "airtime"), host)
    radios.start()
    ((kind, problem),) = host.problems
    assert (kind, problem.code) == ("radio lora0", "radio-unfit") and "f:6:" in problem.text
    assert "meshd radio set /dev/a --state-dir" in problem.remedy
    (status,) = radios.statuses(())
    assert (status.state, status.frequency_mhz) == ("unfit", None)
    assert not os.listdir(tmp_path)
