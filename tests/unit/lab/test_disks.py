"""A search through a disk finds what is there, in either writing of a text."""

from meshd.lab.disks import files_below, find_text, read, sha256


def test_text_is_found_in_files_of_folders_in_utf8_and_utf16(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, code in (("deep/one", "utf-8"), ("two", "utf-16-le")):
        (tmp_path / name).write_bytes(b"\x00" + "the spring".encode(code))
    (tmp_path / "three").write_bytes(b"the spring"[::-1])
    files = files_below(tmp_path)
    assert len(files) == 3
    found = {path.name for path in files if find_text([path], "the spring")}
    assert found == {"one", "two"} and find_text(files, "the ferry") is None


def test_file_that_went_meanwhile_holds_nothing(tmp_path):
    assert read(tmp_path / "gone") == b""


def test_digest_tells_files_apart(tmp_path):
    for name in ("one", "same", "other"):
        (tmp_path / name).write_bytes(b"x" if name != "other" else b"y")
    one, same, other = (sha256(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same != other
