"""Which roll calls are answered: those of newcomers at once, a flood of them at a bounded rate."""

from meshd.forwarding.neighbours import Neighbours
from meshd.forwarding.roll_calls import ANSWER_AIRTIMES, BURST, Answers, Reply

ANSWER_US = 150_000


def test_a_flood_of_calls_under_invented_names_is_answered_at_a_bounded_rate():
    answers = Answers(Neighbours(b"me"), ANSWER_US)
    replies = [
        answers.take(number.to_bytes(8, "big"), number.to_bytes(2, "big"), now=number)
        for number in range(1000)
    ]
    assert replies.count(Reply.LIMITED) == 1000 - BURST
    later = 1000 + ANSWER_AIRTIMES * ANSWER_US
    assert answers.take(b"newcomer", b"nn", later) is Reply.ECHO
    assert len(answers.waiting) <= 12


def test_a_call_heard_twice_is_answered_once():
    answers = Answers(Neighbours(b"me"), ANSWER_US)
    assert answers.take(b"one call", b"aa", 0) is Reply.ECHO
    assert answers.take(b"one call", b"aa", 1) is Reply.NONE
