import pytest

from meshd.core.errors import RequestError
from meshd.runtime.key_file import key_doubt, make_key, read_key


def test_a_key_is_made_once_for_its_owner_only_and_read_back(tmp_path):
    path = tmp_path / "lora.key"
    make_key(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    key = read_key(str(path))
    assert len(key) == 32 and key.hex() == path.read_text().strip()
    with pytest.raises(RequestError, match="there is one already"):
        make_key(str(path))
    assert read_key(str(path)) == key


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (b"", 0o600, "not a key of 64 hex digits"),
        (b"secret\n", 0o600, "not a key of 64 hex digits"),
        (b"\xff" * 300, 0o600, "not a key of 64 hex digits"),
        (b"01" * 31 + b"\n", 0o600, "not a key of 64 hex digits"),
        (b"00" * 32 + b"\n", 0o600, "not a key of 64 hex digits"),
        (b"01" * 32 + b"\n", 0o644, "everybody on this machine may read or write it"),
        (b"01" * 32 + b"\n", 0o622, "everybody on this machine may read or write it"),
        (None, 0, "No such file"),
    ],
)
def test_what_is_no_key_is_refused_with_a_next_step(tmp_path, content, mode, why):
    path = tmp_path / "lora.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(RequestError, match=why) as told:
        read_key(str(path))
    assert told.value.remedy and "01" * 8 not in str(told.value)


def test_what_becomes_of_the_file_of_a_key_in_use_is_told(tmp_path):
    path = tmp_path / "lora.key"
    make_key(str(path))
    key = read_key(str(path))
    assert key_doubt(str(path), key) is None
    path.chmod(0o644)
    assert "everybody on this machine" in key_doubt(str(path), key).text
    assert key_doubt(str(path), key).remedy == f"chmod o-rwx {path}"
    path.chmod(0o600)
    assert "another key stands in it" in key_doubt(str(path), bytes(32)).text
    path.unlink()
    assert "No such file" in key_doubt(str(path), key).text
