"""Whatever a peer or the store says to `Files` is legal or a named drop, never an exception."""

from devices.file_devices import FileDevice, FileNet, household, sync
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.errors import WireError
from meshd.wire import file_messages as wire

NUMBERS = st.one_of(
    st.integers(0, 12), st.sampled_from((wire.ROOT_ADDRESS, wire.LEAF_ADDRESS, 0xFFFFFFFE))
)
DATA = b"a small file"


class Fixture:
    """A relay with quota, a member that has put and one that gets; made anew for each example."""

    def __init__(self):
        FileDevice.quota_bytes = 1 << 20
        try:
            names = ("anna", "rose", "ben")
            self.devices = household(*names, roles=[("rose", "relay")])
        finally:
            FileDevice.quota_bytes = 0
        anna, rose, ben = self.devices
        self.net = FileNet(*self.devices)
        anna.put(DATA)
        sync(*self.devices)
        anna.listed()
        self.space = anna.space().id
        self.root = anna.files._catalogue.all(self.space)[0].clear.root
        self.ends = [*self.net.link(anna, ben), *self.net.link(rose, ben)]
        for end in self.ends:
            end.frozen = True
        ben.get()


@st.composite
def records(draw):
    """A message of ours with odd numbers, or plain bytes of our types."""
    numbers = draw(st.lists(NUMBERS, min_size=1, max_size=5))
    kind = draw(st.sampled_from(("ask", "missing", "cancel", "offer", "held", "piece", "junk")))
    junk = draw(st.binary(max_size=90))
    return kind, numbers, junk, draw(st.booleans())


def encode(world, kind, numbers, junk, known):
    space, root = (world.space, world.root) if known else (bytes(32), bytes(32))
    if kind == "ask":
        asked = tuple(wire.Asked(number, number) for number in numbers)
        return wire.Ask(space, root, asked).encode()
    if kind == "offer":
        return wire.Offer(space, root, tuple(numbers)).encode()
    if kind == "held":
        return wire.Held(space, (root,)).encode()
    if kind in {"missing", "cancel"}:
        return {"missing": wire.Missing, "cancel": wire.Cancel}[kind](tuple(numbers)).encode()
    return bytes([32 + numbers[0] % 16]) + junk


@settings(max_examples=60)
@given(moves=st.lists(st.tuples(records(), st.integers(0, 3), st.integers(0, 9)), max_size=25))
def test_any_input_in_any_state_is_legal_or_dropped(moves):
    world = Fixture()
    for (kind, numbers, junk, known), which, wait in moves:
        end = world.ends[which]
        taker, session = end.taker, end.taker_number
        if kind == "piece":
            head = wire.Piece(numbers[0], numbers[-1]).encode()
            taker.files.bulk(session, head, junk, world.net.now)
        else:
            data = encode(world, kind, numbers, junk, known)
            taker.files.record(session, data, world.net.now)
        taker.run()
        if wait == 9:
            world.net.wait(7)
    for end in world.ends:
        end.frozen = False
    world.net.wait(40)


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data):
    try:
        message = wire.decode(data)
    except WireError:
        return
    assert message.encode() == data
