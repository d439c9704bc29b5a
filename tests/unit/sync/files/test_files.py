"""Files between nodes: put, get from several, resume, and peers that misbehave."""

import pytest
from devices.file_devices import MIB, FileNet, drops, household, sync
from devices.seeded_bytes import bytes_of

from meshd.core.drops import DropReason
from meshd.core.errors import Exit, RequestError
from meshd.core.events import ForgetQuery, KeepQuery, PlaceQuery, SealQuery, UnsealQuery
from meshd.sync.files import catalogue, fetch, files, layout, serving
from meshd.sync.files.air import states as air_states
from meshd.wire import file_messages as wire

DATA = bytes_of(3 * MIB + 17)


@pytest.fixture
def pair():
    """Anna has put DATA; Ben is in sync and connected."""
    anna, ben = household("anna", "ben")
    ticket = anna.put(DATA)
    assert anna.reply(ticket).value["state"] == "written"
    sync(anna, ben)
    return anna, ben, FileNet(anna, ben)


def test_file_is_got_as_it_was_put(pair):
    anna, ben, net = pair
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.content(handle) == DATA
    assert handle in ben.store.files.synced, "the reply says that it is on disk"
    assert ben.reply(ticket).value["size"] == len(DATA)
    assert ben.progress[-1].done == ben.progress[-1].total == len(DATA)


def test_list_tells_which_file_is_here_also_without_a_radio(pair):
    anna, ben, net = pair
    net.link(anna, ben)
    assert [line["state"] for line in anna.listed()] == ["here"]
    assert [line["state"] for line in ben.listed()] == ["elsewhere"]
    ben.get()
    net.settle()
    assert [line["state"] for line in ben.listed()] == ["here"]


def test_file_that_nobody_looked_for_has_no_state(pair, monkeypatch):
    monkeypatch.setattr(air_states, "SURVEY_MAX", 1)
    anna, ben, _ = pair
    anna.put(b"newer", name="newer")
    sync(anna, ben)
    assert [line.get("state") for line in ben.listed()] == [None, "elsewhere"]


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB])
def test_every_size_comes_through(size):
    anna, ben = household("anna", "ben")
    data = bytes_of(size)
    anna.put(data)
    sync(anna, ben)
    net = FileNet(anna, ben)
    net.link(anna, ben)
    ticket, handle = ben.get()
    net.settle()
    assert ben.reply(ticket).value and ben.content(handle) == data


def test_index_of_two_levels_comes_through(monkeypatch):
    monkeypatch.setattr(layout, "INDEX_NAMES_MAX", 3)
    anna, ben = household("anna", "ben")
    data = bytes_of(6 * MIB + 5)
    ticket = anna.put(data)
    assert anna.reply(ticket).value
    sync(anna, ben)
    net = FileNet(anna, ben)
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


def test_first_ask_is_answered_when_the_giver_has_read_its_entries(pair):
    anna, ben, net = pair
    net.link(anna, ben)
    ticket, _ = ben.get()
    net.settle()
    assert ben.reply(ticket).value
    assert {one.what for one in ben.progress} == {"bytes"}, "none is said to lack it"


def test_who_is_gone_when_the_entries_are_read_is_not_answered(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben)
    ben.get()
    ben.run()
    for _, record, _ in back.queue:
        anna.files.record(there.number, record, 0)
    assert back.queue and anna.files._catalogue._shelves, "the entries are being read"
    anna.files.session_down(there.number, 0)
    anna.run()
    assert not there.queue


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
    data = bytes_of(8 * MIB)
    anna.put(data)
    sync(anna, ben, carl)
    net = FileNet(anna, ben, carl)
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
    net = FileNet(anna, ben, carl)
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
    net = FileNet(anna, ben, carl)
    net.link(anna, ben)
    ben.get()
    net.settle()
    net.link(anna, carl)[0].frozen = True
    net.link(ben, carl)
    ticket, handle = carl.get()
    net.wait(fetch.QUIET_US / 1e6 + 1)
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
    assert drops(ben, DropReason.FILE_WRONG_BYTES) == fetch.WRONG_MAX
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
    over = 3 * wire.ITEMS_MAX - serving.ASKS_MAX - serving.LOADED_SESSION_MAX
    assert drops(anna, DropReason.FILE_ASKS_FULL) == over
    assert anna.files._serving._loaded == serving.LOADED_SESSION_MAX


def test_session_that_takes_nothing_loses_its_memory(pair):
    anna, ben, net = pair
    there, back = net.link(anna, ben)

    def stop_after_the_index(kind, head, data):
        there.frozen = kind == "bulk"
        return [(kind, head, data)]

    there.change = stop_after_the_index
    ben.get()
    net.settle()
    assert anna.files._serving._loaded == serving.LOADED_SESSION_MAX
    back.frozen = True
    net.wait(serving.STALL_US / 1e6 + 1)
    assert drops(anna, DropReason.FILE_STALLED) >= 1
    net.cut(*net.ends)
    assert anna.files._serving._loaded == 0


def test_interests_are_bounded(pair):
    anna, ben, net = pair
    _, back = net.link(anna, ben)
    for number in range(serving.INTERESTS_MAX // wire.ITEMS_MAX + 2):
        root = number.to_bytes(32, "big")
        asked = tuple(wire.Asked(place, place) for place in range(wire.ITEMS_MAX))
        back.push("record", wire.Ask(anna.space().id, root, asked).encode(), b"")
        net.settle()
    (customer,) = anna.files._serving._customers.values()
    assert len(customer.interests) == serving.INTERESTS_MAX


def test_full_disk_ends_a_put_and_takes_its_chunks_back(pair):
    anna, _, _ = pair
    before = dict(anna.store.chunks.held)
    anna.read_fault = lambda query: isinstance(query, SealQuery) and query.place == 2
    ticket = anna.put(bytes_of(9 * MIB), name="large")
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
    assert ben.files._requests._gets == {}


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
