"""Echoes: who is there now shows it to all whom it hears, and no recording does."""

from radios.nodes import SECOND_US, Node

from meshd.link.sources import SAID_MAX, SAID_VALID_US, Opened
from meshd.wire.lora_frame import FrameKind, echo_of
from meshd.wire.lora_payload import Local, Sub, encode


def pair():
    one, two = Node(1), Node(2)
    one.meet(two)
    two.meet(one)
    return one, two


def say(node, now=0):
    """Let a node send a frame; return the echo of it."""
    data = node.say(b"anything")
    node.sources.said(data, now)
    return echo_of(data)


def frame(node, *echoes):
    items = (Local(Sub.ECHOES, b"".join(echoes)),)
    return node.sender.seal(FrameKind.LOCAL, encode(items))


def echo(node, data, echoes, now=0):
    opened = node.hear(data, now)
    return isinstance(opened, Opened) and node.sources.echoed(opened, echoes, now)


def test_who_sends_an_echo_back_is_trusted_from_then_on():
    one, two = pair()
    heard = say(one)
    assert not one.hear(two.say(b"before")).trusted
    assert echo(one, frame(two, heard), (heard,)) and one.sources.trusts(two.node)
    assert one.hear(two.say(b"after")).trusted
    assert not one.sources.proven(two.node)  # a member could have answered for it


def test_a_beacon_tells_its_echo_too():
    one, two = Node(1), Node(2)
    data = two.sender.beacon()
    assert one.hear(data).echo == echo_of(data)


def test_an_echo_of_nothing_that_was_sent_or_of_long_ago_counts_for_nothing():
    one, two = pair()
    heard = say(one)
    assert not echo(one, frame(two, b"else"), (b"else",))
    assert not echo(one, frame(two, heard), (heard,), now=SAID_VALID_US + SECOND_US)
    assert not one.sources.trusts(two.node)


def test_echoes_of_the_last_frames_alone_are_believed():
    one, two = pair()
    heard = [say(one) for _ in range(SAID_MAX + 1)]
    assert not echo(one, frame(two, heard[0]), heard[:1])
    assert echo(one, frame(two, heard[1]), heard[1:2])


def test_a_recorded_echo_is_none_after_a_restart():
    one, two = pair()
    heard = say(one)
    recorded = frame(two, heard)
    assert echo(one, recorded, (heard,))
    beacon = two.sender.beacon()
    one = one.reboot()
    one.hear(beacon)
    assert say(one) != heard
    assert not echo(one, recorded, (heard,))


def test_an_echo_is_worth_nothing_in_a_frame_that_was_heard_before():
    one, two = pair()
    recorded = frame(two, b"none")
    one.hear(recorded)
    assert not echo(one, recorded, (say(one),))


def test_the_next_boot_of_one_that_was_there_is_trusted_and_an_earlier_one_is_not():
    one, two = pair()
    old = two.sender
    two = two.reboot()
    one.meet(two)
    heard = say(one)
    assert echo(one, frame(two, heard), (heard,))
    third = two.reboot()
    one.meet(third)
    assert one.hear(third.say(b"again")).trusted
    opened = one.hear(old.seal(FrameKind.LOCAL, b""))
    assert isinstance(opened, Opened) and not opened.trusted
