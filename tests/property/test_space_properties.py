"""Spaces under every order, every flipped byte and any bytes."""

from devices.membership_records import SPACE, Person, admit, found, invite, revoke, succeed
from devices.space_devices import SECOND, founder, joined, meet
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import space as space_vectors

from meshd.core.drops import DropReason
from meshd.core.errors import WireError
from meshd.core.guard import guarded
from meshd.core.limits import INVITATION_START
from meshd.space.feed import Accepted, Duplicate
from meshd.space.membership import recompute
from meshd.space.record import decode_joining, decode_space, unpack_fork
from meshd.store.interface import StoreError, StoreFault
from meshd.wire import entry, genesis, invitation, membership, payload
from meshd.wire.membership import Rank


def decoded_space(data: bytes):
    return decode_space("space/", guarded(data, "space/"))


def decoded_joining(data: bytes):
    return decode_joining("joining/", guarded(data, "joining/"))


DECODERS = [
    entry.decode,
    genesis.decode,
    membership.decode_founding,
    membership.decode_admit,
    membership.decode_invite,
    membership.decode_revoke_invite,
    membership.decode_successor,
    membership.decode_member_card,
    membership.decode_founding_card,
    membership.decode_invite_card,
    payload.decode_post,
    payload.decode_message,
    payload.decode_receipt,
    payload.decode_file_clear,
    payload.decode_file_secret,
    invitation.decode_request,
    invitation.decode_join_keys,
    invitation.decode_answer,
    decoded_space,
    decoded_joining,
    unpack_fork,
]


@given(st.sampled_from(DECODERS), st.binary(max_size=600))
def test_any_bytes_decode_or_are_refused(decode, data):
    try:
        value = decode(data)
    except WireError:
        return
    if hasattr(value, "encode") and decode not in (decoded_space, decoded_joining):
        assert value.encode() == data


@given(st.text(max_size=200))
def test_any_text_is_a_link_or_is_refused(text):
    for candidate in (text, INVITATION_START + text):
        try:
            invitation.decode_link(candidate)
        except WireError as error:
            assert str(error)


@given(
    st.sampled_from([draft for draft in space_vectors.make() if draft.startswith("entry-")]),
    st.data(),
)
def test_vectors_survive_any_change_without_raising(name, data):
    raw = bytearray(bytes.fromhex(space_vectors.make()[name]["bytes"]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        assert entry.decode(bytes(raw)).encode() == bytes(raw)
    except WireError:
        return


def test_every_flipped_bit_of_an_entry_is_refused_by_name():
    anna = founder()
    ben = joined("ben", anna)
    ben.ask("post", space="home", text="true")
    space, author = anna.space(), ben.space().author
    (data,) = ben.store.entries[space.id, author].values()
    before = space.log.digest(), dict(space.feeds)
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            result = anna.spaces.accept(space, author, bytes(flipped), 0)
            assert isinstance(result, DropReason), f"byte {place} bit {bit}: {result}"
    assert (space.log.digest(), space.feeds) == before and author not in space.feeds
    assert anna.spaces.accept(space, author, data, 0) == Accepted(1)


@given(st.binary(max_size=400))
@settings(max_examples=50)
def test_any_bytes_never_raise_in_a_space(junk):
    anna = founder()
    for author in (anna.space().author, bytes(32), b""):
        assert isinstance(anna.spaces.accept(anna.space(), author, junk, 0), DropReason)
    assert isinstance(anna.spaces.joins.answer(junk, 1, 0), DropReason)
    assert isinstance(anna.spaces.joins.finish(bytes(32), junk, lambda why, now: None), DropReason)
    assert anna.spaces.fork(anna.space(), bytes(32), 1, junk, junk[::-1], now=0) is (
        DropReason.FORK_UNPROVEN
    )


def history():
    """Records of five people, some concurrent, some invalid, one succession."""
    anna, ben, carl, dora, eve, twin = (Person(name) for name in "abcdet")
    start = found(anna)
    link = invite(anna, start, uses=2)
    power = invite(anna, link, key="power", rank=Rank.ADMIN)
    first = admit(anna, ben, power, power, key="power")
    end = revoke(ben, link, first)
    late = admit(anna, carl, link, first)
    knowing = admit(ben, dora, link, end)
    third = admit(carl, eve, link, late)
    over = succeed(twin, carl, late, end)
    return anna.author, [start, link, power, first, end, late, knowing, third, over]


FOUNDER, RECORDS = history()


@given(st.permutations(RECORDS))
def test_order_of_records_changes_nothing(records):
    log, left = recompute(SPACE, FOUNDER, records)
    wanted, _ = recompute(SPACE, FOUNDER, RECORDS)
    assert log.digest() == wanted.digest()
    assert sorted(left) == [RECORDS[6]]
    assert [(author, log.rank(author)) for author in log.authors()] == [
        (author, wanted.rank(author)) for author in wanted.authors()
    ]
    assert log.frontier(FOUNDER) == wanted.frontier(FOUNDER)


def heirs_of_a_liar():
    """One member names twenty heirs that hide each other; some name more, one invites."""
    anna, ben = Person("anna"), Person("ben")
    start = found(anna)
    power = invite(anna, start, rank=Rank.ADMIN)
    first = admit(anna, ben, power, power)
    heirs = [Person(f"heir {number}") for number in range(20)]
    star = [succeed(heir, ben, first) for heir in heirs]
    chain = [succeed(Person(f"of {n}"), heirs[n], star[n], *star[10 : 10 + n]) for n in range(10)]
    link = invite(heirs[0], star[0], key="more")
    return anna.author, [start, power, first, *star, *chain, link]


LIED_TO, HEIRS = heirs_of_a_liar()


@given(st.permutations(HEIRS))
@settings(max_examples=25)
def test_order_of_many_heirs_changes_nothing(records):
    log, left = recompute(SPACE, LIED_TO, records)
    wanted, wanted_left = recompute(SPACE, LIED_TO, HEIRS)
    assert log.digest() == wanted.digest() and sorted(left) == sorted(wanted_left)
    assert len(left) == 3, "those that knew of eight heirs and more"
    assert {author: (log.rank(author), log.origin(author)) for author in log.authors()} == {
        author: (wanted.rank(author), wanted.origin(author)) for author in wanted.authors()
    }
    assert log.frontier(LIED_TO) == wanted.frontier(LIED_TO)


STEPS = st.lists(
    st.tuples(st.sampled_from(["post", "send", "commit", "crash", "fail", "meet"]), st.booleans()),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=60)
def test_what_was_called_written_survives_every_crash_and_forks_nothing(steps):
    anna = founder()
    ben = joined("ben", anna)
    meet(anna, ben)
    asked, refusals = {}, []
    for number, (step, first) in enumerate(steps):
        device = anna if first else ben
        device.held = True
        if step in ("post", "send"):
            to = {"to": "ben" if first else "anna"} if step == "send" else {}
            ticket = 5000 + number
            args = {"space": "home", "text": str(number), **to}
            device.spaces.requests["post"](args, ticket, 0)
            device.run()
            asked[device.name, ticket] = str(number)
        elif step == "commit":
            device.commit()
            device.run()
        elif step == "crash":
            device.start()
        elif step == "fail":
            device.store.fail_next = StoreError(StoreFault.FULL, "full", remedy="")
            device.commit()
            device.store.fail_next = None
            device.run()
        else:
            anna.held = ben.held = False
            for each in (anna, ben):
                each.commit()
                each.run()
                each.wait(2 * SECOND)
            refusals += meet(anna, ben)
    anna.held = ben.held = False
    for device in (anna, ben):
        device.start()
    refusals += meet(anna, ben)
    assert DropReason.FORK_SUSPECTED not in refusals and DropReason.ENTRY_GAP not in refusals
    texts = anna.texts()
    assert sorted(texts) == sorted(ben.texts())
    for device in (anna, ben):
        assert not device.kinds("feed-restarted")
        for ticket, reply in device.replies.items():
            if (device.name, ticket) in asked and reply.value:
                assert asked[device.name, ticket] in texts


def made_history():
    """A space of four devices that wrote apart from each other, and every entry of it."""
    anna = founder()
    ben, carl = joined("ben", anna, role="admin"), joined("carl", anna)
    meet(anna, ben, carl)
    dora = joined("dora", ben)
    for device in (anna, ben, carl, dora):
        device.ask("post", space="home", text=f"by {device.name}")
    anna.ask("invite", space="home")
    meet(anna, ben, carl, dora)
    return anna, list(anna.entries(anna.space()))


ANNA, ENTRIES = made_history()


@given(st.permutations(ENTRIES))
@settings(max_examples=25)
def test_replicas_are_equal_whatever_came_first(entries):
    replica = joined("late", founder("other"))
    record = ANNA.space().record()._replace(seed=bytes(32), rank=Rank.WRITER)
    space = replica.spaces._build(record)
    replica.spaces._spaces[space.id] = space
    for _ in range(len(entries)):
        results = [replica.spaces.accept(space, author, data, 0) for author, data in entries]
        if all(isinstance(result, Duplicate) for result in results):
            break
        replica.run()
    assert space.log.digest() == ANNA.space().log.digest()
    assert space.members() == ANNA.space().members()
    assert {author: feed.hash32 for author, feed in space.feeds.items()} == {
        author: feed.hash32 for author, feed in ANNA.space().feeds.items()
    }
