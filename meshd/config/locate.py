"""Find the line of a key in TOML text, for messages; tomllib itself keeps no positions.

It trusts that tomllib accepted the text. What stands inside an inline table or a list is found by
the line of the key that holds it.
"""

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")
_QUIET = re.compile(
    r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|#[^\n]*", re.DOTALL
)


def _parts(text: str) -> list[str]:
    return ["".join(groups) for groups in _PART.findall(text)]


def _inside(text: str) -> set[int]:
    """Return the numbers of lines that begin inside a list, a table or a long string."""

    def blank(match: re.Match[str]) -> str:
        return "".join("\n" if letter == "\n" else "_" for letter in match.group())

    inside: set[int] = set()
    first, place = 1, 0
    for match in _QUIET.finditer(text):
        first, place = first + text.count("\n", place, match.start()), match.start()
        inside.update(range(first + 1, first + match.group().count("\n") + 1))
    depth = 0
    for number, line in enumerate(_QUIET.sub(blank, text).splitlines(), 1):
        if depth > 0:
            inside.add(number)
        elif _HEADER.match(line):
            continue
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
    return inside


def lines(text: str) -> dict[Path, int]:
    """Return {path: line}; an array of tables has its index in the path."""
    found: dict[Path, int] = {}
    counts: dict[str, int] = {}
    base: Path = ()
    inside = _inside(text)
    for number, line in enumerate(text.splitlines(), 1):
        if number in inside:
            continue
        header = _HEADER.match(line)
        if header:
            name = _parts(header.group(2))
            base = tuple(name)
            if header.group(1) == "[[":
                index = counts.get(name[0], -1) + 1
                counts[name[0]] = index
                base = (*name, index)
            found.setdefault((name[0],), number)
            found.setdefault(base, number)
            continue
        key = _KEY.match(line)
        if key:
            path = base
            for part in _parts(key.group(1)):
                path = (*path, part)
                found.setdefault(path, number)
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """Return the line of `path`, or of the nearest thing that holds it; 1 when nothing does."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return 1
