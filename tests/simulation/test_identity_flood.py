"""One radio with thousands of identities takes nothing from those who know each other."""

from worlds.flood_field import play
from worlds.flood_memory import grow

SECONDS = 4
IDENTITIES = 10_000


def test_delivery_among_acquainted_nodes_holds():
    calm = play(flooded=False, seconds=SECONDS, identities=IDENTITIES)
    flooded = play(flooded=True, seconds=SECONDS, identities=IDENTITIES)
    assert flooded.identities >= 400
    assert calm.answered == calm.posted == 1.0
    assert flooded.answered >= calm.answered - 0.1
    assert flooded.posted >= calm.posted - 0.1


def test_no_table_of_a_flooded_node_is_beyond_its_bound():
    """Whether memory stays flat needs a quarter of an hour: the benchmark of this name sees it."""
    before, half, full = grow(30, IDENTITIES)
    assert before.items < half.items < full.items
    assert before.beyond == half.beyond == full.beyond == ()
