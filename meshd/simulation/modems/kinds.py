"""All modems that can be emulated, by the names of `meshd emulate`."""

from meshd.simulation.modems.ebyte import EbyteEmulator
from meshd.simulation.modems.emulator import Emulator
from meshd.simulation.modems.meshcore import MeshCoreEmulator
from meshd.simulation.modems.meshtastic import MeshtasticEmulator
from meshd.simulation.modems.rak3172 import Rak3172Emulator
from meshd.simulation.modems.reyax import ReyaxEmulator
from meshd.simulation.modems.rn2483 import Rn2483Emulator
from meshd.simulation.modems.rnode import RnodeEmulator

EMULATORS: dict[str, type[Emulator]] = {
    emulator.kind: emulator
    for emulator in (
        RnodeEmulator,
        MeshCoreEmulator,
        MeshtasticEmulator,
        Rak3172Emulator,
        ReyaxEmulator,
        Rn2483Emulator,
        EbyteEmulator,
    )
}
