"""Every reason is explained to people, once."""

import re
from pathlib import Path

from meshd.core.drops import DropReason

PAGE = Path(__file__).parents[3] / "docs" / "drops.md"


def test_every_reason_is_explained_once():
    told = re.findall(r"^\| `([a-z0-9-]+)` \| \S.* \|$", PAGE.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(reason.value for reason in DropReason)
