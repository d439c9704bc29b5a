"""Calls for help that come before what their authors wrote before: what is proven is shown."""

from types import SimpleNamespace

import pytest
from devices.space_devices import founder, joined, meet

from meshd.cli.posts import entry_text
from meshd.cli.show import notice_text
from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.space import early as early_module
from meshd.space import entries
from meshd.space.entries import Draft, Place
from meshd.space.feed import Accepted, Duplicate
from meshd.space.telling import status_of
from meshd.wire.entry import Kind
from meshd.wire.payload import Post


@pytest.fixture
def pair():
    anna = founder()
    ben = joined("ben", anna)
    meet(anna, ben)
    return anna, ben


def call(device, seq, *, kind=Kind.DISTRESS, seed=None, text="help"):
    """Sign a call for help at any place."""
    space = device.space()
    place = Place(seq, bytes(range(32)), space.log.digest(), 1)
    draft = Draft(kind, b"", Post(text).encode())
    return entries.write(
        space.keys, space.id, seed or space.record().seed, place=place, draft=draft
    ).encode()


def early(device, author, data):
    result = device.spaces.accept_early(device.space(), author, data)
    device.run()
    return result


def shown(device):
    value = device.ask("log", space="home").value
    return [(item["by"], item["text"]) for item in value.get("ahead", [])]


def test_a_call_is_shown_and_changes_no_feed(pair):
    anna, ben = pair
    author = ben.space().author
    data = call(ben, 3)
    assert early(anna, author, data) == Accepted(3)
    assert early(anna, author, data) == Duplicate(3)
    assert shown(anna) == [("ben", "help")]
    assert anna.texts() == [] and author not in anna.space().feeds
    (notice,) = anna.kinds("distress")
    value = {"kind": notice.kind, "warning": notice.warning, "fields": dict(notice.fields)}
    said = notice_text(value, SimpleNamespace(of=lambda _: "home", person=lambda *_: "ben"))
    assert said.startswith("! distress in home from ben: ") and "ahead of its order" in said
    (row,) = anna.ask("log", space="home").value["ahead"]
    assert "DISTRESS help  [ahead of its order" in entry_text(row)
    assert notice.fields["seq"] == 3


def test_what_is_not_proven_is_not_shown(pair):
    anna, ben = pair
    author, rita = ben.space().author, joined("rita", anna, role="reader")
    stranger = bytes(range(32))
    table = [
        (author, b"junk", DropReason.ENTRY_MALFORMED),
        (author, call(ben, 3)[:-64] + bytes(64), DropReason.ENTRY_SIGNATURE),
        (author, call(ben, 3, seed=stranger), DropReason.ENTRY_AUTHOR),
        (crypto.sign_public(stranger), call(ben, 3, seed=stranger), DropReason.AUTHOR_UNKNOWN),
        (rita.space().author, call(rita, 3), DropReason.ENTRY_RIGHT),
        (author, call(ben, 3, kind=Kind.POST), DropReason.ENTRY_GAP),
        (anna.space().author, call(anna, 9), DropReason.ENTRY_GAP),
    ]
    for one, data, reason in table:
        assert early(anna, one, data) is reason
    assert shown(anna) == [] and not anna.space().early


def test_calls_ahead_of_their_order_are_bounded(pair, monkeypatch):
    anna, ben = pair
    author = ben.space().author
    found = [early(anna, author, call(ben, seq, text=f"help {seq}")) for seq in (3, 5, 7, 3, 4)]
    full = DropReason.AIR_ASIDE_FULL
    assert found == [Accepted(3), Accepted(5), Accepted(7), full, full]
    assert shown(anna) == [("ben", "help 5"), ("ben", "help 7")]
    assert sum(name.startswith("early/") for name in anna.store.metas) == 2
    anna.start()
    assert shown(anna) == [("ben", "help 5"), ("ben", "help 7")]
    carl = joined("carl", anna)
    monkeypatch.setattr(early_module, "EARLY_MAX", 2)
    data = call(carl, 3)
    assert early(anna, carl.space().author, data) is DropReason.AIR_ASIDE_FULL


def test_a_call_loses_its_mark_with_its_place_and_its_row_goes(pair):
    anna, ben = pair
    author = ben.space().author
    for text in ("one", "two"):
        ben.ask("post", space="home", text=text)
    ben.ask("post", space="home", text="help", distress=True)
    third = ben.store.entries[ben.space().id, author][3]
    assert early(anna, author, third) == Accepted(3)
    assert shown(anna) == [("ben", "help")]
    assert any(name.startswith("early/") for name in anna.store.metas)
    meet(anna, ben)
    assert shown(anna) == [] and sorted(anna.texts()) == ["help", "one", "two"]
    assert not any(name.startswith("early/") for name in anna.store.metas)


def signed(device, seq, text):
    """Sign a post for any place that begins a feed."""
    space = device.space()
    place = Place(seq, bytes(32), space.log.digest(), 1)
    draft = Draft(Kind.POST, b"", Post(text).encode())
    entry = entries.write(space.keys, space.id, space.record().seed, place=place, draft=draft)
    return entry.encode()


def waits(device):
    return " ".join(status_of(device.space()).waits or ())


def fork(device, author, *branches):
    assert device.spaces.fork(device.space(), author, 1, *branches, now=1) is None
    device.run()


@pytest.mark.parametrize("fork_first", [True, False])
def test_calls_of_a_forked_feed_go_when_their_author_goes_on_in_another(pair, fork_first):
    anna, ben = pair
    author = ben.space().author
    early(anna, author, call(ben, 3))
    assert "not here yet" in waits(anna)
    branches = signed(ben, 1, "one"), signed(ben, 1, "other")
    if fork_first:
        fork(anna, author, *branches)
        assert shown(anna) == [("ben", "help")]
        assert "until its author goes on in a new feed" in waits(anna)
        anna.start()
        assert shown(anna) == [("ben", "help")]
    fork(ben, author, *branches)
    assert ben.space().author != author
    meet(anna, ben)
    if not fork_first:
        fork(anna, author, *branches)
    assert shown(anna) == [] and not waits(anna)
    assert not any(name.startswith("early/") for name in anna.store.metas)
    assert isinstance(early(anna, author, call(ben, 5)), DropReason)
    anna.start()
    assert shown(anna) == []
