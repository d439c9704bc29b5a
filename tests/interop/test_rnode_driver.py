"""The emulated RNode against the driver that RNodes are made for, unchanged.

Checks what our own dialect can not: that the emulator answers as the firmware does, and not merely
as we think. Packets of more than 254 bytes travel as two frames.
"""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from meshd.simulation.modems.air import RealAir, Wanted

PAIR = Path(__file__).parent / "reticulum_pair.py"
LIMIT_S = 60.0
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("RNS") is None,
    reason="Reticulum is not installed (pip install rns); it is no dependency for its licence",
)


def test_announce_and_proved_packets_over_emulated_rnodes(tmp_path):
    async def scene():
        air = RealAir(1)
        try:
            ports = [str(tmp_path / name) for name in ("a", "b")]
            for number, port in enumerate(ports):
                air.place(Wanted("rnode", port, (0.0, 500.0 * number)))
            pair = await asyncio.create_subprocess_exec(
                *(sys.executable, str(PAIR), str(tmp_path), *ports),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(LIMIT_S):
                said, _ = await pair.communicate()
        finally:
            air.close()
        return said.decode()

    said = asyncio.run(scene())
    for line in ("announce True", "proved 20 True", "proved 350 True", "got 350 -94 14.0"):
        assert line in said, said
