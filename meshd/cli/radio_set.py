"""radio set: a `[[radio]]` table of the configuration, made or changed, after the law was asked.

Nothing is written before the whole file as it would be was read, and holds against its region; a
board is set before the file (`radio_board.py`), so that a file never names what did not come true.
"""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from meshd.cli import radio_board
from meshd.cli.client import state_dir
from meshd.cli.output import argument, common, show, talk
from meshd.cli.regions import law_named, no_region
from meshd.config.edit import Value, edit_table, remove_table
from meshd.config.loader import parse
from meshd.config.paths import CONFIG_FILE, CONTROL_SOCKET
from meshd.config.radio_mend import without
from meshd.config.reader import read_document, read_text
from meshd.config.regions import law_of
from meshd.config.schema import RADIO
from meshd.config.values import AUTO, RADIO_KINDS, RadioConfig, choice
from meshd.core.alike import nearest
from meshd.core.errors import ConfigError, Exit, RequestError, UsageError
from meshd.radio.ebyte import Ebyte, granted_dbm, too_strong
from meshd.radio.kinds import KINDS
from meshd.runtime.disk import write_atomically
from meshd.runtime.serial.pins import pins_beside
from meshd.runtime.serial.scan import Found, identify

_NO_REGION = "no region is chosen, so this radio would send nothing; nothing was written"
_KEYS = {key.name: key for key in RADIO.keys}
_ASK_MAX_S = 10.0
_BESIDE_PLAN = ("antenna_dbi", "key_file", "rssi_scale")
"""What may change without a word to the board: it does not know them."""
_MEND = "mend the file first; docs/configuration.md describes every key"
_OPTIONS = (
    (
        "--kind",
        "kind",
        "KIND",
        str,
        f"what is plugged in: {', '.join(RADIO_KINDS)}; auto asks the port",
    ),
    ("--region", "region", "NAME", str, "whose law holds where the radio stands, as EU868"),
    ("--frequency", "frequency_mhz", "MHZ", float, "as 869.525, the usual one of EU868"),
    (
        "--sf",
        "spreading_factor",
        "N",
        int,
        "spreading factor, 7 to 12; usual: 9, or 7 in US915 and others, and for an Ebyte",
    ),
    (
        "--bandwidth",
        "bandwidth_khz",
        "KHZ",
        float,
        "125 (usual; Ebyte: or 250), 250 or 500; some go lower",
    ),
    ("--power", "power_dbm", "DBM", int, "into the antenna; usual: 14, or what the law allows"),
    ("--antenna", "antenna_dbi", "DBI", float, "what the antenna gains; usual: 2.15"),
    ("--module-dbm", "module_dbm", "22|30", int, "Ebyte only: the number after the T in its name"),
    ("--key-file", "key_file", "FILE", str, "what only your mesh has; `meshd radio key` makes it"),
    ("--rssi-scale", "rssi_scale", "full|half", str, "Ebyte only: how it counts signal strength"),
)
_USUAL = {option[2:]: key for option, key, *_ in _OPTIONS if key != "region"}
"""What can be taken out of the file: the names of options, and the keys of the file."""


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `meshd radio set`."""
    common(parser)
    parser.add_argument("port", metavar="PORT", help="as `meshd radio scan` tells it")
    for option, key, shown, kind, about in _OPTIONS:
        convert = argument(_converter(key, kind))
        parser.add_argument(option, dest=key, type=convert, metavar=shown, help=about)
    parser.add_argument(
        "--usual",
        action="append",
        default=[],
        type=argument(_usual_key),
        metavar="KEY",
        help="take this key out of the file, so that its default holds; may be given again: "
        + ", ".join(_USUAL),
    )
    parser.add_argument(
        "--remove",
        action="store_true",
        help="take this radio out of the file, with all that was set for it; other options have no "
        "use then",
    )
    parser.add_argument(
        "--set-board",
        action="store_true",
        help="Meshtastic only: write region, data rate, frequency and power into the board too, "
        "which keeps them and may restart for it; only if it is set otherwise. Boards that stay as "
        "they are no longer hear it. A daemon that uses the board has to be stopped first",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="the file to change; default: STATE_DIR/meshd.toml"
    )


def _usual_key(text: str) -> str:
    """Return the key of the file that is meant by its name there, or by its option's."""
    keys = set(_USUAL.values())
    if text not in keys and text not in _USUAL:
        choice(text, tuple(_USUAL))
    return _USUAL.get(text, text)


def _converter(key: str, kind: type) -> Callable[[str], object]:
    """Return a parser of an option's text, with the bounds of the file's key."""

    def convert(text: str) -> object:
        try:
            value = os.path.abspath(text) if key == "key_file" and text else kind(text)
        except (ValueError, OverflowError):
            raise ValueError(f'"{text}" is no number') from None
        _KEYS[key].convert(value)
        return value

    def told(text: str) -> object:
        try:
            return convert(text)
        except UsageError as error:
            raise ValueError(str(error)) from error

    return told


def run_set(options: Namespace) -> int:
    """Carry out `meshd radio set`."""
    folder = state_dir(options.state_dir)
    file = os.path.abspath(options.config or os.path.join(folder, CONFIG_FILE))
    made = not os.path.exists(file)
    home = os.path.dirname(file)
    if options.config and not os.path.isdir(home):
        raise RequestError(
            f"{home}: no such directory",
            code=Exit.NOT_FOUND,
            remedy=f"make it with: mkdir -p {home}, or leave --config out",
        )
    text = "" if made else read_text(file, remedy=_MEND)
    if options.remove:
        return _remove(options, text, file)
    index, tables = _place(text, file, options.port)
    wanted = _wanted(options)
    if "region" not in {**(tables[index] if index < len(tables) else {}), **wanted}:
        raise _without_region(options.port, file, tables)
    _check_region(options, wanted, tables, index)
    if index == len(tables):
        wanted = {"port": os.path.abspath(options.port), **wanted}
    edited = edit_table(text, file, ("radio", index), wanted)
    radio = _judged(text, edited.text, file, index)
    board = radio_board.set_now(options, radio) if options.set_board else None
    if edited.text != text:
        _write(file, edited.text)
    planned = any(change.key not in _BESIDE_PLAN for change in edited.changes)
    asks = not board and (options.kind or made or index == len(tables) or planned)
    remarks = (_too_strong(radio), _keyless(radio), _remark(options, radio) if asks else "")
    value = {
        "file": file,
        "created": made and edited.text != text,
        "changes": [change._asdict() for change in edited.changes],
        "radio": _fields(radio),
        **({"board": radio_board.fields(board)} if board else {}),
        "remark": "; ".join(remark for remark in remarks if remark),
        "next": _next(folder, options.config, changed=bool(edited.changes))
        if edited.changes or (board and board.written)
        else "",
    }
    show(options, "radio.set", value, _words(value, radio))
    return Exit.OK


def _remove(options: Namespace, text: str, file: str) -> int:
    """Take a radio out of the file."""
    index, tables = _place(text, file, options.port)
    if index == len(tables):
        known = ", ".join(str(table["port"]) for table in tables if "port" in table)
        raise RequestError(
            f"no radio {options.port} is in {file}; nothing was written",
            code=Exit.NOT_FOUND,
            remedy=f"its radios: {known}" if known else "there is none in it",
        )
    port = str(tables[index]["port"])
    _write(file, remove_table(text, file, ("radio", index)))
    folder = state_dir(options.state_dir)
    step = _next(folder, options.config, changed=True)
    value: dict[str, object] = {"file": file, "removed": port, "next": step}
    show(options, "radio.set", value, f"{file}: [[radio]] {port} is taken out\nnext: {step}")
    return Exit.OK


def _check_region(
    options: Namespace,
    wanted: dict[str, Value | None],
    tables: list[dict[str, object]],
    index: int,
) -> None:
    """Refuse another region than that of the node's other radios, and tell how to move them all."""
    region = wanted.get("region")
    others = [*tables[:index], *tables[index + 1 :]]
    beside = [one for one in others if _region_of(one) not in (None, region)]
    if region is None or not beside:
        return
    there = _there(options)
    steps = [f"meshd radio set {one.get('port')} --remove{there}" for one in beside]
    table = tables[index] if index < len(tables) else {}
    moved = {"port": os.path.abspath(options.port), **table, "region": region}
    usual = "".join(f" --usual {key}" for key in _unfit(moved))
    steps.append(f"meshd radio set {options.port} --region {region}{usual}{there}")
    known = _region_of(beside[0])
    raise RequestError(
        f"another radio of this node, {beside[0].get('port')}, is in {known}; a node is in one "
        "region",
        code=Exit.USAGE,
        remedy=f"nothing was written; to stay in {known}: --region {known}; to move the node: "
        f"{'; then '.join(steps)}; then set what was taken out anew, with --region {region}",
    )


def _unfit(table: dict[str, object]) -> tuple[str, ...]:
    """Return the fewest keys without which a table holds in its region; () where none help."""
    try:
        read = {key: _KEYS[key].convert(value) for key, value in table.items()}
    except (KeyError, ValueError, UsageError):
        return ()
    return without(read)


def _region_of(table: dict[str, object]) -> str | None:
    """Return the region of a table of the file, however it is written; None: it names none."""
    try:
        return law_of(str(table.get("region"))).region
    except UsageError:
        return None


def _there(options: Namespace) -> str:
    """Return the options that name the same file again."""
    there = f" --state-dir {options.state_dir}" if options.state_dir else ""
    return there + (f" --config {options.config}" if options.config else "")


def _place(text: str, file: str, port: str) -> tuple[int, list[dict[str, object]]]:
    """Return which table is about a port, the one after the last if none is, and all tables."""
    tables = read_document(text, file, remedy=_MEND).get("radio", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{file}: radio must be tables [[radio]]", remedy=_MEND)
    device = os.path.realpath(port)
    for index, table in enumerate(tables):
        if "port" in table and os.path.realpath(str(table["port"])) == device:
            return index, tables
    return len(tables), tables


def _without_region(port: str, file: str, tables: list[dict[str, object]]) -> RequestError:
    """Return what to say of a port that has no region: it may be a slip of one that has."""
    known = next((region for table in tables if (region := _region_of(table))), "")
    error = no_region(_NO_REGION, known)
    folder, name = os.path.split(os.path.abspath(port))
    ports = [os.path.abspath(str(table.get("port", ""))) for table in tables]
    beside = [one for one in ports if os.path.dirname(one) == folder]
    near = nearest(name, [os.path.basename(one) for one in beside])
    if near is None or os.path.exists(port):
        return error
    return RequestError(
        f"no radio {port} is in {file}; nothing was written",
        code=Exit.USAGE,
        remedy=f"did you mean {os.path.join(folder, near)}? For one radio more: {error.remedy}",
    )


def _wanted(options: Namespace) -> dict[str, Value | None]:
    """Return the keys that options name; None: its line goes."""
    given = {key: getattr(options, key) for key in _KEYS if key != "port"}
    if given["region"] is not None:
        given["region"] = law_named(given["region"]).region
    wanted = {key: value for key, value in given.items() if value is not None}
    for key in options.usual:
        if key in wanted:
            raise RequestError(f"{key} is set and taken out at once", code=Exit.USAGE)
        wanted[key] = None
    return wanted


def _judged(before: str, text: str, file: str, index: int) -> RadioConfig:
    """Return a radio of a text that is not written yet. Raises: RequestError.

    What is wrong in the file as it is, and not mended so, is told as the file's; of the other
    radios each can be set by itself, so theirs is no hindrance.
    """
    mend = ""
    try:
        radio = parse(text, file, unfit=True).radios[index]
    except ConfigError as error:
        said = _mistakes(error, file)
        known = _known(before, file)
        if known is not None and set(said) <= set(_mistakes(known, file)):
            raise ConfigError(known.text, remedy=_MEND) from error
    else:
        if not radio.unfit:
            return radio
        said, mend = [_unplaced(radio.unfit, file)], radio.mend
    raise RequestError("\n".join(said), code=Exit.USAGE, remedy=_remedy(said, mend))


def _known(text: str, file: str) -> ConfigError | None:
    """Return what is wrong in a file as it is; None: it holds."""
    try:
        parse(text, file, unfit=True)
    except ConfigError as error:
        return error
    return None


def _mistakes(error: ConfigError, file: str) -> list[str]:
    return [_unplaced(line, file) for line in error.text.split("\n")]


def _unplaced(line: str, file: str) -> str:
    """Return a mistake without its file and line."""
    return line.removeprefix(f"{file}:").partition(": ")[2]


def _remedy(said: list[str], mend: str) -> str:
    """Return the options that mend what the law, or the file, says of keys."""
    if any('"module_dbm" is missing' in line for line in said):
        return "add --module-dbm 22 or --module-dbm 30, the number after the T in its name"
    blamed = [line.partition(": ")[0].rpartition(".")[2] for line in said]
    named = [option for option, key, *_ in _OPTIONS if key in blamed]
    change = f"change {' and '.join(named)}" if named else "change what it speaks of"
    if mend:  # The usual value is one of many where nothing tells which is nearest.
        change = f"{change}, or {mend}" if mend.startswith("--usual") else mend
    return f"nothing was written; {change}; docs/regions.md lists what each region allows"


def _write(file: str, text: str) -> None:
    """Replace the file, or what a link leads to, whole; who may read it stays."""
    path = os.path.realpath(file)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # as the daemon makes it
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        owner = os.stat(path if os.path.exists(path) else os.path.dirname(path))
        write_atomically(path, text.encode(), mode=mode)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise RequestError(
            f"{file}: cannot be written: {error.strerror}; it is as it was",
            code=Exit.DENIED if isinstance(error, PermissionError) else Exit.ERROR,
            remedy="run this as the user who owns the file, or make room on its disk",
        ) from error


def _fields(radio: RadioConfig) -> dict[str, object]:
    """Return what the radio does now, with what the law gives it."""
    band = radio.law.judge(
        radio.frequency_hz,
        radio.modulation.bandwidth_hz,
        radio.tx_dbm,
        antenna_dbi=radio.antenna_dbi,
        listens=True,
    )
    return {
        "port": radio.port,
        "kind": radio.kind,
        "region": radio.law.region,
        "frequency_mhz": radio.frequency_hz / 1e6,
        "spreading_factor": radio.modulation.spreading_factor,
        "bandwidth_khz": radio.modulation.bandwidth_hz / 1e3,
        "power_dbm": _granted_dbm(radio) or radio.tx_dbm,
        "power_dbm_max": round(band.tx_dbm_max(radio.antenna_dbi), 2),
        "antenna_dbi": radio.antenna_dbi,
        "band": band.name,
        "duty_percent": band.duty_ppm / 10_000,
    }


def _granted_dbm(radio: RadioConfig) -> int | None:
    """Return the power that its modem will have of the one wanted; None: it has none so low."""
    if radio.kind == Ebyte.kind and radio.module_dbm is not None:
        return granted_dbm(radio.module_dbm, radio.tx_dbm)
    return radio.tx_dbm


def _too_strong(radio: RadioConfig) -> str:
    """Return why the modem will not take its power, "" where it will."""
    if _granted_dbm(radio) is not None or radio.module_dbm is None:
        return ""
    return f"{too_strong(radio.module_dbm)}, so it stays silent"


def _keyless(radio: RadioConfig) -> str:
    """Return what is to be done where the radio's key file is missing, "" where it is there."""
    if radio.key_file is None or os.path.exists(radio.key_file):
        return ""
    return (
        f"{radio.key_file} is not there now: copy it from a node of that mesh, or begin a mesh "
        f"with meshd radio key {radio.key_file}"
    )


def _remark(options: Namespace, radio: RadioConfig) -> str:
    """Return what is not as written at the port now, "" when nothing is; it sets nothing."""
    if not os.path.exists(radio.port):
        return (
            f"{radio.port} is not there now: plug the radio in, meshd will find it; if its name is "
            f"mistyped, meshd radio set {radio.port} --remove{_there(options)} takes it out"
        )
    if radio.kind == AUTO:
        return ""
    if KINDS[radio.kind].needs_pins and pins_beside(radio.port) is None:
        return f"its mode pins are not there: link them as {radio.port}.m0 and {radio.port}.m1"
    if not options.json:
        talk(f"asking {radio.port} what is on it; this takes some seconds")
    found = asyncio.run(_found(radio))
    if found.kind == radio.kind:
        return radio_board.remark(options, radio) if radio.kind == radio_board.KIND else ""
    if found.kind:
        return f"what answers there is {found.kind}, not {radio.kind}: --kind {found.kind}"
    if "has it open" in found.problem:
        who, _, _ = found.problem.partition(":")  # Mostly the daemon, and it tells what it finds.
        return f"{radio.port} was not asked what is on it: {who}"
    return f"no {radio.kind} answered there now; meshd radio scan --port {radio.port} tells more"


async def _found(radio: RadioConfig) -> Found:
    """Ask the port, first for what is expected there."""
    try:
        return await asyncio.wait_for(identify(Found(radio.port), first=radio.kind), _ASK_MAX_S)
    except TimeoutError:
        return Found(radio.port)


def _next(folder: str, config: str | None, *, changed: bool) -> str:
    """Return what makes the daemon use what was written: a file that `changed`, or a board."""
    usual = folder == state_dir(None)
    where = "" if usual else f" --state-dir {folder}"
    if os.path.exists(os.path.join(folder, CONTROL_SOCKET)):
        lists = f"meshd radio list{where}"
        if changed:
            return f"the daemon reads its file when it starts: start it again, then {lists}"
        return f"the daemon takes the board at its next try, within half a minute: {lists}"
    said = f" --config {config}" if config else f" --state-dir {folder}"
    words = "" if usual and not config else said
    return f"meshd run{words}, then meshd radio list{where} shows how it is"


def _words(value: dict[str, Any], radio: RadioConfig) -> str:
    now = _fields(radio)
    changes = value["changes"]
    made = " (a new file)" if value["created"] else ""
    said = [f"{value['file']}: [[radio]] {radio.port}{made}"]
    said += [
        f"  {change['key']}: {_was(change['before'])} -> {_was(change['after'])}"
        for change in changes
    ]
    if not changes:
        said.append("  it stands there so already")
    said.append(
        f"it sends at {now['frequency_mhz']:g} MHz, SF{now['spreading_factor']}, "
        f"{now['bandwidth_khz']:g} kHz, {now['power_dbm']} dBm; {radio.law.region} allows "
        f"{now['power_dbm_max']:g} dBm with this antenna, and {now['duty_percent']:g} % of any hour"
    )
    if "board" in value:
        said.append(radio_board.words(value["board"]))
    if value["remark"]:
        said.append(f"but: {value['remark']}")
    if value["next"]:
        said.append(f"next: {value['next']}")
    return "\n".join(said)


def _was(value: Value | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "not set" if value is None else str(value)
