"""Who lies about long entries over LoRa, or writes too many, and what it costs the others."""

from copy import deepcopy
from functools import lru_cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from radios.camp import MINUTE, Camp

from meshd.sync.air import long
from meshd.sync.files.air import sending, taking
from meshd.sync.files.air.blob import pack
from meshd.wire import entry as wire
from meshd.wire.air_entry import blob_ref
from meshd.wire.lora_payload import Sub
from meshd.wire.lora_pieces import Piece

FALSE = Random("false bytes")


def author_of(host):
    (space,) = host.node.spaces.all()
    return space, space.author


def next_ref(host, of):
    """Return how the next entry of a host's own feed is called at another."""
    space, _ = author_of(host)
    _, author = author_of(of)
    return blob_ref(space.keys.author_id(author), space.feeds[author].seq + 1)


def inject(host, giver, sub, body):
    host.node.files.lora.heard("lora0", giver.node.id, sub, body, host.now)


def offer(host, giver, ref, blob):
    """Let a host hear a signed offer of any bytes as an entry; return all that is sent of it."""
    packed = pack(ref, blob, 230)
    signature = giver.node.spaces.identity.sign(packed.offer.signed)
    inject(host, giver, Sub.OFFER, packed.offer._replace(signature=signature).encode())
    return packed


def give(host, giver, packed):
    for number in range(len(packed.runs)):
        inject(host, giver, Sub.MARKS, packed.marks(number).encode())
    for number in range(packed.offer.need):
        piece = Piece(packed.offer.tag, number, 0, packed.pieces[number])
        inject(host, giver, Sub.PIECE, piece.encode())


def drops(host):
    return set(host.node.snapshot(host.now).drops)


def test_false_bytes_are_no_entry_and_their_signer_is_believed_no_more():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    ada, ben, eve = camp.hosts
    ref = next_ref(ben, ada)
    give(ben, eve, offer(ben, eve, ref, FALSE.randbytes(3_000)))
    assert "pieces-wrong" in drops(ben)
    assert not ben.node.files.lora._takings._takings
    offer(ben, eve, ref, FALSE.randbytes(3_001))
    assert not ben.node.files.lora._takings._takings
    camp.post(0, camp.letters(3_000))
    camp.post(0, "true words")
    camp.until_text(1, "true words", 2 * MINUTE)
    assert camp.same()


def test_an_entry_of_another_number_or_author_is_not_taken_for_what_was_offered():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    ada, ben, eve = camp.hosts
    camp.post(2, camp.letters(3_000))
    until_same = camp.until_same(3 * MINUTE)
    assert until_same < 3 * MINUTE
    space, author = author_of(eve)
    (own,) = eve.node.sync.recent.run(space.id, author, space.feeds[author].seq, 2**31)[:1]
    before = {author: feed.hash32 for author, feed in author_of(ben)[0].feeds.items()}
    give(ben, eve, offer(ben, eve, next_ref(ben, ada), own))
    assert "pieces-wrong" in drops(ben)
    assert before == {author: feed.hash32 for author, feed in author_of(ben)[0].feeds.items()}


def test_who_writes_much_takes_no_hour_of_a_relay_from_who_writes_little():
    """Five times 30 kB would fill the bulk of two hours at SF7."""
    camp = Camp(2, more=2)
    gate, _, mallory, ada = camp.hosts
    camp.world.link(gate, mallory)
    camp.world.link(gate, ada)
    camp.run(10 * MINUTE)
    for _ in range(5):
        camp.post(2, camp.letters(30_000))
    camp.run(30 * MINUTE)
    status = gate.node.snapshot(gate.now).radios[0]
    assert 0.2 < status.airtime_hour_ms / status.airtime_hour_max_ms < 0.3, "half of the bulk"
    camp.post(3, camp.letters(3_000))
    camp.post(3, "help, short")
    camp.until_text(1, "help, short", 2 * MINUTE)
    assert len(gate.node.files.lora._senders._sendings) <= sending.SENDINGS_MAX


def test_all_that_one_wrote_comes_in_the_end():
    camp = Camp(2, more=1)
    gate, _, cleo = camp.hosts
    camp.world.link(gate, cleo)
    camp.run(10 * MINUTE)
    for _ in range(3):
        camp.post(2, camp.letters(30_000))
    camp.post(2, "help, short")
    for _ in range(30):
        camp.run(10 * MINUTE)
        if "help, short" in camp.texts(1):
            break
    assert camp.same()


def test_a_long_entry_on_the_other_branch_of_a_fork_is_taken_and_given_once():
    """A card was put back: one holds x and two hold y, and after y comes a long entry."""
    camp = Camp(3)
    camp.run(10 * MINUTE)
    ada, ben, cleo = camp.hosts
    disk = deepcopy(ada.store)
    cleo.crash()
    camp.post(0, "x")
    camp.run(2 * MINUTE)
    ada.crash()
    ben.crash()
    ada.store = disk
    ada.start()
    cleo.start()
    camp.run(MINUTE)
    camp.post(0, "y")
    camp.run(2 * MINUTE)
    camp.post(0, camp.letters(20_000))
    ben.start()
    camp.run(20 * MINUTE)
    assert "fork-suspected" in drops(ben)
    assert "y" in camp.texts(2)
    before = len(camp.sent)
    camp.run(60 * MINUTE)
    assert sum(size for _, size, _ in camp.sent[before:]) < 8_000


def test_what_was_refused_is_taken_again_when_feed_or_members_are_others():
    camp = Camp(2)
    space, author = author_of(camp.hosts[1])
    refused = camp.hosts[1].node.air._long._refused
    key = (space.id, author, 9)
    for number in range(long.REFUSED_MAX + 5):
        refused.add((key, bytes([number])), b"state", 5)
    assert len(refused._rows) == long.REFUSED_MAX
    assert refused.holds((key, bytes([60])), b"state", 6)
    assert not refused.holds((key, bytes([60])), b"other", 6)
    assert not refused.holds((key, bytes([0])), b"state", 6)
    assert not refused.holds((key, bytes([60])), b"state", 5 + long.REFUSED_US)


def test_an_author_with_the_same_short_id_keeps_no_entry_of_another_out():
    camp = Camp(3)
    camp.run(10 * MINUTE)
    _, ben, _ = camp.hosts
    names = ben.node.air._long.names
    name = next_ref(ben, camp.hosts[0])[:4]
    (true,) = names.authors(name)
    space, own = author_of(ben)
    names._by_id[name] = [(space.id, own), true]
    text = camp.letters(3_000)
    camp.post(0, text)
    camp.until_text(1, text, 2 * MINUTE)
    camp.post(0, "help, short")
    camp.until_text(1, "help, short", MINUTE)


def test_a_strangers_offer_keeps_nobody_from_asking_for_long():
    camp = Camp(4, without=(3,))
    camp.run(10 * MINUTE)
    ada, ben, cleo, eve = camp.hosts
    offer(ben, eve, next_ref(ben, ada), FALSE.randbytes(3_000))
    assert ben.node.air._long.coming(ben.now)
    camp.run(2 * MINUTE)
    assert not ben.node.air._long.coming(ben.now)
    offer(ben, cleo, next_ref(ben, ada), FALSE.randbytes(3_000))
    camp.run(2 * MINUTE)
    assert ben.node.air._long.coming(ben.now)


@lru_cache
def camp_of_two():
    camp = Camp(2)
    camp.run(5 * MINUTE)
    return camp


@settings(max_examples=150, deadline=None)
@given(
    st.booleans(),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 70),
    st.binary(min_size=1, max_size=400) | st.integers(1, wire.ENTRY_LEN_MAX + 900).map(bytes),
)
def test_any_offer_and_any_bytes_change_nothing(known, any_ref, ahead, blob):
    camp = camp_of_two()
    ada, ben = camp.hosts
    ben.node.files.lora._blamed.clear()
    space, author = author_of(ada)
    ref = blob_ref(space.keys.author_id(author), ahead) if known else any_ref
    before = {author: feed.seq for author, feed in author_of(ben)[0].feeds.items()}
    give(ben, ada, offer(ben, ada, ref, blob))
    assert before == {author: feed.seq for author, feed in author_of(ben)[0].feeds.items()}
    assert len(ben.node.files.lora._takings._takings) <= taking.GIVERS_MAX
    assert len(ben.node.files.lora.blobs._ahead) <= 16
