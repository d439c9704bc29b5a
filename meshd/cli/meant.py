"""What a person may have meant by a word that is no command and no option here."""

from collections.abc import Iterable

from meshd.core.alike import nearest

_OTHER_NAMES = {
    "--power": ("--tx-dbm", "--tx-power", "--txpower", "--dbm", "--power-dbm"),
    "--sf": ("--spreading-factor", "--spreading", "--spreadfactor"),
    "--bandwidth": ("--bw", "--bandwidth-khz"),
    "--frequency": ("--freq", "--mhz", "--frequency-mhz"),
    "--region": ("--country", "--law"),
    "--interface": ("--iface", "--dev", "--device", "--link"),
    "--state-dir": ("--dir", "--home", "--data-dir", "--path"),
    "--timeout": ("--deadline",),
    "--count": ("--number", "--times"),
    "--limit": ("--last", "--tail", "--max"),
    "--record": ("--pcap", "--capture"),
    "--follow": ("-f", "--watch"),
    "--for": ("--duration",),
    "run": ("start", "daemon", "serve", "up"),
    "init": ("keygen", "setup"),
    "status": ("info", "show", "stats", "health"),
    "neighbours": ("peers", "nodes", "links"),
    "watch": ("monitor", "events", "tail"),
    "message": ("send", "msg", "dm", "chat", "text", "write"),
    "messages": ("inbox", "outbox", "mail"),
    "post": ("say", "publish"),
    "log": ("read", "history", "cat"),
    "put": ("upload", "add", "share"),
    "get": ("download", "fetch", "files"),
    "join": ("accept", "enter"),
    "space": ("group", "channel", "room"),
    "simulate": ("sim", "simulator"),
    "emulate": ("emulator", "fake"),
    "id": ("whoami", "key", "address"),
    "scan": ("find", "detect", "ports"),
    "duty": ("airtime", "law", "budget"),
    "test": ("try", "send", "listen"),
    "set": ("configure", "config", "setup", "add"),
    "list": ("show", "ls"),
    "create": ("new", "make", "add"),
    "members": ("who", "people", "users"),
}
"""What the things of meshd are called elsewhere, in other programs and in its own files."""

RADIO_KEYS = ("--sf", "--frequency", "--bandwidth", "--power", "--antenna", "--module-dbm")
"""What `meshd radio set` writes into the file; `meshd run` has no options for it."""


def meant(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is meant: another name for the same thing, or a slip of one."""
    words = list(known)
    for name in words:
        if word in _OTHER_NAMES.get(name, ()):
            return name
    return nearest(word, words)
