"""Prekeys of devices: told, used, replaced, deleted; and what who has a key later can read."""

from copy import deepcopy
from itertools import product

import pytest
from devices.letter_net import Net
from devices.space_devices import join

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.events import MetaRow
from meshd.core.ids import OPEN_MESH_ID
from meshd.forwarding import pairwise
from meshd.forwarding.pairwise import Pairwise, Prekey, direction, unseal
from meshd.forwarding.radio_events import DirectAnswered, DirectArrived
from meshd.messages.contacts import CANDIDATES_MAX
from meshd.messages.prekeys import (
    DAY_US,
    OWN_MAX,
    PLAIN_MAX,
    SETTLE_US,
    THEIRS_MAX,
    UNOPENED_US,
)
from meshd.space.entries import Draft
from meshd.space.told_prekeys import KEPT
from meshd.store.interface import StoreError, StoreFault
from meshd.wire import payload
from meshd.wire.entry import Kind
from meshd.wire.letters import Text

DAY = 24 * 3600
OWN = "letter/own/"


def pair(kind="lora", *, told=True):
    """Two devices that share a space, and by default each other's prekeys."""
    net = Net("a", "b", edges=[("a", "b", kind)])
    net.share("a", "b")
    if told:
        net.run(1_200)
        net.sync("a", "b")
    return net, net["a"], net["b"]


def age(net, days):
    """Let days pass in which both ends meet, a day at a time."""
    for _ in range(days):
        net.run(DAY)
        net.sync(*(device.name for device in net.devices if device.name not in net.away))


def grow_old(net, device, days):
    """Let one device run alone for days, at the price of hours."""
    for _ in range(days // 5):
        device.messages.prekeys._uptime_us += 5 * DAY_US
        net.run(1_800)


def secrets(device):
    return {key: value for key, value in device.store.metas.items() if key.startswith(OWN)}


def told_by(device, by):
    """The numbers of the prekeys that a device has of another one."""
    return [number for number, _ in device.space().prekeys.of(by.space().author)]


def keys(device):
    return [row["keys"] for row in device.list(peek=True)]


def say(net, text, seconds=10):
    net["a"].text(net["b"], text)
    net.run(seconds)


def append(device, number, public, unopened=()):
    said = payload.PrekeyRecord(number, public, tuple(unopened)).encode()
    device.spaces.append(device.space(), Draft(Kind.PREKEY, b"", said), device.now)
    device.run()


def test_both_tell_a_prekey_once_and_letters_are_sealed_with_them_from_then_on():
    net, one, two = pair(told=False)
    say(net, "before")
    net.run(1_200)
    net.sync("a", "b")
    say(net, "after")
    assert two.shown() == ["before", "after"] and one.states() == ["sent", "delivered"] * 2
    assert keys(one) == keys(two) == ["identity", "prekeys"]
    net.run(DAY)
    assert told_by(one, two) == told_by(two, one) == [1] and len(secrets(one)) == 1


def test_a_prekey_is_no_post_and_is_not_shown():
    _, one, two = pair()
    assert one.log() == [] and two.log() == []


def test_who_takes_identity_keys_later_reads_nothing_that_was_sealed_with_prekeys():
    net, one, two = pair(told=False)
    say(net, "before")
    net.run(1_200)
    net.sync("a", "b")
    say(net, "after")
    (_, _, before), (_, _, after) = net.frames
    seeds = [device.identity.device_seed for device in (one, two)]
    stolen = Pairwise(seeds[1], OPEN_MESH_ID).with_device(one.identity.public)
    assert unseal(stolen.back, before) == Text(1, "before").encode()
    assert unseal(stolen.back, after) is None
    publics = [device.messages.prekeys._newest()[0].public for device in (one, two)]
    known = [crypto.exchange_secret_of(seed) for seed in seeds]
    halves = [*publics, *(crypto.exchange_public(secret) for secret in known)]
    ends = (OPEN_MESH_ID, one.identity.public, two.identity.public)
    identities = crypto.exchange(known[0], halves[3])
    for secret, half in product(known, halves):
        fresh = crypto.exchange(secret, half)
        shares = [fresh] + [
            crypto.digest(fresh + first + last, key=identities, person=b"meshd-pair-pre")
            for first, last in product(publics, publics)
        ]
        assert all(unseal(direction(share, *ends), after) is None for share in shares)
    private = two.messages.prekeys._newest()[0]
    whole = Pairwise(seeds[1], OPEN_MESH_ID)
    opened = whole.with_prekeys(one.identity.public, private, publics[0])
    assert unseal(opened.back, after) == Text(2, "after").encode()


def test_private_halves_alone_do_not_let_anybody_write_as_somebody_else():
    _, one, two = pair()
    private = one.messages.prekeys._newest()[0]
    thief = Pairwise(crypto.digest(b"thief"), OPEN_MESH_ID)
    theirs = two.messages.prekeys._newest()[0].public
    forged = pairwise.seal(
        thief.with_prekeys(two.identity.public, private, theirs).there, Text(9, "x").encode()
    )
    two.tell(DirectArrived("lora0", one.node[:2], 5, forged, two.node[:2], 1))
    two.run()
    assert two.shown() == []


def test_a_prekey_is_replaced_after_thirty_days_and_gone_after_sixty():
    net, one, two = pair()
    first = secrets(one)[OWN + "00000001"]
    age(net, 31)
    assert set(secrets(one)) == {OWN + "00000001", OWN + "00000002"}
    assert told_by(two, one) == [2, 1]
    age(net, 30)
    assert set(secrets(one)) == {OWN + "00000002", OWN + "00000003"}
    assert first[:32] not in b"".join(one.store.metas.values())
    say(net, "still here")
    assert two.shown() == ["still here"] and keys(two) == ["prekeys"]


def test_uptime_counts_over_restarts_and_no_time_between_them_does():
    net, one, _ = pair()
    for _ in range(29):
        net.run(DAY - 3_600)
        net.restart("a")
        one.messages.prekeys._since = None
    net.run(DAY)
    assert set(secrets(one)) == {OWN + "00000001"}
    net.run(2 * DAY)
    assert set(secrets(one)) == {OWN + "00000001", OWN + "00000002"}


def test_a_new_prekey_is_used_by_its_owner_only_after_others_could_hear_it():
    net, one, two = pair()
    age(net, 31)
    newest = one.messages.prekeys._newest()[0]
    assert newest.number == 2
    made_at = one.now - (one.messages.prekeys.uptime_us(one.now) - newest.made_us)
    used = one.messages.prekeys.to_seal(two.node, made_at + SETTLE_US - 1)
    assert used.own.number == 1
    assert one.messages.prekeys.to_seal(two.node, made_at + SETTLE_US).own.number == 2


def isolated_for(net, days):
    """Let the second one be away, running, until its private halves were deleted."""
    net.away = {"b"}
    age(net, days)
    net.away = set()


def test_who_was_away_too_long_refuses_by_proof_and_gets_the_text_under_the_identity_keys():
    net, one, two = pair()
    isolated_for(net, 95)
    say(net, "welcome back", 20)
    assert two.shown() == ["welcome back"] and one.states()[-1] == "delivered"
    assert two.dropped(DropReason.LETTER_UNOPENED) == 1
    assert keys(one) == keys(two) == ["identity"]
    net.sync("a", "b")
    say(net, "as before")
    assert two.shown()[1:] == ["as before"] and keys(two)[1:] == ["prekeys"]


def test_a_stored_text_that_comes_after_its_key_was_deleted_is_given_back_and_sealed_anew():
    net, one, two = pair()
    net.away = {"b"}
    say(net, "while you were away", 60)
    assert one.list(peek=True)[0]["keys"] == "prekeys"
    grow_old(net, two, 95)
    net.sync("a", "b")
    assert two.shown() == [] and two.dropped(DropReason.LETTER_UNOPENED) == 1
    net.run(60)
    net.sync("a", "b")
    assert one.states() == ["sent"]
    net.away = set()
    net.run(60)
    net.sync("a", "b")
    assert two.shown() == ["while you were away"]
    assert one.states()[-1] == "delivered" and keys(two) == ["prekeys"]
    assert one.space().mail.returned() == [] and two.space().mail.due == 0


def test_a_text_given_back_while_its_sender_restarts_is_not_taken_for_delivered():
    net, one, two = pair()
    net.away = {"b"}
    say(net, "keep trying", 60)
    grow_old(net, two, 95)
    net.sync("a", "b")
    net.run(60)
    one.messages._sending.look = lambda now: None  # the power goes before it is looked at
    net.sync("a", "b")
    assert one.space().mail.returned()
    net.restart("a")
    net.run(60)
    assert "delivered" not in one.states()
    for _ in range(3):
        net.sync("a", "b")
        net.run(60)
    assert two.shown() == ["keep trying"] and one.states()[-1] == "delivered"


def test_a_text_repeated_under_other_keys_is_shown_once():
    net, one, two = pair()
    one.messages._sending._store = one.messages._sending._later  # there is no room in the space
    net.lost = lambda what, sender, to: what == "answer"
    say(net, "hello", 90)
    assert keys(one) == keys(two) == ["prekeys"]
    one.messages.prekeys.doubt(two.node, one.now)
    net.lost = lambda what, sender, to: False
    net.run(200)
    assert two.shown() == ["hello"] and one.states() == ["sent", "delivered"]
    assert keys(one) == ["identity"] and two.kinds("message-twin") == []


def test_a_card_put_back_to_before_its_prekey_recovers_and_says_so():
    net, one, two = pair(told=False)
    old = deepcopy(two.store.metas), deepcopy(two.store.entries), list(two.store.membership)
    net.run(1_200)
    net.sync("a", "b")
    say(net, "one")
    two.store.metas, two.store.entries, two.store.membership = deepcopy(old)
    two.notices.clear()
    net.restart("b")
    assert secrets(two) == {}
    net.sync("a", "b")  # its own record comes back to it, without the private half
    say(net, "two", 100)
    assert "two" in two.shown() and one.states()[-1] == "delivered"
    assert two.dropped(DropReason.LETTER_UNOPENED) >= 1
    net.run(1_200)
    net.sync("a", "b")
    (lost,) = two.kinds("prekey-lost")
    assert lost.warning and lost.fields["number"] == 1
    say(net, "three")
    assert two.shown()[-1] == "three" and keys(two)[-1] == "prekeys"
    assert set(secrets(two)) == {OWN + "00000002"}


def test_an_older_prekey_never_replaces_a_newer_one():
    net, one, two = pair()
    age(net, 31)
    before = two.space().prekeys.of(one.space().author)
    append(one, 1, b"\x09" * 32)
    append(one, 2, b"\x09" * 32)
    net.sync("a", "b")
    assert two.space().prekeys.of(one.space().author) == before
    assert two.dropped(DropReason.LETTER_PREKEY_OLD) == 2
    author = one.space().author
    entries = list(one.store.entries[one.space().id, author].values())
    for data in entries:  # a recording of all that was ever told
        two.spaces.accept(two.space(), author, data, two.now)
    two.run()
    assert two.space().prekeys.of(author) == before


def test_a_member_can_tell_a_prekey_in_its_own_name_only():
    net = Net("a", "b", "c")
    net.share("a", "b", "c")
    net.run(1_800)
    net.sync("a", "b", "c")
    before = net["b"].messages.prekeys.to_seal(net["a"].node, net["b"].now).theirs
    for number in range(90, 100):
        append(net["c"], number, b"\x09" * 32)
    net.sync("a", "b", "c")
    assert net["b"].messages.prekeys.to_seal(net["a"].node, net["b"].now).theirs == before
    assert net["b"].messages.prekeys.to_seal(net["c"].node, net["b"].now).theirs == b"\x09" * 32
    space, author = net["a"].space(), net["a"].space().author
    data = list(net["c"].store.entries[space.id, net["c"].space().author].values())[-1]
    refused = net["b"].spaces.accept(net["b"].space(), author, data, net["b"].now)
    assert refused is DropReason.ENTRY_AUTHOR


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31)])
def test_a_prekey_that_is_no_key_is_not_used(public):
    net, _, two = pair()
    append(two, 5, public)
    net.sync("a", "b")
    say(net, "hello")
    assert two.shown() == ["hello"] and keys(two) == ["identity"]


def test_readers_tell_none_and_get_letters_under_the_identity_keys():
    net = Net("a", "b", edges=[("a", "b", "lora")])
    one, two = net["a"], net["b"]
    one.ask("space.create", name="home", **{"as": "a"})
    join(two, one, one.ask("invite", space="home", role="reader").value["url"])
    net.sync("a", "b")
    net.run(1_200)
    net.sync("a", "b")
    assert secrets(net["b"]) == {}
    say(net, "hello")
    assert net["b"].shown() == ["hello"] and keys(net["b"]) == ["identity"]


def test_forged_refusals_change_no_keys():
    net, one, two = pair()
    net.lost = lambda what, sender, to: what == "direct"
    say(net, "hello", 1)
    (_, _, body), *_ = net.frames
    thief = Pairwise(crypto.digest(b"thief"), OPEN_MESH_ID).with_device(one.identity.public)
    for number in range(1, 4):
        for tag in (pairwise.refusal(thief.there, body), pairwise.refusal(thief.back, body)):
            one.tell(DirectAnswered("lora0", number, tag))
    net.run(1)
    assert one.dropped(DropReason.LETTER_FORGED) >= 2
    assert one.messages.prekeys.to_seal(two.node, one.now) is not None


def test_nothing_is_told_before_the_private_half_is_on_disk():
    net, one, two = pair(told=False)
    commit, failed = one.store.commit, []

    def fails_once(groups):
        rows = [row for rows in groups for row in rows]
        if not failed and any(isinstance(row, MetaRow) and row.secret for row in rows):
            failed.append(True)
            raise StoreError(StoreFault.BROKEN, "the disk failed", remedy="change the card")
        commit(groups)

    one.store.commit = fails_once
    for _ in range(60):
        net.run(10)
        assert len(one.space().prekeys.of(one.space().author)) <= len(secrets(one))
    assert failed
    net.run(3_600)
    net.sync("a", "b")
    assert len(secrets(one)) == 1 and told_by(two, one) == [1]


def test_power_lost_between_private_half_and_record_leads_to_one_prekey():
    net, one, two = pair(told=False)
    one.messages.prekeys._append = lambda *args: False
    net.run(1_200)
    assert len(secrets(one)) == 1 and told_by(one, one) == []
    net.restart("a")
    net.run(1_200)
    net.sync("a", "b")
    assert set(secrets(one)) == {OWN + "00000001"} and told_by(two, one) == [1]


def test_a_damaged_private_half_is_a_problem_and_another_is_made():
    net, one, two = pair()
    key = OWN + "00000001"
    one.store.metas[key] = bytes(len(one.store.metas[key]))
    net.restart("a")
    (problem,) = one.messages.problems()
    assert key in problem.text
    net.run(1_200)
    net.sync("a", "b")
    assert set(secrets(one)) == {OWN + "00000002"}
    say(net, "hello")
    assert two.shown() == ["hello"] and keys(two) == ["prekeys"]


def test_prekeys_of_others_are_there_after_a_restart():
    net, _, two = pair()
    for name in "ab":
        net.restart(name)
    net.run(10)
    say(net, "hello")
    assert two.shown() == ["hello"] and keys(two) == ["prekeys"]


def test_what_is_kept_and_tried_has_an_end(monkeypatch):
    net, one, two = pair()
    for number in range(2, 12):
        append(two, number, crypto.exchange_public(crypto.digest(b"%d" % number)))
    net.sync("a", "b")
    assert told_by(one, two) == [11, 10, 9] and KEPT == 3
    assert len(one.messages.prekeys.to_open(two.node)) <= OWN_MAX * THEIRS_MAX
    age(net, 130)
    assert len(secrets(two)) <= OWN_MAX and len(secrets(one)) <= OWN_MAX
    tries = []
    real = pairwise.unseal
    monkeypatch.setattr(pairwise, "unseal", lambda *args: tries.append(1) or real(*args))
    junk = DirectArrived("lora0", two.node[:2], 9, bytes(60), one.node[:2], 1)
    one.tell(junk)
    assert len(tries) <= CANDIDATES_MAX * (1 + OWN_MAX * THEIRS_MAX)
    for number in range(2 * PLAIN_MAX):
        one.messages.prekeys.doubt(b"%10d" % number, one.now)
    assert len(one.messages.prekeys._plain) == PLAIN_MAX


def test_a_receiver_that_gives_everything_back_costs_few_entries_and_never_a_text():
    net, one, two = pair()
    net.away = {"b"}
    say(net, "take it", 60)
    author = one.space().author
    for _ in range(60):
        names = [(author, seq) for seq in range(1, one.space().feeds[author].seq + 1)]
        append(two, 1, b"\x09" * 32, names[-payload.UNOPENED_MAX :])
        net.sync("a", "b")
        net.run(60)
    assert one.space().feeds[author].seq < 20
    (row,) = one.list(peek=True)
    assert row["state"] in ("sent", "kept") and row["keys"] == "identity"
    net.away = set()
    net.run(7_300)
    net.sync("a", "b")
    assert two.shown() == ["take it"]


def test_letters_that_are_junk_cost_their_reader_one_entry_in_ten_minutes():
    net, one, two = pair()
    before = two.space().feeds[two.space().author].seq
    for number in range(40):
        letter = payload.SealedLetter(two.node, bytes([number]) * 40).encode()
        one.spaces.append(one.space(), Draft(Kind.LETTER, b"", letter), one.now)
        one.run()
        net.sync("a", "b")
        net.run(60)
    assert 3 <= two.space().feeds[two.space().author].seq - before <= 5
    assert two.dropped(DropReason.LETTER_UNOPENED) == 40 and two.shown() == []
    net.run(1_300)
    assert two.space().mail.due == 0
    net.sync("a", "b")
    assert one.states() == []


def test_a_prekey_is_the_same_in_all_spaces_and_told_once_in_each():
    net, one, two = pair()
    one.ask("space.create", name="hill", **{"as": "a"})
    join(two, one, one.ask("invite", space="hill", role="writer").value["url"])
    net.sync("a", "b")
    net.run(1_200)
    net.sync("a", "b")
    for device in (one, two):
        told = [two.space(name).prekeys.of(device.space(name).author) for name in ("home", "hill")]
        assert told[0] == told[1] and [number for number, _ in told[0]] == [1]
    assert len(secrets(one)) == 1


def test_agreed_keys_of_prekeys_are_bounded_and_go_with_the_private_half():
    own = Pairwise(crypto.digest(b"own"), OPEN_MESH_ID)
    other = crypto.sign_public(crypto.digest(b"other"))
    secret = crypto.digest(b"secret")
    prekey = Prekey(1, secret, crypto.exchange_public(secret), 0)
    for number in range(pairwise.PREKEYED_MAX + 5):
        theirs = crypto.exchange_public(crypto.digest(b"prekey %d" % number))
        assert own.with_prekeys(other, prekey, theirs) is not None
    assert len(own) == pairwise.PREKEYED_MAX + 1
    own.forget(prekey.public)
    assert len(own) == 1 and secret.hex() not in repr(prekey)


def test_of_a_space_that_is_gone_nothing_is_kept():
    _, _, two = pair()
    prekeys, space = two.messages.prekeys, two.space()
    for seq in range(40):
        prekeys.unopened(space, (bytes(32), seq), two.now)
    prekeys.tend(two.now)
    assert list(prekeys._returned_at) == [space.id]
    assert len(prekeys._unopened) == 40 - payload.UNOPENED_MAX
    del two.spaces._spaces[space.id]
    prekeys.tend(two.now + UNOPENED_US)
    assert not prekeys._unopened
    assert not prekeys._returned_at
