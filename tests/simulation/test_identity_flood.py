"""One radio with thousands of identities takes nothing from those who know each other."""

from flood_field import play

SECONDS = 4
IDENTITIES = 10_000


def test_delivery_among_acquainted_nodes_holds_and_memory_stays_flat():
    calm = play(flooded=False, seconds=SECONDS, identities=IDENTITIES)
    flooded = play(flooded=True, seconds=SECONDS, identities=IDENTITIES)
    assert flooded.identities >= 400
    assert calm.answered == calm.posted == 1.0
    assert flooded.answered >= calm.answered - 0.1
    assert flooded.posted >= calm.posted - 0.1
    assert flooded.held_most < flooded.held_before + 6_000
