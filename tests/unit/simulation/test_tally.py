"""How full the air was: what is sent at once counts once, and no stretch is more than full."""

from meshd.simulation.tally import Tally


def test_frames_at_once_count_once_and_are_cut_at_the_end_of_a_stretch():
    tally = Tally(1_000, 3)
    tally.frame("lora", 0, 400, 100)
    tally.frame("lora", 1, 400, 300)
    tally.frame("lora", 1, 50, 350)
    tally.frame("lora", 2, 600, 800)
    tally.frame("lora", 0, 900, 2_900)
    assert tally.air("lora", [0, 1, 2]) == [600 + 200, 400, 100]
    assert tally.air("lora", [1]) == [400, 0, 0]
    assert tally.air("roof", [0]) == [0, 0, 0]


def test_frames_that_wait_their_turn_add_up_to_a_full_stretch_at_most():
    tally = Tally(1_000, 2)
    for host in (0, 1):
        tally.on_air("roof", host, 300, 10)
        tally.on_air("roof", host, 900, 1_010)
    assert tally.air("roof", [0, 1]) == [600, 1_000]
    assert tally.air("roof", [0]) == [300, 900]
