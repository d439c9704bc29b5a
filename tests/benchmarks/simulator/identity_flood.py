"""Delivery among acquainted nodes while one radio among them has 10,000 identities."""

from flood_field import play
from report import Figure

IDENTITIES = 10_000
SECONDS = 110


def measure() -> list[Figure]:
    """Play the same camp with and without the flood."""
    calm = play(flooded=False, seconds=SECONDS, identities=IDENTITIES)
    flooded = play(flooded=True, seconds=SECONDS, identities=IDENTITIES)
    how = f"3x3 grid, eight members, {flooded.identities} identities in {SECONDS} s, 200 frames/s"
    pings = 100 * (calm.answered - flooded.answered)
    posts = 100 * (calm.posted - flooded.posted)
    items = flooded.held_most - flooded.held_before
    return [
        Figure("pings lost to the flood", pings, "points", 10, how),
        Figure("posts lost to the flood", posts, "points", 10, how),
        Figure("items a node holds more", items, "items", 6_000, f"all tables counted; {how}"),
    ]
