"""Invitations: each way in, and each way to be refused, with the reason that the joiner is told."""

import pytest
from devices.space_devices import SECOND, WALL_S, Device, answer_join, founder, join, joined, meet

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.core.errors import RequestError
from meshd.space import invitations as joins
from meshd.space import joins as joins_module
from meshd.space import spaces as spaces_module
from meshd.space import verbs
from meshd.space.invitations import REFUSALS, InviteKeys, refusal
from meshd.space.record import joining_key
from meshd.store.interface import StoreError, StoreFault
from meshd.wire import genesis as wire_genesis
from meshd.wire import invitation as wire
from meshd.wire.membership import Admit, Rank


@pytest.fixture
def anna():
    return founder()


def link_of(device, **args):
    return device.ask("invite", space="home", **args).value["url"]


@pytest.mark.parametrize("role", ["relay", "reader", "writer", "admin"])
def test_role_of_the_invitation_is_the_role_of_the_joiner(anna, role):
    device = joined("ben", anna, role=role)
    space = device.spaces.all()[0]
    assert space.role == role and space.rank is not None
    assert anna.ask("space.members", space="home").value["members"][1]["role"] == role


def test_admin_may_invite_and_writer_may_not(anna):
    admin, writer = joined("ada", anna, role="admin"), joined("will", anna)
    meet(anna, admin, writer)
    carl = Device("carl")
    assert not isinstance(join(carl, admin, link_of(admin)), DropReason)
    with pytest.raises(RequestError, match="may not invite"):
        link_of(writer)


def test_unknown_invitation(anna):
    stranger = Device("ben")
    other = founder("olga")
    assert join(stranger, other, link_of(anna)) is DropReason.INVITE_UNKNOWN


def test_expired_invitation_is_judged_by_the_admitters_clock(anna):
    url = link_of(anna, expires_s=60)
    anna.wait(60 * SECOND)
    assert not isinstance(join(Device("early"), anna, url), DropReason)
    late = link_of(anna, expires_s=60)
    anna.wait(61 * SECOND)
    assert join(Device("late"), anna, late) is DropReason.INVITE_EXPIRED


def test_admitter_without_a_clock_marks_the_admission(anna):
    url = link_of(anna, expires_s=60)
    anna.spaces.wall_offset_us = None
    anna.wait(3600 * SECOND)
    ben = Device("ben")
    assert not isinstance(join(ben, anna, url), DropReason)
    records = [signed.record for signed in anna.space().log.records]
    assert [record.time_unchecked for record in records if isinstance(record, Admit)] == [True]


def test_node_without_a_clock_cannot_promise_an_expiry():
    anna = founder(wall=False)
    with pytest.raises(RequestError, match="does not know the time"):
        link_of(anna, expires_s=60)
    assert anna.ask("invite", space="home").value["expires"] is None


def test_revoked_invitation_by_link_and_by_id(anna):
    for name, key in [("ben", "url"), ("carl", "invite")]:
        value = anna.ask("invite", space="home").value
        anna.ask("invite.revoke", space="home", invite=value[key])
        assert join(Device(name), anna, value["url"]) is DropReason.INVITE_REVOKED


def test_invitation_is_used_as_often_as_it_says(anna):
    url = link_of(anna, uses=2)
    assert not isinstance(join(Device("one"), anna, url), DropReason)
    assert not isinstance(join(Device("two"), anna, url), DropReason)
    assert join(Device("three"), anna, url) is DropReason.INVITE_USED_UP
    shown = anna.ask("invite.list", space="home").value["invitations"][0]
    assert (shown["used"], shown["uses"], shown["contested"]) == (2, 2, False)


def test_asking_again_uses_no_second_turn_and_writes_no_second_record(anna):
    ben = Device("ben")
    joining = ben.spaces.joins.start(link_of(anna), "ben")
    assert anna.spaces.joins.answer(joining.request, 1, 0) is None
    anna.run()
    records = len(anna.space().log.records)
    ben.run()
    ben.start()
    (again,) = ben.spaces.joins.all()
    assert again.request != joining.request
    space = answer_join(ben, anna, again)
    assert space.founder == anna.space().founder
    assert len(anna.space().log.records) == records
    assert ben.spaces.joins.unheard()
    meet(anna, ben)
    assert ben.spaces.joins.all() == []
    ben.start()
    assert ben.spaces.joins.all() == []


def test_two_partitions_use_one_invitation_and_both_see_it_contested(anna):
    ben = joined("ben", anna)
    url = link_of(anna)
    meet(anna, ben)
    carl, dora = Device("carl"), Device("dora")
    join(carl, anna, url)
    join(dora, ben, url)
    meet(anna, ben, carl, dora)
    digests = {device.space().log.digest() for device in (anna, ben, carl, dora)}
    assert len(digests) == 1
    for device in (anna, ben):
        invitations = device.ask("invite.list", space="home").value["invitations"]
        assert sorted(shown["contested"] for shown in invitations) == [False, True]


def test_relay_lets_nobody_in(anna):
    relay = joined("relay", anna, role="relay")
    url = link_of(anna)
    meet(anna, relay)
    assert join(Device("ben"), relay, url) is DropReason.ENTRY_RIGHT


def tampered(joining, url, **changes):
    """Open a request as a member can, change its inside, and seal it again."""
    link = joins.parse_link(url)
    keys = InviteKeys(link.secret, link.space)
    outer = wire.decode_request(joining.request)
    inner = crypto.unseal(keys.join_key, outer.nonce, outer.sealed, outer.invite)
    inner = wire.decode_join_keys(inner)._replace(**changes)
    sealed = crypto.seal(keys.join_key, outer.nonce, inner.encode(), outer.invite)
    return joining._replace(request=outer._replace(sealed=sealed).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"author": crypto.sign_public(bytes(32))},
        {"device": crypto.sign_public(bytes(32))},
        {"device_signature": bytes(64)},
        {"proof": bytes(64)},
        {"consent": bytes(64)},
    ],
)
def test_keys_that_do_not_belong_together_are_refused(anna, changes):
    url, ben = link_of(anna), Device("ben")
    joining = ben.spaces.joins.start(url, "ben")
    refused = answer_join(ben, anna, tampered(joining, url, **changes))
    assert refused is DropReason.JOIN_PROOF
    assert len(anna.space().log.authors()) == 1


def test_malformed_request(anna):
    assert anna.spaces.joins.answer(b"junk", 1, 0) is DropReason.JOIN_MALFORMED
    url = link_of(anna)
    joining = Device("ben").spaces.joins.start(url, "ben")
    flipped = joining.request[:-1] + bytes([joining.request[-1] ^ 1])
    assert anna.spaces.joins.answer(flipped, 1, 0) is DropReason.JOIN_PROOF


def test_answer_that_does_not_fit_is_refused_and_the_join_goes_on(anna):
    other, ben = founder("olga"), Device("ben")
    joining = ben.spaces.joins.start(link_of(anna), "ben")
    ben.run()
    for admitter in (anna, other):
        request = Device("x").spaces.joins.start(link_of(admitter), "x").request
        admitter.spaces.joins.answer(request, 9, 0)
        admitter.run()
        answer = admitter.events[-1].answer
        result = ben.spaces.joins.finish(joining.space, answer, lambda why, now: None)
        assert result is DropReason.JOIN_ANSWER
    junk = ben.spaces.joins.finish(joining.space, b"junk", lambda why, now: None)
    assert junk is DropReason.JOIN_MALFORMED
    assert ben.spaces.all() == [] and len(ben.spaces.joins.all()) == 1
    assert not isinstance(answer_join(ben, anna, joining), DropReason)
    unasked = ben.spaces.joins.finish(bytes(32), b"", lambda why, now: None)
    assert unasked is DropReason.JOIN_ANSWER


def test_answer_with_another_genesis_key_or_rank_is_refused(anna):
    url, ben = link_of(anna), Device("ben")
    joining = ben.spaces.joins.start(url, "ben")
    link = joins.parse_link(url)
    keys = InviteKeys(link.secret, link.space)
    true = anna.space().genesis
    forged = wire_genesis.decode(true)._replace(created_s=1).encode()
    secret = b"\1" + anna.space().keys.epoch_key

    def answer(rank, genesis, plain):
        sealed = crypto.seal_to(
            keys.seal_public, plain, ephemeral=b"e" * 32, purpose=b"meshd-invite"
        )
        data = wire.JoinAnswer(rank, genesis, sealed).encode()
        return ben.spaces.joins.finish(joining.space, data, lambda why, now: None)

    for rank, genesis, plain in [
        (Rank.WRITER, forged, secret),
        (Rank.WRITER, true, b"\1" + bytes(32)),
        (Rank.WRITER, true, b"\0" + bytes(32)),
        (Rank.RELAY, true, secret),
        (Rank.WRITER, true, secret[:20]),
        (Rank.WRITER, true, b""),
    ]:
        assert answer(rank, genesis, plain) is DropReason.JOIN_ANSWER
    assert answer(Rank.WRITER, true, secret).founder == anna.space().founder


def test_answer_waits_for_the_disk_and_fails_with_it(anna):
    ben = Device("ben")
    joining = ben.spaces.joins.start(link_of(anna), "ben")
    anna.events.clear()
    anna.store.fail_next = StoreError(StoreFault.FULL, "full", remedy="")
    assert anna.spaces.joins.answer(joining.request, 3, 0) is None
    anna.run()
    assert [(event.answer, event.refused) for event in anna.events] == [(b"", "store-closed")]
    assert not isinstance(answer_join(ben, anna, joining), DropReason)


def test_join_before_the_log_arrived_may_not_write_yet(anna):
    ben = Device("ben")
    join(ben, anna, link_of(anna))
    assert ben.space().rank is None and ben.space().role == "writer"
    with pytest.raises(RequestError, match="not yet heard"):
        ben.ask("post", space="home", text="too early")
    meet(anna, ben)
    assert ben.ask("post", space="home", text="now").value["seq"] == 1


def test_hints_name_who_can_let_in(anna):
    ben, relay = joined("ben", anna), joined("relay", anna, role="relay")
    meet(anna, ben, relay)
    hints = joins.parse_link(link_of(anna)).hints
    assert hints == (anna.identity.node, ben.identity.node)


def test_link_and_record_hold_no_epoch_key(anna):
    url = link_of(anna)
    link = joins.parse_link(url)
    key = anna.space().keys.epoch_key
    assert key not in link.secret + link.space
    kept = b"".join(data for _, data in anna.entries(anna.space()))
    assert key not in kept and anna.space().fetch_key not in kept
    keys = InviteKeys(link.secret, link.space)
    for secret in (link.secret, keys.seed, keys.seal_secret, keys.join_key):
        assert secret not in kept


@pytest.mark.parametrize("reason", list(REFUSALS))
def test_every_refusal_tells_the_joiner_what_to_do(reason):
    error = refusal(reason.value)
    assert error.text and error.remedy
    assert refusal("a reason of a later version").remedy


@pytest.mark.parametrize("text", ["", "hello", "meshd:join/aaaa", "http://example.org/join"])
def test_text_that_is_no_link_says_so(text):
    with pytest.raises(RequestError) as caught:
        Device("ben").spaces.joins.start(text, "ben")
    assert caught.value.remedy


def test_kept_joins_are_bounded_and_the_oldest_is_forgotten(anna, monkeypatch):
    monkeypatch.setattr(joins_module, "JOININGS_MAX", 2)
    ben = Device("ben")
    first = ben.spaces.joins.start(link_of(anna), "ben")
    second = ben.spaces.joins.start(link_of(founder("olga")), "ben")
    assert ben.spaces.joins.start(link_of(anna), "ben").space == first.space
    third = ben.spaces.joins.start(link_of(founder("otto")), "ben")
    ben.run()
    assert second.space not in {first.space, third.space}
    assert [joining.space for joining in ben.spaces.joins.all()] == [first.space, third.space]
    assert len([key for key in ben.store.metas if key.startswith("joining/")]) == 2


@pytest.mark.parametrize("change", ["no digest", "another row's"])
def test_kept_join_is_refused_without_its_own_digest(anna, change):
    ben = Device("ben")
    link = ben.spaces.joins.start(link_of(anna), "ben")
    other = ben.spaces.joins.start(link_of(founder("olga")), "ben")
    ben.run()
    key, metas = joining_key(link.space), ben.store.metas
    bare = metas[key].rpartition(b"\n")[0]
    metas[key] = bare if change == "no digest" else metas[joining_key(other.space)]
    ben.start()
    ben.run()
    assert [joining.space for joining in ben.spaces.joins.all()] == [other.space]
    assert ben.kinds("space-damaged")


def test_spaces_are_bounded(anna, monkeypatch):
    monkeypatch.setattr(spaces_module, "SPACES_MAX", 1)
    with pytest.raises(RequestError, match="at most 1"):
        anna.ask("space.create", name="other")
    with pytest.raises(RequestError, match="at most 1"):
        anna.spaces.joins.start(link_of(founder("olga")), "anna")


def test_open_invitations_are_bounded(anna, monkeypatch):
    monkeypatch.setattr(verbs, "INVITES_MAX", 1)
    url = link_of(anna)
    with pytest.raises(RequestError, match="open"):
        link_of(anna)
    anna.ask("invite.revoke", space="home", invite=url)
    assert link_of(anna)


def test_who_was_welcomed_without_a_record_may_ask_again_with_the_same_key(anna):
    ben, url = Device("ben"), link_of(anna)
    join(ben, anna, url)
    assert ben.spaces.all()[0].rank is None
    author = ben.spaces.all()[0].author
    ben.start()
    join(ben, anna, url)
    meet(anna, ben)
    assert (ben.space().author, ben.space().role) == (author, "writer")
    assert ben.space().rank is not None


def test_who_is_in_already_is_told(anna):
    ben = joined("ben", anna)
    with pytest.raises(RequestError, match="already"):
        ben.spaces.joins.start(link_of(anna), "ben")


def test_wall_clock_out_of_range_counts_as_none(anna):
    assert anna.spaces.wall_s(0) == WALL_S
    for offset in (-1, 1 << 62):
        anna.spaces.wall_offset_us = offset
        assert anna.spaces.wall_s(0) is None
