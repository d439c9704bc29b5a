"""Files that a command writes beside its output: a folder of results, a log.

Enters: where to, and text. Leaves: whole files of our own, or a RequestError that names the place.
A file is written aside and then renamed, so that a link in its place is replaced, never followed.
"""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import TextIO

from meshd.core.errors import Exit, RequestError
from meshd.status.cells import visible


def folder_for(name: str) -> Path:
    """Return the folder `name`, made if it is not there.

    Raises: RequestError when it is something else, or cannot be written to.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RequestError(
            f"{name}: there is a file where a folder is wanted",
            remedy="name a folder; it is made if need be",
        ) from error
    except OSError as error:
        raise _failed(name, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError(
            f"{name}: this user may not write there", code=Exit.DENIED, remedy="name another folder"
        )
    return folder


def write_whole(path: Path, text: str) -> None:
    """Put `text` into the place of whatever `path` is. Raises: RequestError."""
    aside = None
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            aside = file.name
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(aside, path)
    except OSError as error:
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)
        raise _failed(str(path), error) from error


class LogFile:
    """A text file, or stdout, to which lines go as they come; a failure names it."""

    def __init__(self, name: str, stdout: TextIO) -> None:
        """Open it. Raises: RequestError."""
        self._name = "stdout" if name == "-" else name
        self._own = name != "-"
        try:
            self._file = open(name, "w", encoding="utf-8") if self._own else stdout
        except OSError as error:
            raise _failed(self._name, error) from error

    def write(self, text: str) -> None:
        """Write lines. Raises: RequestError."""
        try:
            self._file.write(visible(text))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failed(self._name, error) from error

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.flush()
            if self._own:
                self._file.close()
        except BrokenPipeError:
            raise
        except OSError as failed:
            with suppress(OSError):
                if self._own:
                    self._file.close()
            if kind is None:
                raise _failed(self._name, failed) from failed


def _failed(name: str, error: OSError) -> RequestError:
    return RequestError(
        f"{name}: cannot be written: {error.strerror or error}",
        code=Exit.DENIED if isinstance(error, PermissionError) else Exit.ERROR,
        remedy="make room there, or name another place",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
