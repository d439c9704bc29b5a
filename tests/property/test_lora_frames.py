"""Frames on the air under attack: flipped, cut, replayed, foreign, random; and no nonce twice."""

from hypothesis import given, settings
from hypothesis import strategies as st
from radios.nodes import LINK, OTHER_LINK, Node, identity

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.ids import EVERYONE
from meshd.link.seal import Mark, frame_nonce, seal, sender_keys, unseal
from meshd.link.sender import Sender
from meshd.link.sources import Asked, Met, Opened, Overheard
from meshd.wire.lora_beacon import Beacon, Challenge
from meshd.wire.lora_frame import FrameKind, LoraFrame

texts = st.binary(max_size=225)
kinds = st.sampled_from([FrameKind.LOCAL, FrameKind.ROUTED])
REFUSED = (
    *(DropReason.FRAME_FORGED, DropReason.FRAME_MALFORMED, DropReason.FRAME_FOREIGN),
    DropReason.FRAME_STRANGER,
)
A = identity(1)
KEYS = sender_keys(LINK, public=A.public, boot=1, salt=bytes(8))


def met():
    a, b = Node(1), Node(2)
    b.meet(a)
    return a, b


def frame_of(a, kind, text):
    destination = b"dd" if kind is FrameKind.ROUTED else b""
    return a.sender.seal(kind, text, hop_limit=3, destination=destination)


@given(kinds, texts, st.integers(min_value=0))
def test_every_flipped_bit_of_a_frame_is_refused(kind, text, place):
    a, b = met()
    frame = bytearray(frame_of(a, kind, text))
    frame[place // 8 % len(frame)] ^= 1 << place % 8
    assert b.hear(bytes(frame)) in REFUSED


def test_every_flipped_bit_of_one_frame_and_one_beacon_is_refused():
    a, b = met()
    for good in (a.say(b"a short text"), a.sender.beacon()):
        for place in range(8 * len(good)):
            frame = bytearray(good)
            frame[place // 8] ^= 1 << place % 8
            assert b.hear(bytes(frame)) in REFUSED
        assert isinstance(b.hear(good), Opened | Met)


@given(kinds, texts, st.integers(0, 254))
def test_every_truncated_frame_is_refused(kind, text, length):
    a, b = met()
    frame = frame_of(a, kind, text)
    assert b.hear(frame[: length % len(frame)]) in REFUSED


@given(kinds, texts, st.binary(min_size=1, max_size=20))
def test_frame_with_more_at_its_end_is_refused(kind, text, more):
    a, b = met()
    assert b.hear(frame_of(a, kind, text) + more) in REFUSED


@given(kinds, texts)
def test_frame_of_another_mesh_is_refused_even_with_our_context_on_it(kind, text):
    a, b = met()
    a.sender.use(OTHER_LINK)
    frame = frame_of(a, kind, text)
    assert b.hear(frame) is DropReason.FRAME_FOREIGN
    disguised = frame[:1] + bytes([LINK.context]) + frame[2:]
    assert b.hear(disguised) is DropReason.FRAME_FORGED


@given(st.lists(texts, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_each_frame_is_opened_once_in_any_order_and_any_number_of_copies(told, random):
    a, b = met()
    frames = [a.say(text) for text in told] * 3
    random.shuffle(frames)
    opened = [heard for heard in map(b.hear, frames) if isinstance(heard, Opened)]
    assert sorted(heard.plaintext for heard in opened) == sorted(told)


@settings(max_examples=300)
@given(st.binary(max_size=260))
def test_any_bytes_are_heard_as_a_named_drop(data):
    _, b = met()
    assert isinstance(b.hear(data), DropReason)


@given(st.integers(0, 63), st.binary(min_size=23, max_size=253))
def test_any_bytes_under_our_context_are_a_named_drop(first, rest):
    _, b = met()
    assert isinstance(b.hear(bytes([64 | first, LINK.context]) + rest), DropReason)


@given(st.sampled_from([FrameKind.BEACON, FrameKind.CHALLENGE]), texts)
def test_any_body_that_a_member_seals_is_a_value_or_a_named_drop(kind, body):
    a, b = met()
    head = LoraFrame(kind, 0, LINK.context, EVERYONE, a.node[:2], 9)
    frame = seal(LINK.group, head, body, Mark(bytes(10), LINK.epoch, 9)).encode()
    assert isinstance(b.hear(frame), DropReason | Overheard | Asked)


@given(st.binary(max_size=260))
def test_any_bytes_decode_or_raise_wire_error_and_come_back(data):
    for kind in (LoraFrame, Beacon, Challenge):
        try:
            value = kind.decode(data)
        except WireError:
            continue
        assert value.encode() == data


# --- the composition ------------------------------------------------------------------------------

marks = st.builds(Mark, st.just(A.node), st.just(LINK.epoch), st.integers(1, 3))
heads = st.builds(
    LoraFrame,
    st.just(FrameKind.LOCAL),
    st.integers(0, 1),
    st.just(LINK.context),
    st.just(EVERYONE),
    st.just(A.node[:2]),
    st.integers(1, 3),
)
few = st.sampled_from([b"", b"a", b"b", b"aa", b"ab", bytes(20), bytes(19) + b"\1"])


@given(st.lists(st.tuples(heads, few, marks), max_size=30))
def test_no_two_plaintexts_share_a_nonce_however_often_a_counter_comes_again(drawn):
    under = {}
    for head, text, mark in drawn:
        frame = seal(KEYS, head, text, mark)
        what = (head.header(), text, mark)
        assert under.setdefault(frame_nonce(mark, frame.tag), what) == what
        assert unseal(KEYS, frame, mark) == text


@given(texts.filter(len), texts.filter(len))
def test_repeated_counter_shows_only_whether_two_frames_are_equal(text, other):
    """Rolled back to the same boot, salt and counter: the worst that lost state can do."""
    one, two = (Sender(A, LINK, boot=1, salt=bytes(8)) for _ in range(2))
    first, second = one.seal(FrameKind.LOCAL, text), two.seal(FrameKind.LOCAL, other)
    assert (first == second) == (text == other)
    if text != other:
        bodies = [LoraFrame.decode(frame).body for frame in (first, second)]
        length = min(map(len, bodies))
        keystreams = [
            bytes(a ^ b for a, b in zip(body, plain, strict=True))[:length]
            for body, plain in zip(bodies, (text, other), strict=True)
        ]
        # One byte may be equal by chance; two keystreams of some length are not.
        assert length < 8 or keystreams[0] != keystreams[1]


@given(st.integers(0, 3), st.integers(0, 3), texts)
def test_keys_of_two_boots_or_two_salts_are_never_the_same(boot, salt, text):
    salts = bytes([salt]) * 8
    frame = Sender(A, LINK, boot=boot, salt=salts).seal(FrameKind.LOCAL, text)
    mark = Mark(A.node, LINK.epoch, 1)
    for other_boot in range(4):
        for other_salt in range(4):
            keys = sender_keys(LINK, public=A.public, boot=other_boot, salt=bytes([other_salt]) * 8)
            same = (other_boot, other_salt) == (boot, salt)
            assert (unseal(keys, LoraFrame.decode(frame), mark) == text) == same


@given(texts)
def test_tag_covers_sender_epoch_and_whole_counter(text):
    head = LoraFrame(FrameKind.LOCAL, 0, LINK.context, EVERYONE, A.node[:2], 7)
    mark = Mark(A.node, LINK.epoch, 7)
    frame = seal(KEYS, head, text, mark)
    assert unseal(KEYS, frame, mark) == text
    for wrong in (
        mark._replace(node=identity(2).node),
        mark._replace(epoch=OTHER_LINK.epoch),
        mark._replace(counter=7 + (1 << 16)),
        mark._replace(counter=7 + (1 << 32)),
    ):
        assert unseal(KEYS, frame, wrong) is None
