"""put and get: files into a space and out of it.

The daemon reads and writes the file through a descriptor that is sent along with the request, so
that it needs no rights of its own to the person's folders.
"""

import os
import shlex
import stat
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from contextlib import suppress

from meshd.cli.client import Client, state_dir
from meshd.cli.main import Command
from meshd.cli.output import SPACE_HELP, ProgressBar, common, connect, seconds, show, talk
from meshd.core.errors import Exit, RequestError
from meshd.runtime.disk import sync_folder
from meshd.status.cells import clean, number, rows_of, size, table

LIST_S = 30.0
_COPY_BYTES = 1 << 20


def add_put(parser: ArgumentParser) -> Command:
    """Add the options of `meshd put`."""
    common(parser, timeout_s=0.0)
    parser.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    parser.add_argument("file", metavar="FILE", help="the file to put there")
    parser.add_argument("--name", metavar="NAME", help="its name there; default: its own")
    return _put


def _put(options: Namespace) -> int:
    name = options.name or os.path.basename(options.file)
    try:
        opened = os.open(options.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise RequestError(
            f"there is no file {clean(options.file)}",
            code=Exit.NOT_FOUND,
            remedy=_where(options),
        ) from error
    try:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode):
            raise RequestError(
                f"{options.file}: not a regular file",
                code=Exit.USAGE,
                remedy="pack a folder first, for example with tar",
            )
        args: dict[str, object] = {"space": options.space, "name": name, "size": about.st_size}
        bar = ProgressBar(f"put {clean(name)}")
        try:
            with connect(options) as client:
                value = client.call("put", args, file=opened, on_progress=bar.update)
        finally:
            bar.close()
    finally:
        os.close(opened)
    show(options, "put", value, clean(value.get("file", "")))
    said = value.get("waits") or value.get("goes")
    talk(f"written: {clean(name)}, {size(about.st_size)}" + (f"; it {clean(said)}" if said else ""))
    return Exit.OK


def _where(options: Namespace) -> str:
    """Return what to do about a file that is not there: most likely a slip, or the wrong order."""
    if os.path.isfile(options.space):
        turned = f"{shlex.quote(options.file)} {shlex.quote(options.space)}"
        return f"the space comes first, then the file: meshd put {turned}"
    folder = os.path.abspath(os.path.dirname(options.file))
    return f"is its name right? ls {shlex.quote(folder)} shows what is there"


def add_get(parser: ArgumentParser) -> Command:
    """Add the options of `meshd get`."""
    common(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="give up when nothing came for so long, 0: never; default 30, and as long as"
        " pieces come by LoRa it waits for them",
    )
    parser.add_argument("space", metavar="SPACE", help=SPACE_HELP)
    parser.add_argument(
        "name", metavar="NAME|ID", nargs="?", help="the file's name or id; left out: list the files"
    )
    parser.add_argument("target", metavar="FILE", nargs="?", help="the same as -o")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write it, - for standard output; default: its name, in this folder",
    )
    return _get


def _get(options: Namespace) -> int:
    if options.name is None:
        return _list(options)
    target = options.output or options.target
    if options.output and options.target:
        raise RequestError(
            "the target is given twice", code=Exit.USAGE, remedy="name it once: -o FILE"
        )
    if target == "-":
        if options.json:
            raise RequestError(
                "--json and the file cannot share stdout",
                code=Exit.USAGE,
                remedy="name a file with -o FILE, or leave --json out",
            )
        return _get_to_stdout(options)
    into_folder = not target or os.path.isdir(target)
    if target and not into_folder and os.path.exists(target) and not os.path.isfile(target):
        raise RequestError(
            f"{target}: not a regular file, and not replaced by one",
            remedy="name another file, or write to standard output with -o -",
        )
    folder = (target or ".") if into_folder else os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise RequestError(f"there is no folder {folder}", remedy=f"make it: mkdir -p {folder}")
    temporary = os.path.join(folder, f".meshd-get-{os.getpid()}")
    opened = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        value = _fetch(options, opened)
        path = os.path.join(folder, _safe_name(value)) if into_folder else target
        if into_folder:
            # The name comes from another node: it must not replace anything of ours.
            _link(temporary, path)
        else:
            os.rename(temporary, path)
    finally:
        os.close(opened)
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    sync_folder(folder)
    value = {**value, "path": os.path.abspath(path)}
    show(options, "get", value, path)
    talk(f"complete: {size(number(value, 'size'))}")
    return Exit.OK


def _fetch(options: Namespace, opened: int) -> dict[str, object]:
    bar = ProgressBar(f"get {clean(options.name)}")
    args: dict[str, object] = {"space": options.space, "name": options.name}
    if options.timeout is not None:
        # The daemon gives up when nothing arrived for that long; a big file may take any time.
        args["wait_s"] = min(3600, max(1, int(options.timeout or 3600)))
    try:
        with Client(state_dir(options.state_dir), timeout_s=None) as client:
            return client.call("get", args, file=opened, on_progress=bar.update)
    finally:
        bar.close()


def _list(options: Namespace) -> int:
    with Client(state_dir(options.state_dir), timeout_s=options.timeout or LIST_S) as client:
        value = client.call("files", {"space": options.space})
    rows = [
        (
            row.get("name"),
            size(number(row, "size")) if "size" in row else None,
            str(row.get("file", ""))[:16],
            row.get("kept_by"),
            _state(row),
        )
        for row in rows_of(value, "files")
    ]
    if not rows and not options.json:
        talk("no files yet; put one there with: meshd put SPACE FILE")
    heads = ("name", "size", "id", "kept by", "state")
    shown = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    text = table(heads[:shown], [row[:shown] for row in rows]) if rows else ""
    show(options, "files", value, text)
    return Exit.OK


def _state(row: Mapping[str, object]) -> str:
    """Return where a file stands, as people read it; "" where nobody looked."""
    words = [str(row.get("why") or row.get("state") or "")]
    complete = row.get("complete_at")
    if complete and isinstance(complete, list):
        words.append(f"complete at {len(complete)}")
    return "; ".join(words + ([str(row["giving"])] if row.get("giving") else []))


def _get_to_stdout(options: Namespace) -> int:
    """Write to a nameless file first: only a complete file leaves."""
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        _fetch(options, file.fileno())
        file.seek(0)
        while data := file.read(_COPY_BYTES):
            sys.stdout.buffer.write(data)
    return Exit.OK


def _safe_name(value: dict[str, object]) -> str:
    """Return the name that another node gave a file, when it can do no harm in a folder of ours.

    A file that begins with a dot is one that programs read unasked; a hyphen begins an option.
    """
    name = os.path.basename(str(value.get("name") or ""))
    plain = name.lstrip(".-")
    usable = bool(plain) and name.isprintable() and len(os.fsencode(name)) <= 255
    if not usable or name != plain:
        example = f", for example -o {shlex.quote(plain)}" if usable else ""
        raise RequestError(
            f"the file's name, {clean(value.get('name'))}, is not used here",
            remedy=f"choose one with -o FILE{example}",
        )
    return name


def _link(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise RequestError(
            f"{path}: stands there already", remedy=f"say so to replace it: -o {path}"
        ) from error
    except OSError:
        # Some file systems have no hard links.
        if os.path.lexists(path):
            raise RequestError(f"{path}: stands there already", remedy="choose -o FILE") from None
        os.rename(temporary, path)
