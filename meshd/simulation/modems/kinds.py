"""All modems that can be emulated, by the names of `meshd emulate`."""

from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.modems.meshcore import MeshCoreEmulator
from meshd.simulation.modems.rnode import RnodeEmulator

EMULATORS: dict[str, type[Emulator]] = {
    emulator.kind: emulator for emulator in (RnodeEmulator, MeshCoreEmulator)
}
