"""Who answers on a port when it is not the modem that was expected.

Enters: what came from the port, cut anywhere. Leaves: the kind that speaks like that, as the
configuration names it, or a few words for what meshd does not speak; None when nothing is known.
Only what a device says unasked, or to a command that it does not know, is looked for: nothing is
ever written to find out.
"""

KINDS = (
    ("meshtastic", (b"\x94\xc3", b"| ??:??:??", b"INFO  |", b"DEBUG |")),
    ("rn2483", (b"invalid_param", b"RN2483 ", b"RN2903 ", b"radio_err")),
    ("rak3172", (b"AT_COMMAND_NOT_FOUND", b"AT_PARAM_ERROR", b"AT_BUSY_ERROR", b"+EVT:", b"RUI_")),
    ("rak3172", (b"RAKwireless", b"Current Work Mode", b"AT_ERROR")),
    ("reyax", (b"+ERR=", b"+READY", b"+RCV=", b"+VER=RYLR")),
    ("ebyte", (b"\xff\xff\xff", b"\xc1\x00\x09", b"\xc1\x80\x07")),
)
"""Beginnings and pieces of what each kind says."""

OTHERS = (
    ("a GPS receiver", (b"$GP", b"$GN", b"$GL", b"$BD")),
    ("a Wio-E5, which meshd does not speak yet", (b"+AT: ", b"+TEST: ", b"+MODE: ")),
    ("a modem for mobile networks", (b"+CME ERROR", b"+CREG", b"+CPIN: ")),
    ("a console with a login", (b"login:", b"Password:")),
    ("a 3D printer or a controller of machines", (b"Grbl ", b"Marlin")),
)
"""What else sits on serial ports of such computers."""

KISS_END = b"\xc0"


def looks_like(data: bytes) -> str | None:
    """Return the kind or the words for what says this, or None."""
    for name, pieces in KINDS + OTHERS:
        if any(piece in data for piece in pieces):
            return name
    if data.count(KISS_END) >= 2 and data.startswith(KISS_END):
        return "rnode or meshcore"
    return None


def advice(data: bytes, kind: str, baud: int) -> str:
    """Return what to tell the owner of a port where no `kind` answers, but something does."""
    found = looks_like(data)
    if found is None:
        return (
            f"something answers, but not as a {kind} at {baud} baud does: check the kind and the "
            "speed that the module was set to"
        )
    known = {name for name, _ in KINDS} | {"rnode or meshcore"}
    if found in known:
        return f'this is no {kind}, it answers like {found}: set kind = "{found.split()[0]}"'
    return f"this is no {kind} but {found}: choose another port"
