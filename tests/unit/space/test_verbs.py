"""What people ask of spaces, and what they are told when it cannot be."""

import json

import pytest
from devices.space_devices import Device, founder, join, joined, meet

from meshd.core.errors import Exit, RequestError
from meshd.core.ids import node_text
from meshd.space import mail as mail_module
from meshd.space import reading
from meshd.space import spaces as spaces_module
from meshd.space.entries import Draft, Opened
from meshd.space.mail import Mail, load_mail
from meshd.wire.entry import Kind
from meshd.wire.payload import FileClear, FileSecret, Message, Receipt


@pytest.fixture
def anna():
    return founder()


@pytest.mark.parametrize(
    ("verb", "args", "says"),
    [
        ("space.create", {}, "name is missing"),
        ("space.create", {"name": 7}, "name is missing"),
        ("space.create", {"name": "x" * 65}, "too long"),
        ("space.create", {"name": "a\nb"}, "cannot be printed"),
        ("space.create", {"name": "\ud800"}, "not valid text"),
        ("space.create", {"name": "home"}, "already"),
        ("space.members", {"space": "nowhere"}, "no space"),
        ("space.members", {}, "space is missing"),
        ("post", {"space": "home"}, "text is missing"),
        ("post", {"space": "home", "text": "x" * 40000}, "40000 bytes"),
        ("post", {"space": "home", "text": "x", "to": "nobody"}, "no member"),
        ("post", {"space": "home", "text": "x", "to": "anna"}, "this node itself"),
        (
            "post",
            {"space": "home", "text": "x", "to": "anna", "distress": True},
            "this node itself",
        ),
        ("post", {"space": "home", "text": "x" * 330, "distress": True}, "at most 320 bytes"),
        ("invite", {"space": "home", "role": "king"}, "no role"),
        ("invite", {"space": "home", "uses": 0}, "uses must be"),
        ("invite", {"space": "home", "uses": True}, "uses must be"),
        ("invite", {"space": "home", "expires_s": "soon"}, "expires_s must be"),
        ("invite.revoke", {"space": "home", "invite": "zzzz"}, "no invitations"),
        ("log", {"space": "home", "limit": 0}, "limit must be"),
        ("log", {"space": "home", "after": 7}, "cursor"),
        ("log", {"space": "home", "after": {"zz": 1}}, "cursor"),
    ],
)
def test_what_cannot_be_says_why(anna, verb, args, says):
    with pytest.raises(RequestError, match=says):
        anna.ask(verb, **args)


def test_a_call_for_help_is_shown_as_such_and_comes_once_in_ten_minutes(anna):
    ben = joined("ben", anna)
    with pytest.raises(RequestError, match="goes to all"):
        anna.ask("post", space="home", text="x", to="ben", distress=True)
    assert anna.ask("post", space="home", text="flood at the mill", distress=True).value["seq"]
    meet(anna, ben)
    entry = ben.ask("log", space="home").value["entries"][-1]
    assert (entry["kind"], entry["text"]) == ("distress", "flood at the mill")
    with pytest.raises(RequestError, match="again in 600 s") as caught:
        anna.ask("post", space="home", text="hurry", distress=True)
    assert caught.value.code is Exit.TEMPORARY
    anna.ask("post", space="home", text="hurry")
    anna.now += 600_000_000
    anna.ask("post", space="home", text="still here", distress=True)


def test_space_is_found_by_name_and_by_the_beginning_of_its_id(anna):
    anna.ask("space.create", name="other")
    space = anna.space("other")
    assert anna.spaces.find(space.text_id[:8].upper()) is space
    with pytest.raises(RequestError) as caught:
        anna.spaces.find("ho-me-less")
    assert caught.value.code is Exit.NOT_FOUND and "home" in caught.value.remedy
    with pytest.raises(RequestError) as caught:
        Device("nobody").spaces.find("x")
    assert "create" in caught.value.remedy


def test_two_spaces_with_one_name_are_told_apart_by_id(anna):
    ben = joined("ben", anna)
    other = founder("olga")
    url = other.ask("invite", space="home").value["url"]
    join(ben, other, url)
    with pytest.raises(RequestError, match="means 2 spaces"):
        ben.spaces.find("home")


def test_lists_are_json(anna):
    ben = joined("ben", anna)
    ben.ask("post", space="home", text="hello")
    meet(anna, ben)
    for verb, args in [
        ("space.list", {}),
        ("space.members", {"space": "home"}),
        ("invite.list", {"space": "home"}),
        ("log", {"space": "home"}),
    ]:
        value = anna.ask(verb, **args).value
        assert json.loads(json.dumps(value)) == value
    shown = anna.ask("space.list").value["spaces"][0]
    assert (shown["name"], shown["role"], shown["feeds"]) == ("home", "owner", 2)
    assert shown["entries"] == 4 and shown["bytes"] > 500


# --- the log --------------------------------------------------------------------------------------


def test_log_goes_on_from_its_cursor(anna):
    for number in range(5):
        anna.ask("post", space="home", text=str(number))
    first = anna.ask("log", space="home", limit=2).value
    assert [entry["text"] for entry in first["entries"]] == ["3", "4"] and first["more"]
    anna.ask("post", space="home", text="5")
    second = anna.ask("log", space="home", after=first["cursor"]).value
    assert [entry["text"] for entry in second["entries"]] == ["5"]
    third = anna.ask("log", space="home", after=second["cursor"]).value
    assert third["entries"] == [] and not third["more"]


def test_log_reads_past_what_people_do_not_read(anna):
    anna.ask("post", space="home", text="long ago")
    for _ in range(6):
        anna.ask("invite", space="home")
    entries = anna.log(limit=2)
    assert [entry["text"] for entry in entries] == ["long ago"]


def test_log_gives_up_after_so_many_pages(anna, monkeypatch):
    monkeypatch.setattr(reading, "PAGES_MAX", 2)
    anna.ask("post", space="home", text="long ago")
    for _ in range(6):
        anna.ask("invite", space="home")
    assert anna.log(limit=2) == []


def test_log_shows_kept_and_cuts_what_is_too_long_to_show(anna):
    anna.ask("post", space="home", text="x" * 30000)
    anna.space().acks.note(bytes(10), anna.space().author, 2, True)
    (entry,) = anna.log()
    assert entry["kept"] == 1 and entry["written"] and entry["cut"] == 30000
    assert len(entry["text"]) < 5000 and entry["node"] and entry["by"] == "anna"


def test_log_of_long_texts_fits_one_answer(anna):
    for number in range(20):
        anna.ask("post", space="home", text=str(number % 10) * 4000)
    value = anna.ask("log", space="home").value
    assert len(json.dumps(value)) < 60000 and value["more"]
    assert value["entries"][-1]["text"][0] == "9"


def test_log_shows_files(anna):
    clear = FileClear(bytes(32), 1, 1, 100).encode()
    secret = FileSecret(bytes(32), 84, "map.png", "image/png").encode()
    anna.spaces.append(anna.space(), Draft(Kind.FILE, clear, secret), 0)
    anna.spaces.append(anna.space(), Draft(Kind.FILE, clear, b"junk"), 0)
    anna.run()
    file, damaged = anna.log()
    assert (file["file"], file["size"], file["media_type"]) == ("map.png", 84, "image/png")
    assert damaged["damaged"]


def test_log_that_the_store_cannot_read_says_so(anna):
    anna.spaces.requests["log"]({"space": "home"}, 5, 0)
    token = anna.ctx.events.pop().token
    anna.spaces.read_failed(token, "the card is gone", 0)
    anna.spaces.read_failed(token, "again", 0)
    anna.run()
    assert "the card is gone" in anna.replies[5].error


def test_logs_under_way_are_bounded(anna, monkeypatch):
    monkeypatch.setattr(reading, "LOGS_MAX", 1)
    anna.spaces.requests["log"]({"space": "home"}, 5, 0)
    with pytest.raises(RequestError, match="too many logs"):
        anna.spaces.requests["log"]({"space": "home"}, 6, 0)
    anna.run()
    assert anna.log() == []


# --- mail -----------------------------------------------------------------------------------------


def message(mail, author, seq, to, *, own, node=b"", digest=bytes(32)):
    opened = Opened(Kind.MESSAGE, Message(to, "x").encode(), 0, seq)
    return mail.message(author, opened, own=own, node=node, digest=digest)


def test_receipt_counts_only_from_the_node_it_was_sent_to():
    mail, author = Mail(), bytes(32)
    assert message(mail, author, 1, b"n" * 10, own=True)
    receipt = Opened(Kind.RECEIPT, Receipt(((author, 1, bytes(8)),)).encode(), 0, 1)
    assert not mail.receipt(receipt, own=False, node=b"m" * 10)
    assert mail.awaits(author, 1) and mail.take_delivered() == []
    assert mail.receipt(receipt, own=False, node=b"n" * 10)
    assert not mail.awaits(author, 1) and mail.take_delivered() == [(author, 1)]


def test_receipt_counts_only_for_the_entry_it_names_and_another_is_a_sign_of_a_fork():
    mail, author, node = Mail(), bytes(32), b"n" * 10
    assert message(mail, author, 1, node, own=True, digest=b"b" * 32)
    old = Opened(Kind.RECEIPT, Receipt(((author, 1, b"a" * 8),)).encode(), 0, 1)
    assert not mail.receipt(old, own=False, node=b"m" * 10) and mail.take_astray() == 0
    assert not mail.receipt(old, own=False, node=node)
    assert mail.awaits(author, 1) and mail.take_delivered() == []
    assert (mail.take_astray(), mail.take_astray()) == (1, 0)
    again = load_mail(bytes(32), mail.row(bytes(32)).value)
    true = Opened(Kind.RECEIPT, Receipt(((author, 1, b"b" * 8),)).encode(), 0, 2)
    for each in (mail, again):
        assert each.receipt(true, own=False, node=node) and each.take_delivered() == [(author, 1)]
    assert not mail.receipt(true, own=False, node=node), "heard twice"
    assert mail.take_astray() == 0


def test_own_receipt_settles_only_the_entry_it_names():
    mail, author, node = Mail(), bytes(32), b"n" * 10
    assert message(mail, author, 1, node, own=False, node=node, digest=b"b" * 32)
    for mark, settled in ((b"a" * 8, False), (b"b" * 8, True)):
        said = Opened(Kind.RECEIPT, Receipt(((author, 1, mark),)).encode(), 0, 1)
        assert mail.receipt(said, own=True, node=b"") is settled
    assert not mail.due


def test_mail_is_bounded_and_kept(monkeypatch):
    monkeypatch.setattr(mail_module, "DUE_MAX", 3)
    monkeypatch.setattr(mail_module, "OUTBOX_MAX", 3)
    mail, node = Mail(), b"n" * 10
    for seq in range(1, 6):
        message(mail, b"a" * 32, seq, node, own=False, node=node)
        message(mail, b"b" * 32, seq, node, own=True)
    assert mail.due == 3 and mail.overflowed == 2
    assert not mail.has_room and not mail.awaits(b"b" * 32, 4)
    assert mail.next_receipt().received == tuple((b"a" * 32, seq, bytes(8)) for seq in (3, 4, 5))
    again = load_mail(bytes(32), mail.row(bytes(32)).value)
    assert again.row(bytes(32)) == mail.row(bytes(32))
    for space, data in ((bytes(32), b"junk"), (b"s" * 32, mail.row(bytes(32)).value)):
        damaged = load_mail(space, data)
        assert damaged.doubtful and damaged.awaits(b"b" * 32, 99), "nothing of it is delivered"
    assert load_mail(bytes(32), None).doubtful, "it is written with the space"


def test_who_writes_much_pushes_out_no_letter_of_others(monkeypatch):
    monkeypatch.setattr(mail_module, "DUE_MAX", 8)
    mail, node = Mail(), b"n" * 10
    for seq in (1, 2):
        message(mail, b"a" * 32, seq, node, own=False, node=node)
    for seq in range(1, 40):
        message(mail, b"b" * 32, seq, node, own=False, node=node)
    message(mail, b"c" * 32, 1, node, own=False, node=node)
    names = [(b"a" * 32, 1), (b"a" * 32, 2), *((b"b" * 32, seq) for seq in range(35, 40))]
    assert mail.due_names() == [*names, (b"c" * 32, 1)]
    assert mail.overflowed == 34


def test_junk_is_no_mail():
    mail = Mail()
    junk = Opened(Kind.MESSAGE, b"short", 0, 1)
    assert not mail.message(bytes(32), junk, own=True, node=b"", digest=bytes(32))
    assert not mail.receipt(junk, own=False, node=bytes(10))


def test_undelivered_messages_are_bounded(anna, monkeypatch):
    ben = joined("ben", anna)
    meet(anna, ben)
    monkeypatch.setattr(mail_module, "OUTBOX_MAX", 1)
    anna.ask("post", space="home", text="one", to="ben")
    with pytest.raises(RequestError, match="wait for their receivers") as caught:
        anna.ask("post", space="home", text="two", to="ben")
    assert caught.value.code is Exit.TEMPORARY


def test_entries_that_wait_for_the_disk_are_bounded(anna, monkeypatch):
    monkeypatch.setattr(spaces_module, "APPENDS_MAX", 1)
    anna.held = True
    anna.ask("post", space="home", text="one")
    with pytest.raises(RequestError, match="wait for the disk"):
        anna.ask("post", space="home", text="two")
    anna.commit()
    anna.held = False
    assert anna.ask("post", space="home", text="two").value["seq"] == 3


def test_who_writes_where_nobody_else_is_is_told_so(anna):
    for more in ({}, {"distress": True}):
        value = anna.ask("post", space="home", text="hello?", **more).value
        assert "meshd invite home" in value["waits"]
    joined("ben", anna)
    assert "waits" not in anna.ask("post", space="home", text="hello!").value


def test_a_relay_is_told_that_it_is_one_and_who_has_no_space_to_join_one(anna):
    relay = joined("relay", anna, role="relay")
    with pytest.raises(RequestError) as caught:
        relay.spaces.find("home")
    assert "this node is a relay of it" in caught.value.remedy
    with pytest.raises(RequestError) as caught:
        Device("nobody").spaces.find("home")
    assert "meshd join LINK" in caught.value.remedy


def test_a_post_shows_whom_it_has_reached(anna):
    ben = joined("ben", anna)
    anna.ask("post", space="home", text="hello")
    space = anna.space()
    space.acks.note(ben.identity.node, space.author, space.feeds[space.author].seq, False)
    last = anna.ask("log", space="home").value["entries"][-1]
    assert last["delivered_to"] == [node_text(ben.identity.node)]
