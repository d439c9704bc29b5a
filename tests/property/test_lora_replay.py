"""A sender, a receiver and a recorder that plays anything at any time, through reboots of both."""

from hypothesis import given, settings
from hypothesis import strategies as st
from radios.nodes import SECOND_US, Node

from meshd.link.sources import Met, Opened
from meshd.wire.lora_frame import FrameKind, echo_of
from meshd.wire.lora_payload import Local, Sub

ECHOES = Local(Sub.ECHOES, b"").encode()
PLACES = st.integers(0, 10_000)
moves = st.one_of(
    st.tuples(st.just("send"), st.sampled_from([1, 3, 70])),
    st.tuples(st.just("play"), PLACES),
    st.tuples(st.just("all"), st.booleans()),
    st.tuples(st.just("all"), st.booleans()),
    st.tuples(st.just("beacon"), st.booleans()),
    st.tuples(st.just("ask"), st.booleans()),
    st.tuples(st.just("echo"), st.booleans()),
    st.tuples(st.just("reboot"), st.sampled_from(["sender", "receiver"])),
    st.tuples(st.just("jump"), st.sampled_from([100, 5_000, 40_000, 70_000])),
    st.tuples(st.just("wait"), st.integers(1, 200)),
)


class Air:
    """All frames that were ever sent, and who was trusted for which of them."""

    def __init__(self):
        self.sender, self.receiver = Node(1), Node(2)
        self.now = 0
        self.recording = []
        self.fresh()

    def fresh(self):
        self.trusted = set()
        self.answered = False

    def record(self, frame, *, deliver=True):
        self.recording.append(frame)
        if deliver:
            self.play(len(self.recording) - 1)

    def play(self, place):
        if not self.recording:
            return
        frame = self.recording[place % len(self.recording)]
        heard = self.receiver.hear(frame, self.now)
        if isinstance(heard, Opened) and heard.plaintext[:1] == ECHOES[:1]:
            echoes = {heard.plaintext[len(ECHOES) :]}
            if self.receiver.sources.echoed(heard, echoes, self.now):
                assert self.answered, "an echo of what was not heard"
        if isinstance(heard, Opened) and heard.trusted:
            assert self.answered, "trusted, and never answered"
            assert frame not in self.trusted, "trusted twice"
            self.trusted.add(frame)
        if isinstance(heard, Met) and heard.proven:
            assert self.answered, "proven, and never answered"

    def ask(self, delivered):
        challenge = self.receiver.challenge(self.now)
        if challenge is None or not delivered:
            return
        self.sender.hear(challenge, self.now)
        self.answered = True  # any beacon from now on has its nonce in it
        answer = self.sender.answer(self.now)
        if answer is not None:
            self.record(answer)

    def echo(self, delivered):
        """The receiver says anything, and the sender sends back what shows that it heard it."""
        frame = self.receiver.say()
        self.receiver.sources.said(frame, self.now)
        if delivered:
            self.answered = True
            plaintext = Local(Sub.ECHOES, echo_of(frame)).encode()
            self.record(self.sender.sender.seal(FrameKind.LOCAL, plaintext))

    def move(self, what, how):
        if what == "send":
            for number in range(how):
                self.record(self.sender.say(b"%d" % number), deliver=number % 3 != 0)
        elif what == "play":
            self.play(how)
        elif what == "all":
            places = range(len(self.recording))
            for place in places if how else reversed(places):
                self.play(place)
        elif what == "beacon":
            self.record(self.sender.sender.beacon(with_key=how))
        elif what == "ask":
            self.ask(how)
        elif what == "echo":
            self.echo(how)
        elif what == "jump":
            self.sender.sender.counter += how
        elif what == "wait":
            self.now += how * SECOND_US
        elif how == "sender":
            self.sender = self.sender.reboot()
        else:
            self.receiver = self.receiver.reboot()
            self.fresh()


@settings(max_examples=150)
@given(st.lists(moves, min_size=3, max_size=15))
def test_nothing_is_trusted_twice_and_nobody_who_did_not_answer(played):
    air = Air()
    air.record(air.sender.sender.beacon())
    air.record(air.sender.say())
    air.ask(delivered=True)
    for what, how in played:
        air.move(what, how)


@settings(max_examples=100)
@given(st.lists(moves, max_size=20))
def test_whatever_was_played_a_sender_that_is_there_is_heard_again(played):
    """A recorder delays trust; it never takes it away for good."""
    air = Air()
    for what, how in played:
        air.move(what, how)
    for _ in range(12):
        air.now += 65 * 60 * SECOND_US
        air.record(air.sender.sender.beacon())
        air.record(air.sender.say(b"here %d" % air.now))
        air.ask(True)
    last = air.sender.say(b"last")
    heard = air.receiver.hear(last, air.now)
    assert isinstance(heard, Opened) and heard.trusted
