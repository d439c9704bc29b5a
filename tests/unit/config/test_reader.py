"""Both readers of TOML, of a node's configuration and of a plan, tell mistakes alike."""

import pytest

from meshd.config import loader
from meshd.core.errors import ConfigError
from meshd.simulation.plan import file as plan_file

NODE = "[mqtt]\nurl = 1\n[relay]\nquota = 1\n[[interface]]\nnmae = 'x'"
PLAN = "name = 3\nnmae = 1\n[[nodes]]\ncount = 0\n[[fault]]\nkind = 'x'"


@pytest.mark.parametrize(
    ("reader", "text", "lines"), [(loader, NODE, (2, 4, 5, 6)), (plan_file, PLAN, range(1, 7))]
)
def test_all_mistakes_are_told_at_once_in_order(reader, text, lines):
    with pytest.raises(ConfigError) as caught:
        reader.parse(text, "f")
    told = [line.split(": ")[0] for line in caught.value.text.splitlines()]
    assert told == [f"f:{number}" for number in lines]


@pytest.mark.parametrize("reader", [loader, plan_file])
def test_files_that_cannot_be_read(reader, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        reader.load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        reader.load(str(tmp_path))
    (tmp_path / "latin").write_bytes(b"name = 'a'\nx = '\xff'")
    with pytest.raises(ConfigError, match="latin:2: not UTF-8"):
        reader.load(str(tmp_path / "latin"))
    (tmp_path / "huge").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="larger than"):
        reader.load(str(tmp_path / "huge"))
