"""Emulated Meshtastic radios as their owners have set them: one, or some on pseudo-terminals with a
loop and a thread of their own.
"""

import asyncio
import threading
from concurrent.futures import Future

from meshd.core.airtime import LONG_FAST
from meshd.simulation.media.lora import RadioSetting
from meshd.simulation.modems.air import RealAir, Wanted
from meshd.simulation.modems.meshtastic import MeshtasticEmulator
from meshd.simulation.modems.meshtastic_owner import Owner

LIMIT_S = 20.0
OWNERS = RadioSetting(LONG_FAST, 869_525_000, 14.0)


class OwnersBoard(MeshtasticEmulator):
    """As its owner has set it."""

    def __init__(self, radio, schedule, faults):
        radio.tune(OWNERS)
        super().__init__(radio, schedule, faults)


def framed(message) -> bytes:
    """Return one of the vendor's messages as it goes over the port."""
    data = message.SerializeToString()
    return b"\x94\xc3" + len(data).to_bytes(2, "big") + data


class Radios:
    """Radios at ports, for clients that block; set by their owner to `setting`."""

    def __init__(self, *ports, setting, faults=()):
        self._setting = setting
        self._up = Future()
        self._thread = threading.Thread(target=self._run, args=(ports, faults), daemon=True)
        self._thread.start()
        self.placed = self._up.result(LIMIT_S)

    def _run(self, ports, faults):
        asyncio.run(self._live(ports, faults))

    async def _live(self, ports, faults):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._air = RealAir(1)
        try:
            self._up.set_result([self._place(port, faults) for port in ports])
            await self._over.wait()
        finally:
            self._air.close()

    def _place(self, port, faults):
        placed = self._air.place(Wanted("meshtastic", str(port), faults=faults))
        placed.emulator.owner = Owner(self._setting)
        placed.emulator.power_on()
        return placed

    def has_own_usb(self, number, *, away_s=1.0, comes_back=True):
        """Let the port of a radio go away while it restarts, as that of a chip with USB does."""
        placed = self.placed[number]

        def again():
            new = self._place(placed.wanted.port, placed.wanted.faults)
            new.emulator.owner = placed.emulator.owner
            new.emulator.power_on()
            self.placed[number] = new

        def down():
            self._air.remove(placed)
            if comes_back:
                self._loop.call_later(away_s, again)

        placed.emulator._go_down = down

    def close(self):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LIMIT_S)
