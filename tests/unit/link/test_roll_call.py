"""Roll calls: who is there now shows it to all who ask, and no recording does."""

from lora_nodes import SECOND_US, Node

from meshd.link.sources import CALL_VALID_US, Asked, Opened
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_payload import Local, Sub, encode

NONCE = b"8 bytes."


def pair():
    one, two = Node(1), Node(2)
    one.meet(two)
    two.meet(one)
    return one, two


def call(caller, hearer, nonce=NONCE, now=0):
    """Return what the hearer learns of a roll call."""
    return hearer.hear(caller.sender.challenge(caller.sources.call(nonce, now)), now)


def frame(node, *nonces):
    items = (Local(Sub.ECHOES, b"".join(nonces)),)
    return node.sender.seal(FrameKind.LOCAL, encode(items))


def echo(caller, data, nonces=(NONCE,), now=0):
    opened = caller.hear(data, now)
    return isinstance(opened, Opened) and caller.sources.echoed(opened, nonces, now)


def test_who_answers_a_call_is_trusted_from_then_on():
    one, two = pair()
    assert call(one, two) == Asked(NONCE, called=True, caller=one.node[:2])
    assert not one.hear(two.say(b"before")).trusted
    assert echo(one, frame(two, NONCE)) and one.sources.trusts(two.node)
    assert one.hear(two.say(b"after")).trusted
    assert not one.sources.proven(two.node)  # a member could have answered for it


def test_an_answer_to_another_call_or_one_that_is_late_counts_for_nothing():
    one, two = pair()
    call(one, two)
    assert not echo(one, frame(two, b"another8"), nonces=(b"another8",))
    assert not echo(one, frame(two, NONCE), now=CALL_VALID_US + SECOND_US)
    assert not one.sources.trusts(two.node)


def test_a_recorded_answer_is_no_answer_after_a_restart():
    one, two = pair()
    call(one, two)
    recorded = frame(two, NONCE)
    assert echo(one, recorded)
    beacon = two.sender.beacon()
    one = one.reboot()
    one.hear(beacon)
    call(one, two, nonce=b"anew 8 b")
    assert not echo(one, recorded)


def test_the_next_boot_of_one_that_was_there_is_trusted_and_an_earlier_one_is_not():
    one, two = pair()
    old = two.sender
    two = two.reboot()
    one.meet(two)
    call(one, two)
    assert echo(one, frame(two, NONCE))
    third = two.reboot()
    one.meet(third)
    assert one.hear(third.say(b"again")).trusted
    opened = one.hear(old.seal(FrameKind.LOCAL, b""))
    assert isinstance(opened, Opened) and not opened.trusted


def test_a_call_asks_for_no_beacon():
    one, two = pair()
    call(one, two)
    assert two.sender.answer(SECOND_US) is None
