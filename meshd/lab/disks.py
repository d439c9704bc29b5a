"""What lies on a node's disk: a digest of one file, and a search through many for a text.

Enters: paths. Leaves: digests, bytes, the first file that holds a text. Must not know: whose disk
it is, or why it is searched.
"""

import hashlib
from pathlib import Path


def sha256(path: Path) -> bytes:
    """Return the digest of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def files_below(folder: Path) -> list[Path]:
    """Return all files in a folder and the folders in it."""
    return [path for path in folder.rglob("*") if path.is_file()]


def read(path: Path) -> bytes:
    """Return what a file holds; a temporary one may have gone since it was listed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def find_text(files: list[Path], text: str) -> Path | None:
    """Return a file that holds the text, as UTF-8 or UTF-16."""
    for path in files:
        data = read(path)
        if any(text.encode(code) in data for code in ("utf-8", "utf-16-le")):
            return path
    return None
