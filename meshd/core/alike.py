"""Which known word a mistyped one is meant to be.

Enters: a word, the words that are known. Leaves: the one it is a slip of, or nothing. Must not
know: whose words they are.
"""

from collections.abc import Iterable

_CUTOFF = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word of which `word` is a slip or the beginning, None when it is neither."""
    words = list(dict.fromkeys(one for one in known if one))
    begun = [one for one in words if one.startswith(word) and len(word.strip("-")) > 1]
    if begun:
        return min(begun, key=len)
    near = [(slips(word, one), abs(len(word) - len(one)), one) for one in words]
    least = min(near, key=lambda found: found[:2], default=None)
    if least is not None and least[0] <= (len(word.strip("-")) + 1) // 3:
        return least[2]
    from difflib import get_close_matches  # seldom needed, and slow to load

    close = get_close_matches(word, words, n=1, cutoff=_CUTOFF)
    return close[0] if close else None


def slips(one: str, other: str) -> int:
    """Return how many letters were left out, added, mistaken or changed places between two words.

    Each place is touched once (optimal string alignment).
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, last, row = row, before, [at]
        for to, wanted in enumerate(other, 1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == wanted:
                cost = min(cost, last[to - 2] + 1)
            row.append(cost)
    return row[-1]
