"""The demo: five real daemons in a row tell what meshd does, each step measured.

Enters: whether to stay afterwards. Leaves: the story on stdout, its figures as
JSON, an exit code. Without namespaces it plays the same story with leaves on the loopback, where
the steps about routes do not apply.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from meshd.core.errors import Exit
from meshd.lab import namespaces as lab
from meshd.lab.daemons import Json
from meshd.lab.stage import MIDDLE, NAMES, LoopbackStage, RadioStage, Stage
from meshd.lab.story import SPACE, Story
from meshd.lab.teller import Teller

TREE = Path(__file__).resolve().parents[2]
REPORT = Path("build/demo.json")


def main(options: argparse.Namespace) -> int:
    """Play the demo; return 0 when it was told to its end and every step that applies held."""
    if not options.leaf:
        lab.enter_user_namespace([sys.executable, "-m", "meshd", *sys.argv[1:]])
    teller = Teller(sys.stderr if options.json else sys.stdout)
    folder = Path(tempfile.mkdtemp(prefix="meshd-demo-"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    stage: Stage | None = None
    story: Story | None = None
    interrupted = False
    try:
        stage = _stage(folder, teller, leaf=options.leaf)
        story = Story(stage, teller)
        story.tell()
        teller.table(story.outcomes)
        if options.json:
            sys.stdout.write(json.dumps({"schema": "meshd.demo/1", **_report(story)}) + "\n")
            sys.stdout.flush()
        else:
            _keep_figures(story)
        if not story.held:
            _keep_logs(folder, teller)
        if not options.once:
            _stay(story)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if stage:
            stage.close()
        shutil.rmtree(folder, ignore_errors=True)
    if interrupted:
        left = f"{folder} could not be removed" if folder.exists() else "all is cleaned up"
        teller.say(f"Stopped; {left}.")
    if story is None or not story.told:
        return Exit.INTERRUPTED
    return Exit.OK if story.held else Exit.ERROR


def _end(number: int, _: object) -> None:
    """End the story once: a second Ctrl-C must not end the cleaning up."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGTERM:
        sys.exit(Exit.INTERRUPTED)
    raise KeyboardInterrupt


def _stage(folder: Path, teller: Teller, *, leaf: bool) -> Stage:
    teller.title("meshd: five nodes in a row, and no network but their own")
    why = "no routes are wanted" if leaf else lab.obstacle()
    if why is None:
        teller.say(
            "Five real daemons, each in a network namespace of its own. Each hears only the nodes"
            " beside it, so the ends have to reach each other over four hops."
        )
    else:
        teller.say(
            f"Here {why}; so five daemons play as leaves on the loopback, each with the one before"
            " it as its peer."
        )
    line = " ~~~ ".join(NAMES)
    mark = line.index(NAMES[MIDDLE + 1]) - 3
    teller.picture(line, " " * mark + "^ here it will be cut")
    stage = RadioStage(folder) if why is None else LoopbackStage(folder)
    return stage


def _report(story: Story) -> Json:
    return {
        "mode": "namespaces" if story.stage.routed else "leaf",
        "held": story.held,
        "steps": [outcome.as_json() for outcome in story.outcomes],
    }


def _keep_figures(story: Story) -> None:
    try:
        story.teller.say(f"The figures are in {_write(_report(story))}.")
    except OSError as error:
        story.teller.say(f"The figures are not kept: {error.filename}: {error.strerror}.")


def _keep_logs(folder: Path, teller: Teller) -> None:
    """Copy what the five wrote to where it stays, and say what to do after a step that failed."""
    kept = Path(tempfile.mkdtemp(prefix="meshd-demo-logs-"))
    for log in sorted(folder.rglob("*.log")):
        shutil.copyfile(log, kept / "-".join(log.relative_to(folder).parts))
    teller.say(
        "A step did not hold. On a machine that is busy with other things its steps may take too"
        " long: try it again when it is idle. If it fails then too, please report it with the"
        f" figures and the logs, which are in {kept}."
    )


def _write(report: Json) -> Path:
    """Write the figures to build/ in the source tree, elsewhere to a temporary file."""
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if Path.cwd() == TREE and (TREE / "Makefile").exists():
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text)
        return REPORT
    with tempfile.NamedTemporaryFile(
        "w", prefix="meshd-figures-", suffix=".json", delete=False
    ) as file:
        file.write(text)
    return Path(file.name)


def _stay(story: Story) -> None:
    first, last = story.first, story.last
    name = f'"{SPACE}"'
    story.teller.say("The five stay up until Ctrl-C. In another terminal, try:")
    story.teller.commands(
        [
            ("how the far node is", last.command("status")),
            ("write something on node one …", first.command("post", name, '"hello"')),
            ("… and read it on node five", last.command("log", name)),
        ]
    )
    signal.pause()
