"""What the radios of a daemon advise (meshd.runtime.lora_radios)."""

import pytest

from meshd.radio.meshtastic.plan import SET
from meshd.runtime.lora_radios import of_node


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
