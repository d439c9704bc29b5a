"""All modems that meshd speaks to, by the name that the configuration and `--kind` use.

The order is that of asking on an unknown port: who asks first does least harm to the others.
An RNode is asked four bytes that mean nothing elsewhere and end no line; MeshCore's ping would be
a radio state to an RNode, though one that means nothing. What wakes a Meshtastic radio ends no
line; AT commands make others say an error; an Ebyte comes last: its mode pins have to be moved.
"""

from meshd.radio.ebyte import Ebyte, RssiScale
from meshd.radio.meshcore import MeshCore
from meshd.radio.meshtastic.modem import Meshtastic
from meshd.radio.modem import Modem, RadioPlan
from meshd.radio.rak3172 import Rak3172
from meshd.radio.reyax import Reyax
from meshd.radio.rn2483 import Rn2483
from meshd.radio.rnode import Rnode

KINDS: dict[str, type[Modem]] = {
    modem.kind: modem for modem in (Rnode, MeshCore, Meshtastic, Rak3172, Reyax, Rn2483, Ebyte)
}


def made(
    kind: str, plan: RadioPlan, *, rssi_scale: str = "full", module_dbm: int | None = None
) -> Modem:
    """Return a modem of a kind for a plan; the rest is for an Ebyte alone."""
    if kind == Ebyte.kind:
        return Ebyte(plan, rssi_scale=RssiScale(rssi_scale), module_dbm=module_dbm)
    return KINDS[kind](plan)
