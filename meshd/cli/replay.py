"""replay: what a recorded node was told, told again, and the state that it comes to."""

from argparse import ArgumentParser, Namespace

from meshd.cli.main import Command
from meshd.cli.output import common, print_json, say, seconds, show
from meshd.core.errors import Exit, RequestError
from meshd.core.snapshot import to_json
from meshd.recording.reader import Input
from meshd.recording.values import RecordingError
from meshd.simulation.replay import Output, Replay, Watcher
from meshd.status.text import status_text

_SHOWN_MAX = 160
_ENDS = {
    "stopped": "to its clean end",
    "killed": "to where it breaks off",
    "until": "as far as asked",
    "different": "up to a difference",
}


def add_replay(parser: ArgumentParser) -> Command:
    """Add the options of `meshd replay`."""
    common(parser, of_a_node=False)
    parser.add_argument("file", metavar="FILE", help="what `meshd run --record FILE` wrote")
    parser.add_argument(
        "--until", type=seconds, metavar="SECONDS", help="stop after this much of it"
    )
    parser.add_argument(
        "--events", action="store_true", help="show each input (>) and what came of it (<)"
    )
    return _replay


def _replay(options: Namespace) -> int:
    try:
        with open(options.file, "rb") as file:
            replay = Replay(file, watcher=_watcher(options) if options.events else None)
            until_us = None if options.until is None else int(options.until * 1e6)
            replay.run(until_us=until_us)
            value = _value(replay)
    except FileNotFoundError as error:
        raise RequestError(
            f"there is no file {options.file}",
            remedy="`meshd run --record FILE` writes one",
        ) from error
    except RecordingError as error:
        raise RequestError(
            f"{options.file}: {error}", remedy="give it a whole file of `meshd run --record`"
        ) from error
    show(options, "replay", value, _text(value))
    return Exit.ERROR if replay.difference is not None else Exit.OK


def _value(replay: Replay) -> dict[str, object]:
    found: dict[str, object] = {
        "node": replay.header.node,
        "version": replay.header.version,
        "ended": replay.ended,
        "inputs": replay.inputs,
        "outputs": replay.node.outputs,
        "checks": replay.checks,
        "elapsed_s": round(replay.elapsed_us / 1e6, 6),
    }
    if replay.failed is not None:
        found["failed"] = replay.failed
    if replay.difference is not None:
        found["difference"] = replay.difference._asdict()
    state, status = replay.found()
    found["state"], found["status"] = state, to_json(status)
    return found


def _text(value: dict[str, object]) -> str:
    lines = [
        f"replayed {value['inputs']} inputs of {value['elapsed_s']} s "
        f"{_ENDS[str(value['ended'])]}: {value['outputs']} outputs as recorded, "
        f"{value['checks']} states checked"
    ]
    if "failed" in value:
        lines.append(f"the node fails as it did there: {value['failed']}")
    difference = value.get("difference")
    if isinstance(difference, dict):
        lines.append(f"DIFFERENT at line {difference['line']}: {difference['what']}")
        lines.append(f"recorded by meshd {value['version']}")
    status = value["status"]
    assert isinstance(status, dict)
    return "\n".join([*lines, "", status_text(status)])


def _watcher(options: Namespace) -> Watcher:
    """Print what the node is told (>) and what it does (<), by the scale of --until."""
    began_us: list[int] = []

    def line(now: int, sign: str, text: str) -> None:
        now -= began_us[0] if began_us else 0
        text = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
        key = "told" if sign == ">" else "did"
        value: dict[str, object] = {"at_us": now, key: text}
        if options.json:
            print_json("replay.event", value)
        else:
            say(f"{now / 1e6:.6f} {sign} {text}")

    def told(now: int, said: Input) -> None:
        if said.at is not None and not began_us:
            began_us.append(said.at)
        line(now, ">", " ".join([said.verb.name, *map(repr, said.args)]))

    def did(now: int, output: Output) -> None:
        line(now, "<", repr(output))

    return Watcher(told, did)
