"""Files between nodes: put, get from several, resume, relays, and peers that misbehave."""

import os
from itertools import pairwise

import pytest
from file_devices import MIB, FileDevice, Net, household, sync

from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.core.events import ForgetQuery, KeepQuery, PlaceQuery, SealQuery, UnsealQuery
from meshd.sync import catalogue, file_fetch, file_keeping, file_layout, file_serving, files
from meshd.wire import file_messages as wire

DATA = os.urandom(3 * MIB + 17)


@pytest.fixture
def pair():
    """Anna has put DATA; Ben is in sync and connected."""
    anna, ben = household("anna", "ben")
    ticket = anna.put(DATA)
    assert anna.reply(ticket).value["state"] == "written"
    sync(anna, ben)
    return anna, ben, Net(anna, ben)


def drops(device, reason):
    return device.ctx.drops.total(reason)


def test_file_is_got_as_it_was_put(pair):
    anna, ben, net = pair
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.content(handle) == DATA
    assert handle in ben.store.files.synced, "the reply says that it is on disk"
    assert ben.reply(ticket).value["size"] == len(DATA)
    assert ben.progress[-1].done == ben.progress[-1].total == len(DATA)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB])
def test_every_size_comes_through(size):
    anna, ben = household("anna", "ben")
    data = os.urandom(size)
    anna.put(data)
    sync(anna, ben)
    net = Net(anna, ben)
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.reply(ticket).value and ben.content(handle) == data


def test_index_of_two_levels_comes_through(monkeypatch):
    monkeypatch.setattr(file_layout, "INDEX_NAMES_MAX", 3)
    anna, ben = household("anna", "ben")
    data = os.urandom(6 * MIB + 5)
    ticket = anna.put(data)
    assert anna.reply(ticket).value
    sync(anna, ben)
    net = Net(anna, ben)
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.content(handle) == data


def test_file_is_found_by_its_id_and_the_newest_of_a_name_wins(pair):
    anna, ben, net = pair
    anna.now += 5_000_000
    anna.put(b"newer")
    sync(anna, ben)
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.content(handle) == b"newer"
    oldest = next(line for line in ben.listed() if line["size"] == len(DATA))
    ticket, handle = ben.get(name=oldest["file"][:8])
    net.settle()
    assert ben.content(handle) == DATA
    assert ben.reply(ticket).value["file"] == oldest["file"]


def test_own_file_is_got_without_any_peer(pair):
    anna, _, _ = pair
    ticket, handle = anna.get()
    assert anna.reply(ticket).value and anna.content(handle) == DATA


def test_unknown_file_is_not_found(pair):
    _, ben, _ = pair
    ticket, _ = ben.get(name="nothing")
    assert ben.reply(ticket).code == Exit.NOT_FOUND


def test_get_without_a_peer_seeks_then_times_out_and_resumes_later(pair):
    anna, ben, net = pair
    ticket, _ = ben.get(wait_s=20)
    net.wait(10)
    assert ben.sought[0][1][0] == anna.identity.node
    assert ben.reply(ticket) is None
    net.wait(11)
    assert ben.reply(ticket).code == Exit.TIMEOUT
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.content(handle) == DATA


def test_each_part_of_a_get_says_who_gave_it(pair):
    anna, ben, net = pair
    given = []
    ben.files.gave = lambda space, node, now: given.append((space, node))
    net.link(anna, ben)
    ben.get()
    net.settle()
    assert len(given) >= len(DATA) // (1 << 20)
    assert {node for _, node in given} == {anna.identity.node}


def test_get_goes_on_when_a_peer_comes(pair):
    anna, ben, net = pair
    ticket, handle = ben.get()
    net.settle()
    net.link(anna, ben)
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_chunks_that_are_held_are_not_asked_again(pair):
    anna, ben, net = pair
    there, _ = net.link(anna, ben)
    carried = []

    def stop_halfway(kind, head, data):
        carried.append(kind)
        there.frozen = len(carried) > 30
        return [(kind, head, data)]

    there.change = stop_halfway
    ben.get()
    net.settle()
    assert 1 < len(ben.store.chunks.held) < 5
    held = len(ben.store.chunks.held)
    net.wait(60)
    net.cut(*net.ends)
    asked = []

    def count(kind, head, data):
        asked.extend(wire.decode(head).asked if head[0] == wire.ASK else ())
        return [(kind, head, data)]

    back = net.link(anna, ben)[1]
    back.change = count
    _, handle = ben.get()
    net.settle()
    assert ben.content(handle) == DATA
    assert len(asked) == 5 - held


def test_chunks_come_from_several_peers_at_once():
    anna, ben, carl = household("anna", "ben", "carl")
    data = os.urandom(8 * MIB)
    anna.put(data)
    sync(anna, ben, carl)
    net = Net(anna, ben, carl)
    net.link(anna, ben)
    ben.get()
    net.settle()
    served = {"anna": 0, "ben": 0}

    def counting(name):
        def change(kind, head, piece):
            served[name] += len(piece)
            return [(kind, head, piece)]

        return change

    net.link(anna, carl)[0].change = counting("anna")
    net.link(ben, carl)[0].change = counting("ben")
    _, handle = carl.get()
    net.settle()
    assert carl.content(handle) == data
    assert min(served.values()) > 2 * MIB, served


def test_lost_session_is_replaced_by_another():
    anna, ben, carl = household("anna", "ben", "carl")
    anna.put(DATA)
    sync(anna, ben, carl)
    net = Net(anna, ben, carl)
    net.link(anna, ben)
    ben.get()
    net.settle()
    first = net.link(anna, carl)
    first[0].frozen = True
    net.link(ben, carl)
    ticket, handle = carl.get()
    net.settle()
    assert carl.reply(ticket) is None
    net.cut(*first)
    assert carl.reply(ticket).value and carl.content(handle) == DATA


def test_silent_session_is_asked_no_more():
    anna, ben, carl = household("anna", "ben", "carl")
    anna.put(DATA)
    sync(anna, ben, carl)
    net = Net(anna, ben, carl)
    net.link(anna, ben)
    ben.get()
    net.settle()
    net.link(anna, carl)[0].frozen = True
    net.link(ben, carl)
    ticket, handle = carl.get()
    net.wait(file_fetch.QUIET_US / 1e6 + 1)
    assert carl.reply(ticket).value and carl.content(handle) == DATA
    assert drops(carl, DropReason.FILE_QUIET) == 1


def test_wrong_bytes_are_refused_and_their_giver_left(pair):
    anna, ben, net = pair
    there, _ = net.link(anna, ben)

    def spoil(kind, head, data):
        return [(kind, head, data[:-1] + bytes([data[-1] ^ 1]) if data else data)]

    there.change = spoil
    ticket, handle = ben.get(wait_s=20)
    net.wait(30)
    assert ben.reply(ticket).code == Exit.TIMEOUT
    assert drops(ben, DropReason.FILE_WRONG_BYTES) == file_fetch.WRONG_MAX
    assert ben.content(handle) == b"" and ben.store.chunks.held == {}


def test_pieces_out_of_place_are_refused(pair):
    anna, ben, net = pair
    there, _ = net.link(anna, ben)
    there.change = lambda kind, head, data: [(kind, head, data)] * (2 if kind == "bulk" else 1)
    ticket, _ = ben.get()
    net.wait(3)
    assert drops(ben, DropReason.FILE_PIECE_UNFIT) or drops(ben, DropReason.FILE_UNASKED)
    there.change = None
    net.wait(20)
    assert ben.reply(ticket).value


def test_nothing_is_served_to_who_does_not_share_the_space(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben, shared=False)
    anna.listed()
    root = anna.files._catalogue.all(anna.space().id)[0].clear.root
    asked = (wire.Asked(1, wire.ROOT_ADDRESS),)
    back.push("record", wire.Ask(bytes(32), root, asked).encode(), b"")
    back.push("record", wire.Missing((1,)).encode(), b"")
    back.push("bulk", wire.Piece(1, 0).encode(), b"x")
    net.settle()
    assert drops(anna, DropReason.FILE_UNSHARED) == 3
    ask = wire.Ask(anna.space().id, root, asked)
    for _ in range(files.EARLY_MAX + 1):
        back.push("record", ask.encode(), b"")
    net.settle()
    assert drops(anna, DropReason.FILE_UNSHARED) == 4
    assert anna.files._serving._customers == {}
    net.cut(there, back)
    assert anna.files._early == {}


def test_what_came_before_the_share_was_opened_is_not_lost(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben, shared=False)
    node = ben.identity.node
    ben.files.share_opened(back.number, ben.space().id, net.now, node=anna.identity.node)
    ticket, handle = ben.get()
    net.settle()
    assert ben.reply(ticket) is None
    anna.files.share_opened(there.number, anna.space().id, net.now, node=node)
    net.settle()
    assert ben.reply(ticket).value and ben.content(handle) == DATA


def test_ask_beyond_the_file_and_beyond_the_queue_is_answered_missing(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben)
    anna.listed()
    root = anna.files._catalogue.all(anna.space().id)[0].clear.root
    there.frozen = True
    for address in (4, wire.LEAF_ADDRESS):
        asked = (wire.Asked(address, address),)
        back.push("record", wire.Ask(anna.space().id, root, asked).encode(), b"")
    for start in range(0, 3 * wire.ITEMS_MAX, wire.ITEMS_MAX):
        asked = tuple(wire.Asked(start + number, 0) for number in range(wire.ITEMS_MAX))
        back.push("record", wire.Ask(anna.space().id, root, asked).encode(), b"")
    net.settle()
    assert drops(anna, DropReason.FILE_ADDRESS) == 2
    over = 3 * wire.ITEMS_MAX - file_serving.ASKS_MAX - file_serving.LOADED_SESSION_MAX
    assert drops(anna, DropReason.FILE_ASKS_FULL) == over
    assert anna.files._serving._loaded == file_serving.LOADED_SESSION_MAX


def test_session_that_takes_nothing_loses_its_memory(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben)

    def stop_after_the_index(kind, head, data):
        there.frozen = kind == "bulk"
        return [(kind, head, data)]

    there.change = stop_after_the_index
    ben.get()
    net.settle()
    assert anna.files._serving._loaded == file_serving.LOADED_SESSION_MAX
    back.frozen = True
    net.wait(file_serving.STALL_US / 1e6 + 1)
    assert drops(anna, DropReason.FILE_STALLED) >= 1
    net.cut(*net.ends)
    assert anna.files._serving._loaded == 0


def test_interests_are_bounded(pair):
    anna, ben, net = pair
    _, back = net.link(anna, ben)
    for number in range(file_serving.INTERESTS_MAX // wire.ITEMS_MAX + 2):
        root = number.to_bytes(32, "big")
        asked = tuple(wire.Asked(place, place) for place in range(wire.ITEMS_MAX))
        back.push("record", wire.Ask(anna.space().id, root, asked).encode(), b"")
        net.settle()
    (customer,) = anna.files._serving._customers.values()
    assert len(customer.interests) == file_serving.INTERESTS_MAX


def test_relay_keeps_files_whole_and_can_not_read_them():
    FileDevice.quota_bytes = 100 * MIB
    try:
        anna, rose, ben = household("anna", "rose", "ben", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    net = Net(anna, rose, ben)
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
    FileDevice.quota_bytes = 100 * MIB
    try:
        anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    net = Net(anna, rose)
    net.link(anna, rose)
    anna.put(DATA)
    sync(anna, rose)
    net.settle()
    used = rose.files.kept_bytes
    assert used > len(DATA)
    anna.start()
    rose.start()
    again = Net(anna, rose)
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
    net = Net(*devices)
    for one, other in pairwise(devices):
        net.link(one, other)
    devices[0].put(DATA)
    sync(*devices)
    ticket, handle = devices[-1].get()
    net.wait(5)
    assert devices[-1].reply(ticket).value and devices[-1].content(handle) == DATA
    assert drops(devices[2], DropReason.FILE_QUIET) == 0


def test_relay_refuses_what_does_not_fit_and_evicts_nothing():
    FileDevice.quota_bytes = 4 * MIB
    try:
        anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    net = Net(anna, rose)
    net.link(anna, rose)
    anna.put(DATA, name="first")
    anna.put(os.urandom(2 * MIB), name="second")
    sync(anna, rose)
    net.settle()
    assert drops(rose, DropReason.FILE_QUOTA) == 1
    assert [(line["name"], line["kept_by"]) for line in anna.listed()] == [
        ("first", 1),
        ("second", 0),
    ]
    assert rose.store.chunks.bytes_total <= 4 * MIB


def test_relay_without_room_for_files_takes_none(pair):
    anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    net = Net(anna, rose)
    net.link(anna, rose)
    anna.put(b"small")
    sync(anna, rose)
    net.settle()
    assert rose.store.chunks.held == {}


def test_full_disk_ends_a_put_and_takes_its_chunks_back(pair):
    anna, _, _ = pair
    before = dict(anna.store.chunks.held)
    anna.read_fault = lambda query: isinstance(query, SealQuery) and query.place == 2
    ticket = anna.put(os.urandom(9 * MIB), name="large")
    reply = anna.reply(ticket)
    assert reply.error == "no room" and reply.remedy
    assert anna.store.chunks.held == before
    assert [line["name"] for line in anna.listed()] == ["file"]


def test_full_disk_while_the_index_is_written_ends_a_put(pair):
    anna, _, _ = pair
    before = dict(anna.store.chunks.held)
    anna.read_fault = lambda query: isinstance(query, KeepQuery)
    assert anna.reply(anna.put(b"text")).error == "no room"
    anna.read_fault = lambda query: isinstance(query, ForgetQuery)
    assert anna.store.chunks.held == before


@pytest.mark.parametrize("kind", [UnsealQuery, PlaceQuery])
def test_full_disk_ends_a_get(pair, kind):
    anna, ben, net = pair
    net.link(anna, ben)
    ben.read_fault = lambda query: isinstance(query, kind) and query.place == 1
    ticket, _ = ben.get()
    net.settle()
    assert ben.reply(ticket).error == "no room"


def test_file_that_changes_while_it_is_put_is_refused(pair):
    anna, _, _ = pair
    assert "changed" in anna.reply(anna.put(b"short", size=6)).error
    assert "changed" in anna.reply(anna.put(b"long" * MIB, size=MIB + 1)).error


def test_put_is_answered_only_when_its_entry_is_on_disk(pair):
    anna, _, _ = pair
    anna.held = True
    ticket = anna.put(b"text", name="later")
    assert anna.reply(ticket) is None
    anna.commit()
    anna.run()
    assert anna.reply(ticket).value["state"] == "written"


@pytest.mark.parametrize(
    "args",
    [
        {"name": "a/b"},
        {"name": ".."},
        {"name": "x" * 300},
        {"name": "a\nb"},
        {"name": 7},
        {"size": -1},
        {"size": True},
        {"size": 1 << 70},
        {"handle": "x"},
        {"space": "nowhere"},
        {"space": None},
    ],
)
def test_put_says_what_is_wrong(pair, args):
    anna, _, _ = pair
    right = {"space": "home", "name": "n", "size": 1, "handle": 1}
    with pytest.raises(RequestError):
        anna.files.requests["put"](right | args, 1, 0)


def test_reader_may_not_put():
    anna, rudi = household("anna", "rudi", roles=[("rudi", "reader")])
    with pytest.raises(RequestError) as caught:
        rudi.put(b"text")
    assert caught.value.code == Exit.DENIED
    anna.put(b"text")
    sync(anna, rudi)
    assert rudi.listed()[0]["name"] == "file"


def test_puts_and_gets_are_bounded(pair):
    _, ben, net = pair
    tickets = [ben.get()[0] for _ in range(9)]
    assert [ben.reply(ticket) is None for ticket in tickets] == [True] * 8 + [False]
    assert ben.reply(tickets[8]).code == Exit.TEMPORARY
    net.wait(40)
    assert all(ben.reply(ticket).code for ticket in tickets)
    assert ben.files._gets == {}


def test_files_are_listed_after_a_restart(pair):
    anna, ben, _ = pair
    anna.start()
    ben.start()
    for device in (anna, ben):
        (line,) = device.listed()
        assert (line["name"], line["size"], line["kept_by"]) == ("file", len(DATA), 0)


def test_what_is_no_message_is_dropped(pair):
    anna, ben, net = pair
    _, back = net.link(anna, ben)
    back.push("record", b"\x20short", b"")
    back.push("bulk", b"no head", b"x")
    net.settle()
    assert drops(anna, DropReason.FILE_MALFORMED) == 2


def test_unasked_pieces_and_answers_are_dropped(pair):
    anna, ben, net = pair
    there, _ = net.link(anna, ben)
    there.push("bulk", wire.Piece(77, 0).encode(), b"x")
    there.push("record", wire.Missing((78,)).encode(), b"")
    net.settle()
    assert drops(ben, DropReason.FILE_UNASKED) == 2
    assert ben.store.chunks.held == {}


def test_relay_that_finds_nobody_pauses_and_news_end_the_pause():
    FileDevice.quota_bytes = 100 * MIB
    try:
        anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    anna.put(b"text")
    sync(anna, rose)
    net = Net(anna, rose)
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
    FileDevice.quota_bytes = 100 * MIB
    try:
        anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    for number in range(9):
        anna.put(os.urandom(50), name=f"file {number}")
    sync(anna, rose)
    net = Net(anna, rose)
    net.link(anna, rose)
    assert [line["kept_by"] for line in anna.listed()] == [1] * 9
    assert rose.files._keeper._commits == {} and not rose.files._keeper._active


def relayed():
    """Anna and the relay rose with room for files; anna has put DATA, rose keeps it."""
    FileDevice.quota_bytes = 100 * MIB
    try:
        anna, rose = household("anna", "rose", roles=[("rose", "relay")])
    finally:
        FileDevice.quota_bytes = 0
    net = Net(anna, rose)
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
    monkeypatch.setattr(file_keeping, "PROMISES_MAX", 2)
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


def test_held_messages_that_wait_are_bounded(pair, monkeypatch):
    anna, ben, net = pair
    monkeypatch.setattr(catalogue, "WAITING_MAX", 3)
    _, back = net.link(anna, ben)
    monkeypatch.setattr(anna, "_read", lambda event: None)
    for _ in range(5):
        back.push("record", wire.Held(anna.space().id, (bytes(32),)).encode(), b"")
    net.settle()
    assert drops(anna, DropReason.FILE_TABLE_FULL) == 2
    with pytest.raises(RequestError) as caught:
        anna.files.requests["files"]({"space": "home"}, 1, 0)
    assert caught.value.code == Exit.TEMPORARY
