"""What `make setup` finds out about its Python (tools/setup.sh)."""

import subprocess
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "tools" / "setup.sh"


def closed_folder(path):
    """Run the function of that name alone."""
    lines = SETUP.read_text().partition("closed_folder() {")[2].partition("\n}\n")[0]
    script = f'closed_folder() {{{lines}\n}}\nclosed_folder "$1"'
    done = subprocess.run(["sh", "-euc", script, "sh", path], capture_output=True, timeout=30)
    assert not done.stderr
    return done.stdout.decode().strip()


def test_a_python_in_a_folder_that_others_may_not_enter_is_found(tmp_path):
    inner = tmp_path / "root" / "bin"
    inner.mkdir(parents=True)
    (tmp_path / "root").chmod(0o700)
    inner.chmod(0o755)
    assert closed_folder(str(inner / "python3")) == str(tmp_path / "root")
    assert closed_folder("/usr/bin/python3") == ""
