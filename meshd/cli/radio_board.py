"""radio set --set-board: what the configuration says goes into a Meshtastic board too.

Enters: a radio of the configuration that the law allows. Leaves: what its board was and is set to.
"""

import asyncio
import os
from argparse import Namespace
from typing import Any

from meshd.cli.client import Client, state_dir
from meshd.cli.output import talk
from meshd.config.values import AUTO, RadioConfig
from meshd.core.errors import Exit, RequestError
from meshd.radio.meshtastic.modem import Meshtastic
from meshd.radio.modem import RadioPlan
from meshd.runtime.serial.board import Board, look_at_board, set_board
from meshd.status.cells import rows_of

KIND = Meshtastic.kind
_DAEMON_S = 3.0


def set_now(options: Namespace, radio: RadioConfig) -> Board:
    """Set the board at a radio's port. Raises: RequestError."""
    if radio.kind not in (KIND, AUTO):
        raise RequestError(
            f"--set-board is for Meshtastic boards, and this radio is {radio.kind}",
            code=Exit.USAGE,
            remedy="leave it out: meshd sets every other kind itself when it starts",
        )
    if _in_use(options, radio.port):
        raise RequestError(
            f"{radio.port}: the daemon uses this board; it and the configuration are as they were",
            code=Exit.HARDWARE,
            remedy="stop meshd run first, then give this command again",
        )

    def tell(text: str) -> None:
        if not options.json:
            talk(text)

    tell(f"setting the board at {radio.port}; this takes half a minute when it is written to")
    try:
        return asyncio.run(set_board(radio.port, _plan(radio), radio.law.region, tell))
    except RequestError as error:
        text = f"{error.text}; the configuration is as it was"
        raise RequestError(text, code=error.code, remedy=error.remedy) from error


def _in_use(options: Namespace, port: str) -> bool:
    """Tell whether a running daemon's radio at this port is up: it will not let go of it."""
    try:
        with Client(state_dir(options.state_dir), timeout_s=_DAEMON_S) as client:
            status = client.call("status")
    except RequestError:
        return False  # None runs, or it does not say: the port will tell.
    device = os.path.realpath(port)
    return any(
        radio.get("state") == "up" and os.path.realpath(str(radio.get("port"))) == device
        for radio in rows_of(status, "radios")
    )


def remark(options: Namespace, radio: RadioConfig) -> str:
    """Return what the board at a port does not hold of its configuration; "": it fits."""
    where = f" --config {options.config}" if options.config else ""
    if not where and options.state_dir:
        where = f" --state-dir {options.state_dir}"
    said = asyncio.run(look_at_board(radio.port, _plan(radio), radio.law.region))
    return said.replace(" --set-board", f" --set-board{where}")


def fields(board: Board) -> dict[str, Any]:
    """Return how a board was and is set, for JSON."""
    return {
        "written": board.written,
        "before": board.before.words(),
        "after": board.after.words(),
    }


def words(value: dict[str, Any]) -> str:
    """Say the same for people."""
    if not value["written"]:
        return f"the board is set so already: {value['after']}"
    return f"the board was: {value['before']}\nthe board is:  {value['after']}"


def _plan(radio: RadioConfig) -> RadioPlan:
    return RadioPlan(radio.frequency_hz, radio.modulation, radio.tx_dbm)
