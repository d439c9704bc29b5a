"""Which names may be shown: printable, and every letter of them can be seen.

Enters: a name that a person, a node or a feed gave. Leaves: yes or no. Letters without ink make two
names that look alike, or one that looks like none. What is merely similar (a Cyrillic a) passes.
Must not know: whose name it is, how long it may be.
"""

from unicodedata import category

_BLANK = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159}
    | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
"""Fillers, joiners and selectors that count as printable and show nothing by themselves."""

_SELECTORS = frozenset({0xFE0E, 0xFE0F})
"""Ask for a symbol as text or as a picture; after anything else they show nothing."""


def shows(name: str) -> bool:
    """Tell whether a name is printable and nothing in it is invisible; an empty one is."""
    if not name.isprintable():
        return False
    if name.isascii():
        return True
    before = " " + name
    return all(
        ord(letter) not in _BLANK or (ord(letter) in _SELECTORS and category(last) == "So")
        for last, letter in zip(before, name, strict=False)
    )
