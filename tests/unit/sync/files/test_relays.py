"""Relays keep files whole that they cannot read: promises, room for them, and what is lost."""

from itertools import pairwise

import pytest
from devices.file_devices import MIB, FileDevice, FileNet, drops, household, sync
from devices.seeded_bytes import bytes_of

from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.sync.files import keeping
from meshd.wire import file_messages as wire

DATA = bytes_of(3 * MIB + 17)


def with_relay(*names, quota_bytes=100 * MIB):
    """Return a household in which rose is a relay with room for files."""
    FileDevice.quota_bytes = quota_bytes
    try:
        return household(*names, roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0


def test_relay_keeps_files_whole_and_can_not_read_them():
    anna, rose, ben = with_relay("anna", "rose", "ben")
    net = FileNet(anna, rose, ben)
    near = net.link(anna, rose)
    anna.put(DATA)
    sync(anna, rose, ben)
    net.settle()
    assert anna.listed()[0]["kept_by"] == 1
    net.cut(*near)
    net.link(rose, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.reply(ticket).value and ben.content(handle) == DATA
    assert not any(DATA[:64] in chunk for chunk in rose.store.chunks.held.values())
    with pytest.raises(RequestError) as caught:
        rose.get(space=rose.spaces.all()[0].text_id)
    assert caught.value.code == Exit.DENIED


def test_relay_remembers_its_promises_and_names_them_to_newcomers():
    anna, rose = with_relay("anna", "rose")
    net = FileNet(anna, rose)
    net.link(anna, rose)
    anna.put(DATA)
    sync(anna, rose)
    net.settle()
    used = rose.files.kept_bytes
    assert used > len(DATA)
    anna.start()
    rose.start()
    again = FileNet(anna, rose)
    again.link(anna, rose)
    assert rose.files.kept_bytes == used
    assert anna.listed()[0]["kept_by"] == 1


def test_chain_of_relays_carries_a_file():
    FileDevice.quota_bytes = 100 * MIB
    try:
        names = ("anna", "r1", "r2", "r3", "ben")
        roles = [(name, "relay") for name in names[1:4]]
        devices = household(*names, roles=roles)
    finally:
        FileDevice.quota_bytes = 0
    net = FileNet(*devices)
    for one, other in pairwise(devices):
        net.link(one, other)
    devices[0].put(DATA)
    sync(*devices)
    ticket, handle = devices[-1].get()
    net.wait(5)
    assert devices[-1].reply(ticket).value and devices[-1].content(handle) == DATA
    assert drops(devices[2], DropReason.FILE_QUIET) == 0


def test_relay_refuses_what_does_not_fit_and_evicts_nothing():
    anna, rose = with_relay("anna", "rose", quota_bytes=4 * MIB)
    net = FileNet(anna, rose)
    net.link(anna, rose)
    anna.put(DATA, name="first")
    anna.put(bytes_of(2 * MIB), name="second")
    sync(anna, rose)
    net.settle()
    assert drops(rose, DropReason.FILE_QUOTA) == 1
    assert [(line["name"], line["kept_by"]) for line in anna.listed()] == [
        ("first", 1),
        ("second", 0),
    ]
    assert sum(map(len, rose.store.chunks.held.values())) <= 4 * MIB


def test_relay_without_room_for_files_takes_none():
    anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    net = FileNet(anna, rose)
    net.link(anna, rose)
    anna.put(b"small")
    sync(anna, rose)
    net.settle()
    assert rose.store.chunks.held == {}


def test_relay_that_finds_nobody_pauses_and_news_end_the_pause():
    anna, rose = with_relay("anna", "rose")
    anna.put(b"text")
    sync(anna, rose)
    net = FileNet(anna, rose)
    anna.store.chunks.held, kept = {}, anna.store.chunks.held
    there, _ = net.link(anna, rose)
    net.wait(1)
    assert rose.store.chunks.held == {}
    net.wait(100)
    assert not rose.files._keeper._active, "it waits"
    anna.store.chunks.held = kept
    space, root = next(iter(rose.files._keeper._promises))
    there.push("record", wire.Offer(space, root, (wire.ROOT_ADDRESS,)).encode(), b"")
    net.settle()
    assert rose.store.chunks.held == kept


def test_relay_takes_few_files_at_a_time():
    anna, rose = with_relay("anna", "rose")
    for number in range(9):
        anna.put(bytes_of(50, number), name=f"file {number}")
    sync(anna, rose)
    net = FileNet(anna, rose)
    net.link(anna, rose)
    assert [line["kept_by"] for line in anna.listed()] == [1] * 9
    assert rose.files._keeper._commits == {} and not rose.files._keeper._active


def relayed():
    """Anna and the relay rose with room for files; anna has put DATA, rose keeps it."""
    anna, rose = with_relay("anna", "rose")
    net = FileNet(anna, rose)
    net.link(anna, rose)
    anna.put(DATA)
    sync(anna, rose)
    net.settle()
    return anna, rose, net


def test_relay_that_lost_a_chunk_fetches_it_again():
    anna, rose, net = relayed()
    name = max(rose.store.chunks.held, key=lambda name: len(rose.store.chunks.held[name]))
    rose.store.chunks.held[name] = b"torn"
    space, root = next(iter(rose.files._keeper._promises))
    (session,) = anna.sessions.ends
    asked = tuple(wire.Asked(number + 1, number) for number in range(4))
    anna.sessions.send(session, wire.Ask(space, root, asked).encode())
    net.settle()
    assert len(rose.kinds("file-damaged")) == 1
    assert rose.store.chunks.held[name] == anna.store.chunks.held[name]
    assert rose.files._keeper._promises[space, root].complete


def test_promises_are_bounded(monkeypatch):
    monkeypatch.setattr(keeping, "PROMISES_MAX", 2)
    anna, rose, net = relayed()
    for number in range(3):
        anna.put(b"x", name=f"file {number}")
    sync(anna, rose)
    net.settle()
    assert len(rose.files._keeper._promises) == 2
    assert drops(rose, DropReason.FILE_QUOTA) == 2


def test_failed_commit_of_a_promise_is_made_good_after_the_reload():
    anna, rose, net = relayed()
    rose.held = True
    anna.put(b"second", name="second")
    sync(anna, rose)
    rose.commit()
    rose.run()
    for append in rose.waiting:
        rose.files.commit_failed(append.number, "no room", rose.now)
    rose.waiting.clear()
    assert len(rose.files._keeper._promises) == 2
    rose.held = False
    rose.files.reload(rose.store.reopen(), rose.now)
    net.settle()
    assert [line["kept_by"] for line in anna.listed()] == [1, 1]
