"""One table for WiFi and LoRa: whatever is lost, no packet goes round, and no metric creeps up."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from radios.mixed_air import Mixed

NODES = 6


def draw_edges(world, share):
    """Let some links work, each direction by itself: many are asymmetric."""
    for medium in (world.wifi, world.lora):
        for one in world.talkers:
            for other in world.talkers:
                if one != other and world.rng.random() < share:
                    medium.add((one, other))


def flip(world):
    medium = world.rng.choice((world.wifi, world.lora))
    edge = tuple(world.rng.sample(sorted(world.talkers), 2))
    medium ^= {edge} if world.rng.random() < 0.5 else {edge, edge[::-1]}


@settings(max_examples=10, deadline=None)
@example(13835699, 0.5, 0.4)
@given(st.integers(0, 1 << 32), st.floats(0, 0.6), st.floats(0.2, 0.6))
def test_no_packet_goes_round_on_mixed_media(seed, loss, share):
    world = Mixed(NODES, seed, loss=loss)
    draw_edges(world, share)
    for _ in range(1500):
        world.step()
        if world.rng.random() < 0.02:
            flip(world)
        if world.rng.random() < 0.02:
            failed, silent = world.rng.sample(sorted(world.talkers), 2)
            world.talkers[failed].lora.failed(silent.to_bytes(2, "big"), world.now, own=True)
        for target in world.talkers:
            assert world.loop(target) is None, f"to {target} at {world.now}"


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1 << 32), st.floats(0, 0.3))
def test_when_a_node_is_gone_nobody_counts_to_infinity(seed, loss):
    """A ring of two islands, joined twice by LoRa, loses the node that all knew the way to."""
    world = Mixed(NODES, seed, loss=loss)
    for one, other in ((1, 2), (2, 3), (4, 5), (5, 6)):
        world.join(world.wifi, one, other)
    for one, other in ((1, 4), (3, 6)):
        world.join(world.lora, one, other)
    world.run(300, lambda: all(world.path(n, 2) is not None for n in world.talkers))
    world.run(100)
    world.metrics.clear()
    for other in (1, 3):
        world.cut(world.wifi, 2, other)
    world.run(300, lambda: all(world.path(n, 2) is None for n in world.talkers if n != 2))
    assert all(world.path(n, 2) is None for n in world.talkers if n != 2)
    creeping = [metric for metric in world.metrics if 4 * 4096 < metric < 0xFFFF]
    assert len(creeping) < 4 * NODES
