"""The hello history, seqno by seqno."""

from meshd.neighbour.hello import HelloHistory


def history(*seqnos: int) -> HelloHistory:
    made = HelloHistory()
    for seqno in seqnos:
        made.heard(seqno)
    return made


def test_one_of_one_is_clean():
    assert history(7).clean
    assert not HelloHistory().clean


def test_gap_counts_as_missed():
    made = history(7, 10)
    assert (made.heard_count, made.samples, made.misses_in_a_row) == (2, 4, 0)


def test_same_hello_again_changes_nothing():
    made = history(7, 8)
    for _ in range(5):
        assert made.heard(8)
    assert (made.heard_count, made.samples, made.expected) == (2, 2, 9)


def test_late_hello_fills_the_gap_that_its_deadline_made():
    made = history(7)
    made.missed()
    assert made.misses_in_a_row == 1
    made.heard(8)
    assert made.clean and made.expected == 9


def test_jump_means_a_restart_and_starts_again():
    made = history(7, 8, 9)
    assert not made.heard(40_000)
    assert (made.heard_count, made.samples, made.expected) == (1, 1, 40_001)


def test_seqno_wraps():
    made = history(0xFFFE, 0xFFFF)
    assert made.heard(0)
    assert made.clean and made.samples == 3


def test_history_holds_sixteen():
    made = history(*range(40))
    assert made.samples == 16
    for _ in range(16):
        made.missed()
    assert made.bits == 0 and made.misses_in_a_row == 16


def test_nothing_is_missed_before_the_first():
    made = HelloHistory()
    made.missed()
    assert made.samples == 0
