"""An emulated RN2483: its words, its two spaces, its one packet per reception.

Enters: command lines, frames from the air. Leaves: answers, frames on the air. Written from the
facts in hardware/radios/rn2483.toml. Modelled: LoRaWAN that has to be paused, reception that ends
with a packet or with the watchdog, `busy`, what a restart forgets. Not modelled: FSK, LoRaWAN.
"""

import re
from typing import ClassVar

from meshd.core.airtime import Modulation
from meshd.simulation.media.lora import Radio, RadioSetting, TimeAndChance
from meshd.simulation.modems.text import COMMON_FAULTS, TextEmulator

_BANDS = {"RN2483": ((433_050, 434_790), (863_000, 870_000)), "RN2903": ((902_000, 928_000),)}
_POWERS = {"RN2483": range(-3, 16), "RN2903": range(2, 21)}
_WORDS = {
    "mod": r"lora",
    "sf": r"sf(?:[7-9]|1[0-2])",
    "bw": r"125|250|500",
    "cr": r"4/[5-8]",
    "prlen": r"\d{1,5}",
    "crc": r"on|off",
    "iqi": r"on|off",
    "sync": r"[0-9a-fA-F]{1,2}",
    "wdt": r"\d{1,10}",
    "freq": r"\d{9}",
    "pwr": r"-?\d{1,2}",
}
_DEFAULTS = {
    "mod": "lora",
    "sf": "sf12",
    "bw": "125",
    "cr": "4/5",
    "prlen": "8",
    "crc": "on",
    "iqi": "off",
    "sync": "34",
    "wdt": "15000",
    "freq": "868100000",
    "pwr": "1",
}


class Rn2483Emulator(TextEmulator):
    """An RN2483, or with the fault `rn2903` the module for 915 MHz."""

    kind = "rn2483"
    baud = 57_600
    FAULTS: ClassVar[dict[str, str]] = COMMON_FAULTS | {
        "rn2903": "is the module for 915 MHz",
        "no-rssi": "has old firmware that does not tell signal strength",
        "tx-fails": "says radio_err instead of sending",
        "lies": "says radio_tx_ok when it begins to send",
        "never-done": "never says radio_tx_ok",
        "busy": "says busy to every third packet",
    }

    def __init__(self, radio: Radio, schedule: TimeAndChance, faults: frozenset[str]) -> None:
        super().__init__(radio, schedule, faults)
        self._model = "RN2903" if "rn2903" in faults else "RN2483"
        self._set: dict[str, str] = {}
        self._paused = False
        self._reception = 0
        self._figures = (-128, 0)

    # --- power ------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._set = dict(_DEFAULTS)
        if self._model == "RN2903":
            self._set["freq"] = "923300000"
        self._paused = False
        self._reception += 1
        self._tune()

    def _started(self) -> None:
        self._say(self._version())

    def _version(self) -> bytes:
        return f"{self._model} 1.0.{3 if 'no-rssi' in self.faults else 5} Oct 31 2018".encode()

    def _tune(self) -> None:
        values = self._set
        modulation = Modulation(
            int(values["sf"][2:]),
            int(values["bw"]) * 1_000,
            int(values["cr"][2:]) - 4,
            max(int(values["prlen"]), 6),
        )
        self.radio.tune(
            RadioSetting(
                modulation,
                int(values["freq"]),
                float(values["pwr"]),
                sync_word=int(values["sync"], 16),
            )
        )

    # --- commands ---------------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        words = line.decode("ascii", "replace").split(" ")
        if words == ["sys", "get", "ver"]:
            self._say(self._version())
        elif words == ["sys", "reset"]:
            self.power_on()
        elif words == ["mac", "pause"]:
            self._paused = True
            self._say(b"4294967245")
        elif words[:2] == ["radio", "set"] and len(words) == 4:
            self._say(b"ok" if self._accept(words[2], words[3]) else b"invalid_param")
        elif words[:2] == ["radio", "get"] and len(words) == 3:
            self._read(words[2])
        elif words == ["radio", "rxstop"]:
            self.listening = False
            self._reception += 1
            self._say(b"ok")
        elif words[:2] == ["radio", "rx"] and len(words) == 3 and words[2].isdigit():
            self._receive()
        elif words[:2] == ["radio", "tx"] and len(words) == 3:
            self._send(words[2])
        else:
            self._say(b"invalid_param")

    def _accept(self, name: str, value: str) -> bool:
        if name not in _WORDS or not re.fullmatch(_WORDS[name], value):
            return False
        if name == "freq":
            kilohertz = int(value) / 1_000
            if not any(low <= kilohertz <= high for low, high in _BANDS[self._model]):
                return False
        if name == "pwr" and int(value) not in _POWERS[self._model]:
            return False
        self._set[name] = value
        self._tune()
        return True

    def _read(self, name: str) -> None:
        if name == "snr":
            self._say(b"%d" % self._figures[1])
        elif name == "rssi" and "no-rssi" not in self.faults:
            self._say(b"%d" % self._figures[0])
        elif name in self._set:
            self._say(self._set[name].encode())
        else:
            self._say(b"invalid_param")

    # --- reception --------------------------------------------------------------------------------

    def _receive(self) -> None:
        if not self._paused or self.listening or self.radio.sending:
            self._say(b"busy")
            return
        self.listening = True
        self._reception += 1
        watchdog_ms = int(self._set["wdt"])
        if watchdog_ms:
            when_us = self.schedule.now + watchdog_ms * 1_000
            self.schedule.at(when_us, self._watchdog, self._reception)
        self._say(b"ok")

    def _watchdog(self, reception: int) -> None:
        if self.listening and reception == self._reception:
            self.listening = False
            self._say(b"radio_err")

    def _received(self, frame: bytes, rssi_dbm: float, snr_db: float) -> None:
        if not self.listening:
            return
        self.listening = False
        self._figures = (round(rssi_dbm), round(self.told_snr_db(snr_db)))
        self._hand_over(b"radio_rx  " + frame.hex().upper().encode())

    # --- sending ----------------------------------------------------------------------------------

    def _send(self, digits: str) -> None:
        if not self._paused or self.listening or self.radio.sending:
            self._say(b"busy")
            return
        if not re.fullmatch(r"([0-9a-fA-F]{2}){1,255}", digits):
            self._say(b"invalid_param")
            return
        if not self._may_send():
            return
        if "busy" in self.faults and self._asked_to_send % 3 == 0:
            self._say(b"busy")
            return
        self._say(b"ok")
        if "tx-fails" in self.faults:
            self._say(b"radio_err")
            return
        self.radio.transmit(bytes.fromhex(digits), "rn2483")
        if "lies" in self.faults:
            self._say(b"radio_tx_ok")

    def _sent(self) -> None:
        if not self.faults & {"lies", "never-done"}:
            self._say(b"radio_tx_ok")
