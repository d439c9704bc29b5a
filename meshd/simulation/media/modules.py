"""What a LoRa module makes of the frames that it is handed: how long they may be, what goes on air.

Enters: the name of a kind of module; the facts of it in `hardware/radios`. Leaves: a `Module`.
Must not know: air, protocols. What facts tell in words is written here: that one kind takes
characters only, and that firmware may sign.
"""

from dataclasses import dataclass
from functools import cache

from meshd.config.radios import facts_of
from meshd.core.airtime import FRAME_BYTES_MAX
from meshd.core.errors import UsageError

SIGNED = "meshtastic-signed"
"""A board whose firmware signs the broadcasts that leave room for it."""

MODULES = (
    *("rnode", "meshcore", "rak3172", "reyax", "rn2483", "ebyte"),
    *("meshtastic", SIGNED),
)
_BASE85 = ("reyax",)
_SIGNATURE_BYTES, _SIGNED_MAX = 66, 165


@dataclass(frozen=True, slots=True)
class Module:
    """A kind of module; as it stands, a bare chip that sends frames as they are.

    `base85`: frames travel as characters, five for four bytes. A frame of at most `signed_max` gets
    a signature. `listens`: it looks whether the channel is free before it sends.
    """

    name: str = ""
    frame_max: int = FRAME_BYTES_MAX
    added_bytes: int = 0
    listens: bool = True
    base85: bool = False
    signed_max: int = 0

    def on_air(self, size: int) -> int:
        """Return how many bytes a frame of so many takes on the air."""
        signature = _SIGNATURE_BYTES if self.signed_max and size <= self.signed_max else 0
        characters = -(-size * 5 // 4) if self.base85 else size
        return characters + self.added_bytes + signature


BARE = Module()


def kind_of(name: str) -> str:
    """Return the kind of radio whose facts a module has."""
    return "meshtastic" if name == SIGNED else name


@cache
def module_of(name: str) -> Module:
    """Return the module of a name, the bare chip for none. Raises: UsageError."""
    if not name:
        return BARE
    if name not in MODULES:
        raise UsageError(f"modem {name!r}: known are {', '.join(MODULES)}")
    facts = facts_of(kind_of(name))
    return Module(
        name,
        facts.frame_max,
        facts.added_bytes,
        facts.listens,
        base85=name in _BASE85,
        signed_max=_SIGNED_MAX if name == SIGNED else 0,
    )
