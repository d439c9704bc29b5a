"""What is told of a text is on the disk, or can be behind on it in the harmless direction only."""

import pytest
from devices.letter_net import Net

from meshd.core.errors import RequestError
from meshd.core.events import EntryRow, MetaRow, StoreRead
from meshd.messages.letter import ROW_PREFIX, in_key, out_key
from meshd.space.record import mail_key
from meshd.store.interface import StoreError, StoreFault


def pair(*edges):
    net = Net("a", "b", edges=edges)
    net.share("a", "b")
    return net, net["a"], net["b"]


def fail_once(device, after=0):
    """Let one commit fail, after some that do not."""
    commit, left = device.store.commit, [after]

    def failing(groups):
        if left[0]:
            left[0] -= 1
            commit(groups)
            return
        device.store.commit = commit
        raise StoreError(StoreFault.FULL, "no room", remedy="make room")

    device.store.commit = failing


def state(device):
    return device.list(peek=True)[0]["state"]


def cancelled(device, why):
    with pytest.raises(RequestError, match=why):
        device.ask("message.cancel", number=1)


# --- own texts ------------------------------------------------------------------------------------


def test_state_whose_write_failed_stays_and_is_written_again():
    net, a, b = pair(("a", "b", "lora"))
    net.lost = lambda what, sender, to: what == "answer"
    fail_once(a, after=1)
    a.text(b, "hello")
    net.run(2)
    assert state(a) == "sent" and b.shown() == ["hello"]
    assert out_key(1) in a.store.metas, "kept; but that it was sent is not on the disk"
    cancelled(a, "is sent")
    net.run(10)
    a = net.restart("a")
    assert state(a) == "sent"
    cancelled(a, "is sent")


def test_text_that_left_in_a_run_that_was_killed_is_not_taken_back():
    net, a, b = pair(("a", "b", "ip"))
    net.lost = lambda what, sender, to: to == "a"
    commit = a.store.commit

    def last(groups):
        commit(groups)
        a.held = True

    a.store.commit = last
    a.text(b, "hello")
    net.run(1)
    assert b.shown() == ["hello"] and state(a) == "sent"
    a.held, a.store.commit = False, commit
    a = net.restart("a")
    assert state(a) == "queued", "the disk is behind"
    cancelled(a, "may have left before meshd was started again")
    net.lost = lambda what, sender, to: False
    net.run(60)
    assert state(a) == "delivered" and b.shown() == ["hello"]


def test_text_that_waited_leaves_when_it_is_on_the_disk_that_it_may():
    net = Net("a", "b")
    a, b = net["a"], net["b"]
    a.text(b, "hello")
    net.run(1)
    net.edges[frozenset("ab")] = "ip"
    a.held = True
    net.run(30)
    assert b.shown() == [] and state(a) == "queued"
    a.held = False
    a.commit()
    net.run(30)
    assert b.shown() == ["hello"] and state(a) == "delivered"


def test_text_that_could_not_be_let_go_is_let_go_later():
    net = Net("a", "b")
    a, b = net["a"], net["b"]
    a.text(b, "hello")
    net.run(1)
    net.edges[frozenset("ab")] = "ip"
    fail_once(a)
    net.run(120)
    assert b.shown() == ["hello"] and state(a) == "delivered"


def test_text_that_waits_can_be_taken_back_after_a_restart():
    net = Net("a", "b")
    net["a"].text(net["b"], "hello")
    net.run(30)
    a = net.restart("a")
    assert a.ask("message.cancel", number=1).value["state"] == "taken back"


def test_entry_of_a_text_and_that_it_has_one_are_on_the_disk_together():
    net, a, b = pair()
    groups = []
    commit = a.store.commit
    a.store.commit = lambda rows: (groups.extend(rows), commit(rows))
    a.text(b, "hello")
    net.run(5)
    (together,) = [rows for rows in groups if any(isinstance(row, EntryRow) for row in rows)]
    kept = {row.key: row.value for row in together if isinstance(row, MetaRow)}
    assert b'"entry"' in kept[out_key(1)]


# --- rows -----------------------------------------------------------------------------------------


def spoil(device, key, place):
    data = bytearray(device.store.metas[key])
    data[place % len(data)] ^= 1
    device.store.commit([(MetaRow(key, bytes(data)),)])


@pytest.mark.parametrize("part", ["out", "in", "window", "next"])
def test_every_flipped_bit_of_a_kept_text_is_told_and_delivers_nothing(part):
    net, a, b = pair(("a", "b", "ip"))
    net.lost = lambda what, sender, to: to == "a"
    a.text(b, "hello")
    b.text(a, "hello to you")
    net.run(1)
    device = a if part in ("out", "next") else b
    (key,) = [key for key in device.store.metas if key.startswith(f"{ROW_PREFIX}{part}")]
    good = device.store.metas[key]
    for place in range(0, len(good), 5):
        spoil(device, key, place)
        again = net.restart(device.name)
        (problem,) = again.messages.problems()
        assert problem.code == "message-damaged" and key in problem.text and problem.remedy
        texts = again.list(peek=True)
        assert all(row["state"] in ("sent", "queued") for row in texts if row["way"] == "out")
        again.store.commit([(MetaRow(key, good),)])


def test_number_of_a_damaged_text_is_not_given_again():
    net, a, b = pair()
    a.text(b, "hello")
    net.run(1)
    for key in (out_key(1), "letter/next"):
        spoil(a, key, 3)
    a = net.restart("a")
    assert a.text(b, "again").value["number"] == 2


def test_damaged_row_of_the_last_text_that_came_stays_when_the_next_one_comes():
    net, a, b = pair()
    a.text(b, "first")
    net.sync("a", "b")
    net.run(5)
    assert b.shown() == ["first"]
    spoil(b, in_key(0), 5)
    b = net.restart("b")
    assert [one.code for one in b.messages.problems()] == ["message-damaged"]
    a.text(b, "second")
    net.sync("a", "b")
    net.run(5)
    assert [row["text"] for row in b.list(peek=True)] == ["second"]
    b = net.restart("b")
    assert [one.code for one in b.messages.problems()] == ["message-damaged"]


def test_text_that_was_called_not_written_and_is_there_all_the_same_never_goes():
    net, a, b = pair()
    commit = a.store.commit

    def written_and_failed(groups):
        a.store.commit = commit
        commit(groups)
        raise StoreError(StoreFault.BROKEN, "the disk hung up", remedy="change the card")

    a.store.commit = written_and_failed
    assert "not written" in a.text(b, "hello").error
    net.edges[frozenset("ab")] = "ip"
    net.run(100)
    assert b.shown() == [] and a.list() == [] and out_key(1) not in a.store.metas


# --- mail of a space ------------------------------------------------------------------------------


def codes(device):
    return [problem.code for problem in device.spaces.told()]


def test_damaged_mail_delivers_nothing_and_is_made_anew_from_the_entries():
    net, a, b = pair()
    a.text(b, "one")
    a.text(b, "two")
    net.run(5)
    key = mail_key(a.space().id)
    good = a.store.metas[key]
    for place in range(0, len(good), 9):
        spoil(a, key, place)
        a.start()
        a.messages.handle_timer(("messages", "stored"), a.now)
        assert codes(a) == ["mail-damaged"] and a.states() == []
        a.run()
        assert codes(a) == [] and a.store.metas[key] == good and a.kinds("mail-mended")
        a.notices.clear()
    net.run(5)
    assert "delivered" not in a.states()
    net.sync("a", "b")
    net.run(10)
    net.sync("a", "b")
    net.run(10)
    assert b.shown() == ["one", "two"]
    assert [row["state"] for row in a.list()] == ["delivered"] * 2


def test_mail_whose_name_is_damaged_delivers_nothing_and_is_made_anew():
    net, a, b = pair()
    a.text(b, "one")
    net.run(5)
    key = mail_key(a.space().id)
    good = a.store.metas[key]
    for place in range(0, len(key), 3):
        other = key[:place] + chr(ord(key[place]) ^ 1) + key[place + 1 :]
        a.store.metas[other] = a.store.metas.pop(key)
        a.start()
        a.messages.handle_timer(("messages", "stored"), a.now)
        assert codes(a) == ["mail-damaged", "space-damaged"] and a.states() == []
        a.run()
        assert codes(a) == ["space-damaged"] and a.store.metas[key] == good
        del a.store.metas[other]
    del a.store.metas[key]
    a.start()
    assert codes(a) == ["mail-damaged"]
    a.run()
    assert codes(a) == [] and a.store.metas[key] == good and "delivered" not in a.states()


def test_mail_of_a_space_is_kept_from_its_first_write_on():
    _, a, b = pair()
    for device in (a, b):
        device.start()
        assert mail_key(device.space().id) in device.store.metas and codes(device) == []


def test_what_was_delivered_stays_so_when_mail_is_made_anew_and_is_not_told_twice():
    net, a, b = pair()
    a.text(b, "one")
    net.run(5)
    for _ in range(2):
        net.sync("a", "b")
        net.run(10)
    assert state(a) == "delivered"
    a.text(b, "two")
    net.run(5)
    key = mail_key(a.space().id)
    good = a.store.metas[key]
    spoil(a, key, 1)
    a = net.restart("a")
    a.notices.clear()
    net.run(10)
    assert a.store.metas[key] == good and codes(a) == []
    assert [row["state"] for row in a.list()] == ["delivered", "queued"]
    assert not a.kinds("delivered")


def test_receiver_with_damaged_mail_shows_and_acknowledges_what_it_had_not_kept_yet():
    net, a, b = pair()
    a.text(b, "hello")
    net.run(5)
    b.held = True
    net.sync("a", "b")
    entry, *_ = [each for each in b.waiting if any(isinstance(row, EntryRow) for row in each.rows)]
    b.store.commit([entry.rows])
    b.held = False
    spoil(b, mail_key(b.space().id), 5)
    b = net.restart("b")
    net.run(10)
    assert b.shown() == ["hello"]
    net.sync("a", "b")
    net.run(10)
    assert state(a) == "delivered"


def test_mail_that_the_disk_does_not_give_stays_in_doubt_until_the_store_is_opened_again():
    net, a, b = pair()
    a.text(b, "hello")
    net.run(5)
    spoil(a, mail_key(a.space().id), 1)
    a.spaces.read_done = lambda token, answer, now: a.spaces.read_failed(token, "no", now)
    image = a.store.load()
    a.spaces.reload(image, a.now)
    a.messages.load(image, a.now)
    a.run()
    assert codes(a) == ["mail-damaged"]
    net.run(20)
    assert "delivered" not in a.states()
    del a.spaces.read_done
    a.spaces.reload(a.store.load(), a.now)
    a.run()
    assert codes(a) == []


def test_what_comes_while_mail_is_in_doubt_does_not_make_its_row_believed():
    net, a, b = pair()
    a.text(b, "one")
    net.run(5)
    key = mail_key(a.space().id)
    spoil(a, key, 1)
    a.start()
    while not isinstance(a.ctx.events.popleft(), StoreRead):
        pass  # the disk has not answered yet
    a.text(b, "two")
    net.run(5)
    a = net.restart("a")
    net.run(20)
    assert codes(a) == [] and "delivered" not in {row["state"] for row in a.list()}
    for _ in range(2):
        net.sync("a", "b")
        net.run(10)
    assert b.shown() == ["one", "two"]
    assert [row["state"] for row in a.list()] == ["delivered"] * 2
