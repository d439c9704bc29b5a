"""Delivery among acquainted nodes, and their memory, beside one radio with 10,000 identities."""

from report import Figure
from worlds.flood_field import play
from worlds.flood_memory import grow

IDENTITIES = 10_000
SECONDS = 110
MEMORY_SECONDS = 900
"""What a flood leaves is forgotten after 180 s and 84 s: at half time all of that has begun."""


def measure() -> list[Figure]:
    """Play the same camp with and without the flood; then let the flood fill two nodes."""
    calm = play(flooded=False, seconds=SECONDS, identities=IDENTITIES)
    flooded = play(flooded=True, seconds=SECONDS, identities=IDENTITIES)
    how = f"3x3 grid, eight members, {flooded.identities} identities in {SECONDS} s, 200 frames/s"
    pings = 100 * (calm.answered - flooded.answered)
    posts = 100 * (calm.posted - flooded.posted)
    before, half, full = grow(MEMORY_SECONDS, IDENTITIES)
    grown = 100 * (full.size / half.size - 1)
    beside = f"the fuller of two nodes in a line; {IDENTITIES} identities at 100 a second"
    return [
        Figure("pings lost to the flood", pings, "points", 10, how),
        Figure("posts lost to the flood", posts, "points", 10, how),
        Figure("tables beyond their bound", len(full.beyond), "tables", 0, beside),
        Figure(
            f"memory grown from {MEMORY_SECONDS // 2} s to {MEMORY_SECONDS} s of flood",
            grown,
            "percent",
            5,
            f"{before.size} B before it, {half.size} B, {full.size} B; {beside}",
        ),
        Figure(
            "memory of a flooded node", full.size / 1e6, "MB", 8, f"{full.items} items; {beside}"
        ),
    ]
