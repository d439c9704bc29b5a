"""All modems that meshd speaks to, by the name that the configuration and `--kind` use.

The order is that of asking on an unknown port: who asks first does least harm to the others.
An RNode is asked four bytes that mean nothing elsewhere and end no line; MeshCore's ping would be
a radio state to an RNode, though one that means nothing.
"""

from meshd.radio.meshcore import MeshCore
from meshd.radio.modem import Modem
from meshd.radio.rnode import Rnode

KINDS: dict[str, type[Modem]] = {modem.kind: modem for modem in (Rnode, MeshCore)}
