"""Golden bytes of coded symbols and of repair pieces: `python -m vectors.codes` in `tests/`.

Review the difference before committing it: a changed byte is a changed format.
"""

import json
from pathlib import Path

from meshd.sync.air.riblt import Sketch
from meshd.sync.files.air.erasure import Cauchy, cut, mark_of
from meshd.wire.symbols import SymbolBatch

PATH = Path(__file__).with_name("codes.json")
KEY = b"the key of a space" + b"salt"
NAMES = tuple(f"feed {number}".encode() for number in range(20))
BLOB = b"Twenty-two bytes here."


def make():
    """Return {name: {what it is: JSON value}}; bytes are hex."""
    own = Sketch(KEY, NAMES)
    batch = SymbolBatch(1, b"\0\1\2\3", b"salt", own.size, own.check, 0, own.symbols(0, 8))
    pieces = list(cut(BLOB, 8))
    repairs = [Cauchy().repair(pieces, number) for number in (3, 4, 254)]
    return {
        "symbols": {
            "key": KEY.hex(),
            "names": [name.hex() for name in NAMES],
            "set_key": own.key.hex(),
            "batch": batch.encode().hex(),
        },
        "pieces": {
            "blob": BLOB.hex(),
            "size": 8,
            "pieces": [piece.hex() for piece in pieces],
            "repairs": {str(n): r.hex() for n, r in zip((3, 4, 254), repairs, strict=True)},
            "marks": [mark_of(number, piece).hex() for number, piece in enumerate(pieces)],
        },
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(make(), indent=2) + "\n")
