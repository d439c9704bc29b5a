"""Who is on the air: dialogues of nodes, replayers, forgers, copies and collisions."""

import pytest
from radios.nodes import LINK, OTHER_LINK, SECOND_US, Node, identity

from meshd.core.drops import DropReason
from meshd.core.errors import UsageError
from meshd.core.ids import EVERYONE
from meshd.link.device import CHALLENGE_EVERY_US, SOURCES_MAX
from meshd.link.replay import HEARD_MAX, JUMP_MAX, WINDOW, Verdict, Window, nearest
from meshd.link.seal import Mark, hop_address, link_key, seal
from meshd.link.sender import (
    ANSWER_EVERY_US,
    ANSWERS_MAX,
    ANSWERS_SPAN_US,
    NONCES_MAX,
    Sender,
)
from meshd.link.sources import (
    CHALLENGE_VALID_US,
    DEVICES_MAX,
    PROOFS_FROM,
    REPORTS_MAX,
    SAME_SHORT_MAX,
    UNPROVEN_MAX,
    Aim,
    Asked,
    Met,
    Opened,
    Overheard,
    Report,
)
from meshd.wire.lora_beacon import COUNTER_MAX, ECHOES_MAX, Beacon, Challenge
from meshd.wire.lora_frame import FrameKind, LoraFrame, echo_of

MINUTE_US = 60 * SECOND_US


def pair():
    return Node(1), Node(2)


# --- frames ---------------------------------------------------------------------------------------


def test_frame_is_opened_once_its_sender_was_met():
    a, b = pair()
    frame = a.say(b"one", hop_limit=3)
    assert b.hear(frame) is DropReason.FRAME_STRANGER
    met = Met(a.node, a.identity.public, 1, 2, new=True, proven=False)
    assert b.meet(a)._replace(echo=b"") == met
    heard = b.hear(a.say(b"two", hop_limit=3))
    assert (heard.plaintext, heard.node, heard.aim) == (b"two", a.node, Aim.EVERYONE)
    assert heard.frame.hop_limit == 3


def test_sender_is_trusted_only_after_a_challenge_came_back():
    a, b = pair()
    b.meet(a)
    assert b.hear(a.say()).trusted is False
    assert a.hear(b.challenge()) == Asked(b"" + a.sender._echoes[0])
    assert b.hear(a.answer(0)).proven
    assert b.hear(a.say()).trusted is True
    assert b.sources.proven(a.node)


def test_who_names_another_as_next_hop_is_not_asked_for_a_proof():
    a, b, c = Node(1), Node(2), Node(3)
    b.meet(a)
    assert b.hear(a.say(next_hop=c.node)).trusted is False
    assert b.challenge() is None
    b.hear(a.say(next_hop=b.node))
    assert b.challenge() is not None


def test_frame_names_its_next_hop_to_that_one_alone():
    a, b, c = Node(1), Node(2), Node(3)
    b.meet(a)
    c.meet(a)
    first, second = (a.say(next_hop=b.node) for _ in range(2))
    assert b.hear(first).aim is Aim.ME
    assert c.hear(first).aim is Aim.OTHER
    assert LoraFrame.decode(first).next_hop != LoraFrame.decode(second).next_hop


def test_hop_address_is_never_everyones(monkeypatch):
    monkeypatch.setattr("meshd.link.seal.crypto.digest", lambda *_, size, **__: b"\xff" * size)
    keys = LINK.group
    assert hop_address(keys, Mark(bytes(10), bytes(4), 1), bytes(10)) != EVERYONE


def test_frame_of_another_mesh_is_foreign_and_of_another_system_malformed():
    a, b = Node(1, link=OTHER_LINK), Node(2)
    assert OTHER_LINK.context != LINK.context
    assert b.hear(a.sender.beacon()) is DropReason.FRAME_FOREIGN
    assert b.hear(b"\xff\xff\xff\xff" + bytes(20)) is DropReason.FRAME_MALFORMED


def test_key_with_the_same_context_byte_opens_nothing():
    number = next(
        number
        for number in range(10_000)
        if link_key(number.to_bytes(32, "big")).context == LINK.context
    )
    a, b = Node(1, link=link_key(number.to_bytes(32, "big"))), Node(2)
    assert b.meet(a) is DropReason.FRAME_FORGED
    b.meet(Node(1))
    assert b.hear(a.say()) is DropReason.FRAME_FORGED


def test_own_frame_played_back_is_known():
    a, _ = pair()
    assert a.hear(a.say()) is DropReason.FRAME_OWN
    assert a.hear(a.sender.beacon()) is DropReason.FRAME_OWN
    assert a.hear(a.sender.beacon(with_key=False)) is DropReason.FRAME_OWN


# --- replay ---------------------------------------------------------------------------------------


def test_replayed_frame_is_refused_and_a_late_one_is_not():
    a, b = pair()
    b.prove(a)
    frames = [a.say(b"%d" % number) for number in range(WINDOW)]
    assert b.hear(frames[-1]).trusted
    assert b.hear(frames[-1]) is DropReason.FRAME_REPLAYED
    assert b.hear(frames[0]).trusted
    assert b.hear(frames[0]) is DropReason.FRAME_REPLAYED


def test_frame_older_than_all_that_is_remembered_is_refused_and_its_sender_asked():
    a, b = pair()
    b.prove(a)
    old, late = a.say(), a.say()
    for _ in range(WINDOW):
        b.hear(a.say())
    assert b.hear(late).trusted, "it never came"
    assert b.challenge(CHALLENGE_EVERY_US) is not None
    assert b.sources.poll_report() is None, "nobody need have forged it"
    for _ in range(HEARD_MAX):
        b.hear(a.say())
    assert b.hear(old) is DropReason.FRAME_REPLAYED
    assert b.challenge(3 * CHALLENGE_EVERY_US) is not None


def test_recording_played_to_a_rebooted_relay_is_not_relayed():
    a, b = pair()
    b.prove(a)
    recording = [a.sender.beacon(), *(a.say(b"%d" % number) for number in range(3))]
    for frame in recording:
        b.hear(frame)
    b = b.reboot()
    heard = [b.hear(frame) for frame in recording]
    assert isinstance(heard[0], Met) and not heard[0].proven
    assert [one.trusted for one in heard[1:]] == [False] * 3
    # The sender is long gone: nobody answers, and nothing of it is ever trusted.
    assert b.challenge() is not None
    assert b.hear(a.reboot().say()) is DropReason.FRAME_FORGED


def test_recording_of_an_earlier_boot_is_stale_to_who_knows_a_later_one():
    a, b = pair()
    beacon, frame = a.sender.beacon(), a.say()
    a = a.reboot()
    b.prove(a)
    assert b.hear(beacon) is DropReason.BEACON_STALE
    assert b.hear(frame) is DropReason.FRAME_FORGED


def test_next_boot_of_a_proven_sender_is_taken_at_once_and_the_one_before_no_more():
    a, b = pair()
    b.prove(a)
    late = a.say()
    a = a.reboot()
    assert b.meet(a).proven
    assert b.hear(a.say()).trusted
    assert b.hear(late).trusted is False


def test_counter_far_ahead_is_delivered_and_not_relayed_until_the_challenge_came_back():
    a, b = pair()
    b.prove(a)
    a.sender.counter += JUMP_MAX
    far = a.say()
    assert b.hear(far).trusted is False
    assert b.hear(far).trusted is False
    now = CHALLENGE_EVERY_US
    a.hear(b.challenge(now))
    assert b.hear(a.answer(now)).proven
    assert b.hear(a.say()).trusted


def test_silence_of_seventy_thousand_frames_is_bridged_by_a_beacon():
    a, b = pair()
    b.prove(a)
    a.sender.counter += 70_000
    assert b.hear(a.say()) is DropReason.FRAME_FORGED
    b.meet(a)
    assert b.hear(a.say()).trusted


def test_answer_played_again_moves_no_window_back():
    a, b = pair()
    b.meet(a)
    b.hear(a.say())
    a.hear(b.challenge())
    answer = a.answer(0)
    b.hear(answer)
    frames = [a.say() for _ in range(2 * WINDOW)]
    for frame in frames:
        assert b.hear(frame).trusted
    assert b.hear(answer, SECOND_US) is DropReason.FRAME_REPLAYED
    assert b.hear(frames[0]) is DropReason.FRAME_REPLAYED


def test_answer_to_a_challenge_of_long_ago_proves_nothing():
    a, b = pair()
    b.meet(a)
    b.hear(a.say())
    a.hear(b.challenge())
    assert not b.hear(a.answer(0), CHALLENGE_VALID_US + 1).proven


def test_answer_to_somebody_elses_challenge_proves_nothing():
    a, b = pair()
    c = Node(3)
    b.meet(a)
    c.meet(a)
    c.hear(a.say())
    challenge = c.challenge()
    assert b.hear(challenge) == Overheard(a.node)
    a.hear(challenge)
    assert not b.hear(a.answer(0)).proven


# --- beacons --------------------------------------------------------------------------------------


def forged(a, beacon, *, link=LINK, source=None):
    """Return a beacon frame that a member made up."""
    frame = LoraFrame(
        FrameKind.BEACON, 0, link.context, EVERYONE, source or a.node[:2], beacon.counter & 0xFFFF
    )
    mark = Mark(bytes(10), link.epoch, frame.counter)
    return seal(link.group, frame, beacon.encode(), mark).encode()


def test_beacon_that_the_key_did_not_sign_is_forged():
    a, b = pair()
    beacon = Beacon(a.identity.public, 9, b"x" * 8, 1, (), bytes(64))
    assert b.hear(forged(a, beacon)) is DropReason.BEACON_FORGED
    assert len(b.sources) == 0


def test_beacon_of_another_link_key_does_not_count_here():
    a, b = pair()
    beacon = Beacon(a.identity.public, 9, b"x" * 8, 1)
    signature = a.identity.sign(beacon.statement(OTHER_LINK.epoch, a.identity.public))
    assert b.hear(forged(a, beacon._replace(signature=signature))) is DropReason.BEACON_FORGED


@pytest.mark.parametrize("what", ["source", "body", "counter"])
def test_beacon_that_contradicts_its_frame_is_malformed(what):
    a, b = pair()
    beacon = Beacon(a.identity.public, 1, b"x" * 8, 1)
    beacon = beacon._replace(
        signature=a.identity.sign(beacon.statement(LINK.epoch, a.identity.public))
    )
    frame = forged(a, beacon, source=b"zz" if what == "source" else None)
    if what != "source":
        body = beacon._replace(counter=2).encode() if what == "counter" else b"\xff"
        head = LoraFrame.decode(frame)
        frame = seal(LINK.group, head, body, Mark(bytes(10), LINK.epoch, 1)).encode()
    assert b.hear(frame) is DropReason.BEACON_MALFORMED


def test_challenge_of_another_size_is_malformed():
    a, b = pair()
    head = LoraFrame(FrameKind.CHALLENGE, 0, LINK.context, EVERYONE, a.node[:2], 1)
    frame = seal(LINK.group, head, b"short", Mark(bytes(10), LINK.epoch, 1)).encode()
    assert b.hear(frame) is DropReason.BEACON_MALFORMED


def test_beacon_without_a_key_is_for_those_who_know_it():
    a, b = pair()
    assert b.hear(a.sender.beacon(with_key=False)) is DropReason.FRAME_STRANGER
    b.meet(a)
    known = b.hear(a.sender.beacon(with_key=False))
    met = Met(a.node, a.identity.public, 1, 3, new=False, proven=False)
    assert known._replace(echo=b"") == met


def test_answers_share_one_beacon_and_come_at_most_every_ten_seconds():
    a = Node(1)
    others = [Node(number) for number in range(2, 12)]
    beacon, frame = a.sender.beacon(), a.say()
    for other in others:
        other.hear(beacon)
        other.hear(frame)
        a.hear(other.challenge())
    assert a.sender.answer_due() == 0
    answer = a.answer(5)
    assert sum(other.hear(answer).proven for other in others) == ECHOES_MAX
    assert a.sender.answer_due() is None and a.answer(5) is None
    late = others[-1]
    late.hear(a.say())
    a.hear(late.challenge(CHALLENGE_EVERY_US))
    assert a.answer(6) is None
    assert a.sender.answer_due() == 5 + ANSWER_EVERY_US
    assert late.hear(a.answer(5 + ANSWER_EVERY_US), CHALLENGE_EVERY_US).proven


def test_recorded_challenges_spend_little_airtime():
    a, b = pair()
    b.meet(a)
    recorded = [b.sender.challenge(Challenge(a.node, b"%08d" % number)) for number in range(40)]
    now = answers = 0
    while now < ANSWERS_SPAN_US:
        for frame in recorded:
            a.hear(frame, now)
        answers += a.answer(now) is not None
        now += SECOND_US
    assert 0 < answers <= ANSWERS_MAX
    assert a.hear(recorded[0]) is DropReason.CHALLENGE_LIMITED
    assert len(a.sender._nonces) <= NONCES_MAX
    assert a.sender.answer_due() is None


def test_answers_of_ten_minutes_are_few_whoever_asks():
    a, now, answers = Node(1), 0, []
    while now < 2 * ANSWERS_SPAN_US:
        a.sender.asked(now.to_bytes(8, "big"))
        if a.answer(now) is not None:
            answers.append(now)
        now += SECOND_US
    assert len(answers) == 2 * ANSWERS_MAX
    assert answers[ANSWERS_MAX] - answers[0] >= ANSWERS_SPAN_US


def test_challenge_to_who_is_gone_is_none():
    assert Node(1).sources.challenge(b"x" * 10, b"n" * 8, 0) is None


# --- copies, collisions, members gone bad ---------------------------------------------------------


def same_short():
    """Return two devices whose NodeIds begin with the same two bytes."""
    seen = {}
    for number in range(100_000):
        short = identity(number).node[:2]
        if short in seen:
            return Node(seen[short]), Node(number)
        seen[short] = number
    raise AssertionError("no collision")


def test_two_nodes_with_one_short_address_are_both_heard_from_their_first_frames_on():
    a, b = same_short()
    between = Node(500_000)
    assert a.sender.short == b.sender.short
    between.prove(a)
    between.prove(b, MINUTE_US)
    for _ in range(3):
        assert between.hear(a.say(b"a")).node == a.node
        assert between.hear(b.say(b"b")).node == b.node
    # Neither ever takes the other's frame for its own, from the first frame on.
    a.meet(between)
    b.meet(between)
    taken = [
        (a.hear(frame).aim, b.hear(frame).aim)
        for frame in (between.say(next_hop=a.node) for _ in range(20))
    ]
    assert taken == [(Aim.ME, Aim.OTHER)] * 20


def test_two_nodes_with_one_short_address_use_different_keys():
    a, b = same_short()
    one, other = (LoraFrame.decode(node.say(b"same text")) for node in (a, b))
    assert one.header() == other.header()
    assert one.body != other.body and one.tag != other.tag


def copies(boot=3):
    return Node(1, boot=boot, salt=b"copy-one"), Node(1, boot=boot, salt=b"copy-two")


def test_copied_card_with_both_copies_running_is_heard_and_reported():
    one, two = copies()
    b = Node(2)
    b.prove(one)
    assert b.meet(two) is DropReason.BEACON_STALE
    now = CHALLENGE_EVERY_US
    challenge = b.challenge(now)
    one.hear(challenge)
    two.hear(challenge)
    assert b.hear(one.answer(now), now).proven
    assert b.sources.poll_report() is None
    assert b.hear(two.answer(now), now).proven
    assert b.sources.poll_report() == (Report.TWIN, one.node)
    assert b.hear(one.say()).trusted
    assert b.hear(two.say()).trusted
    assert b.sources.poll_report() is None


def test_copy_of_an_earlier_boot_that_answers_is_heard_too():
    one, two = Node(1, boot=8, salt=b"copy-one"), Node(1, boot=7, salt=b"copy-two")
    b = Node(2)
    b.prove(one)
    b.meet(two)
    now = CHALLENGE_EVERY_US
    challenge = b.challenge(now)
    for copy in (two, one):
        copy.hear(challenge)
        assert b.hear(copy.answer(now), now).proven
    assert b.hear(two.say()).trusted
    assert b.sources.poll_report() == (Report.TWIN, one.node)


def test_restart_between_two_answers_is_no_twin():
    a, b = pair()
    b.meet(a)
    b.hear(a.say())
    challenge = b.challenge()
    a.hear(challenge)
    b.hear(a.answer(0))
    a = a.reboot()
    a.hear(challenge)
    assert b.hear(a.answer(0)).proven
    assert b.hear(a.say()).trusted
    assert b.sources.poll_report() is None


def test_copy_hears_its_twin_and_says_so():
    one, two = copies()
    assert one.hear(two.sender.beacon()) is DropReason.NODE_TWIN
    assert one.sources.poll_report() == (Report.OWN_TWIN, one.node)
    earlier = Node(1, boot=2)
    assert one.hear(earlier.sender.beacon()) is DropReason.FRAME_OWN


def test_member_that_drives_anothers_counter_ahead_is_noticed_and_undone():
    a, b = pair()
    b.prove(a)
    forger = Sender(a.identity, LINK, boot=1, salt=a.sender.salt)
    forger.counter = a.sender.counter
    for _ in range(10):
        forger.counter += JUMP_MAX - 1
        assert b.hear(forger.seal(FrameKind.LOCAL, b"not from a")).trusted
    true = [a.say() for _ in range(5)]
    for frame in true:
        assert b.hear(frame).trusted, "it is not silenced"
    for frame in true:
        assert b.hear(frame) is DropReason.FRAME_REPLAYED
    for _ in range(HEARD_MAX):
        forger.counter += 1
        b.hear(forger.seal(FrameKind.LOCAL, b"not from a"))
    assert b.hear(a.say()) is DropReason.FRAME_REPLAYED, "too many to tell"
    now = CHALLENGE_EVERY_US
    a.hear(b.challenge(now))
    assert b.hear(a.answer(now), now).proven
    assert b.sources.poll_report() == (Report.COUNTER_FORGED, a.node)
    assert b.hear(a.say()).trusted
    for frame in true:
        assert b.hear(frame) is DropReason.FRAME_REPLAYED


def test_member_that_uses_anothers_next_counters_silences_none_of_its_frames():
    a, b = pair()
    b.prove(a)
    forger = Sender(a.identity, LINK, boot=1, salt=a.sender.salt)
    for turn in range(4):
        forger.counter = a.sender.counter
        for _ in range(WINDOW // 2):
            assert b.hear(forger.seal(FrameKind.LOCAL, b"not from a %d" % turn)).trusted
        for _ in range(WINDOW // 4):
            frame = a.say()
            assert b.hear(frame).trusted
            assert b.hear(frame) is DropReason.FRAME_REPLAYED
        assert isinstance(b.hear(a.sender.beacon()), Met), "nor its beacons"
    assert b.sources.poll_report() == (Report.COUNTER_FORGED, a.node)


def test_of_late_frames_none_is_taken_twice_whatever_was_heard_since():
    a, b = pair()
    b.prove(a)
    frames = [a.say() for _ in range(3 * HEARD_MAX)]
    first, *later = frames
    for frame in later:
        assert b.hear(frame).trusted
    assert b.hear(first) is DropReason.FRAME_REPLAYED
    for frame in frames:
        assert b.hear(frame) is DropReason.FRAME_REPLAYED


def test_challenges_to_one_node_are_a_minute_apart():
    a, b = pair()
    b.meet(a)
    b.hear(a.say())
    assert b.challenge(0) is not None
    b.hear(a.say())
    assert b.challenge(CHALLENGE_EVERY_US - 1) is None
    assert b.challenge(CHALLENGE_EVERY_US) is not None


def test_recording_played_for_a_day_has_a_node_asked_once_an_hour():
    a, b = pair()
    old = a.sender.beacon()
    a = a.reboot()
    b.prove(a)
    asked = 0
    for now in range(0, 24 * 60 * MINUTE_US, 30 * SECOND_US):
        assert b.hear(old, now) is DropReason.BEACON_STALE
        challenge = b.challenge(now)
        if challenge is not None:
            asked += 1
            a.hear(challenge, now)
            b.hear(a.answer(now), now)
    assert asked < 24 + 14
    # What is new is asked at once again.
    a = a.reboot()
    b.meet(a, now)
    b.hear(old, now)
    assert b.challenge(now + MINUTE_US) is not None


def test_frame_for_neighbours_alone_is_no_reason_to_ask():
    a, b = pair()
    b.meet(a)
    assert isinstance(b.hear(a.sender.seal(FrameKind.LOCAL, b"table")), Opened)
    assert b.challenge() is None


# --- keys and bounds ------------------------------------------------------------------------------


def test_both_keys_of_a_rotation_are_heard_and_the_old_one_no_more_after_it():
    a, b = Node(1), Node(2, links=(LINK, OTHER_LINK))
    b.prove(a)
    a.sender.use(OTHER_LINK)
    assert b.hear(a.say()).trusted
    a.sender.use(LINK)
    assert b.hear(a.say()).trusted
    b.sources.rekey((OTHER_LINK,))
    assert b.hear(a.say()) is DropReason.FRAME_FOREIGN


def test_unproven_newcomers_hold_a_quarter_of_the_table_and_push_out_only_each_other():
    b = Node(0)
    friend = Node(1)
    b.prove(friend)
    for number in range(2, UNPROVEN_MAX + 12):
        b.meet(Node(number))
    assert len(b.sources) == UNPROVEN_MAX + 1
    assert b.hear(friend.say()).trusted


def test_too_many_proven_ones_push_out_the_one_not_heard_for_longest():
    b = Node(0)
    first, second = Node(1), Node(2)
    b.prove(first)
    b.prove(second)
    b.hear(first.say())
    for number in range(3, DEVICES_MAX - UNPROVEN_MAX + 2):
        b.prove(Node(number))
    assert len(b.sources) == DEVICES_MAX - UNPROVEN_MAX
    assert b.hear(second.say()) is DropReason.FRAME_STRANGER
    assert b.hear(first.say()).trusted


def test_one_short_address_has_few_places_and_proven_ones_keep_theirs(monkeypatch):
    monkeypatch.setattr("meshd.link.sources.SAME_SHORT_MAX", 1)
    assert SAME_SHORT_MAX == 8
    one, other = same_short()
    b = Node(500_000)
    b.meet(one)
    assert isinstance(b.meet(other), Met)
    assert len(b.sources) == 1
    b.prove(other, MINUTE_US)
    assert b.meet(one, 2 * MINUTE_US) is DropReason.SOURCES_FULL


def test_of_proven_ones_with_one_short_address_who_is_silent_for_long_makes_room(monkeypatch):
    monkeypatch.setattr("meshd.link.sources.SAME_SHORT_MAX", 1)
    one, other = same_short()
    b = Node(500_000)
    b.prove(one)
    b.hear(one.say(), 9 * MINUTE_US)
    assert b.meet(other, 18 * MINUTE_US) is DropReason.SOURCES_FULL
    assert isinstance(b.meet(other, 20 * MINUTE_US), Met)


def test_who_is_there_now_keeps_its_place_from_those_who_only_said_a_beacon():
    b, friend = Node(0), Node(1)
    b.meet(friend)
    heard = b.say()
    b.sources.said(heard, 0)
    opened = b.hear(friend.sender.seal(FrameKind.LOCAL, echo_of(heard)))
    assert b.sources.echoed(opened, (echo_of(heard),), 0)
    for number in range(2, UNPROVEN_MAX + 12):
        b.meet(Node(number))
    assert b.hear(friend.say()).trusted


def test_in_a_crowd_who_is_there_longest_is_asked_for_a_proof():
    b, friends = Node(0), [Node(1), Node(2)]
    heard = b.say()
    b.sources.said(heard, 0)
    for number, friend in enumerate(friends):
        b.meet(friend, number)
        opened = b.hear(friend.sender.seal(FrameKind.LOCAL, b""), number)
        assert b.sources.echoed(opened, (echo_of(heard),), number)
    for number in range(3, PROOFS_FROM + 10):
        assert b.sources.poll_challenge(MINUTE_US) is None
        b.meet(Node(number), MINUTE_US)
        if len(b.sources) > PROOFS_FROM:
            break
    assert b.sources.poll_challenge(MINUTE_US) == friends[0].node
    b.challenge(MINUTE_US)
    b.meet(Node(1000), MINUTE_US + 1)
    assert b.sources.poll_challenge(MINUTE_US + 1) is None
    b.meet(Node(1001), 2 * MINUTE_US)
    assert b.sources.poll_challenge(2 * MINUTE_US) == friends[1].node


def test_boots_of_one_device_are_few():
    a, b = pair()
    for _ in range(SOURCES_MAX + 3):
        b.meet(a)
        a = a.reboot()
    (device,) = b.sources._devices.values()
    assert len(device.sources) == SOURCES_MAX


def test_reports_that_nobody_takes_are_few():
    one = Node(1)
    for number in range(REPORTS_MAX + 5):
        one.hear(Node(1, boot=2 + number, salt=b"%08d" % number).sender.beacon())
    assert len(one.sources._reports) == REPORTS_MAX


def test_counter_of_one_salt_ends():
    a = Node(1)
    a.sender.counter = COUNTER_MAX - 1
    a.say()
    with pytest.raises(UsageError, match="fresh"):
        a.say()


@pytest.mark.parametrize(("boot", "salt"), [(1, b"short"), (1 << 32, bytes(8)), (-1, bytes(8))])
def test_boot_and_salt_have_their_sizes(boot, salt):
    with pytest.raises(UsageError):
        Sender(identity(1), LINK, boot=boot, salt=salt)


# --- counters -------------------------------------------------------------------------------------


def test_window_judges_without_moving():
    window, tag, other = Window(100), b"this one", b"that one"
    assert window.judge(100, tag) is Verdict.SEEN
    assert window.judge(100 - WINDOW, tag) is Verdict.OLD
    assert window.judge(100 + JUMP_MAX, tag) is Verdict.FRESH
    assert window.judge(101 + JUMP_MAX, tag) is Verdict.BEYOND
    window.take(103, tag)
    assert [window.judge(counter, tag) for counter in (101, 102, 103)] == [
        Verdict.FRESH,
        Verdict.FRESH,
        Verdict.SEEN,
    ]
    assert window.judge(103, other) is Verdict.BESIDE
    window.take(101, tag)
    assert window.judge(101, tag) is Verdict.SEEN
    window.take(5, tag)
    assert window.highest == 103
    window.take(500, tag)
    assert window.judge(103, tag) is Verdict.OLD
    assert window.judge(103, other) is window.judge(102, tag) is Verdict.BEHIND
    assert window.judge(100, other) is Verdict.OLD


@pytest.mark.parametrize(
    ("reference", "low", "counter"),
    [(0, 5, 5), (65_530, 2, 65_538), (65_540, 65_535, 65_535), (10, 65_535, 65_535)],
)
def test_low_half_stands_for_the_nearest_counter(reference, low, counter):
    assert nearest(reference, low) == counter


def test_challenge_is_for_a_node():
    assert Challenge(b"n" * 10, b"c" * 8).encode() == b"n" * 10 + b"c" * 8
