"""Texts from device to device: one id, shown once, states that are true."""

from devices.letter_net import Net
from devices.space_devices import SECOND

from meshd.core.drops import DropReason
from meshd.core.events import MetaRow
from meshd.core.ids import node_text
from meshd.forwarding.direct import State
from meshd.forwarding.radio_events import DirectAnswered, DirectChanged
from meshd.store.interface import StoreError, StoreFault


def line(*kinds, names="abcd"):
    edges = [(names[at], names[at + 1], kind) for at, kind in enumerate(kinds)]
    return Net(*names[: len(kinds) + 1], edges=edges)


def test_a_text_goes_two_lora_hops_and_is_delivered_when_its_receiver_says_so():
    net = line("lora", "lora")
    net.share("a", "c")
    net["a"].text(net["c"], "hello")
    net.run(10)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["c"].shown() == ["hello"]
    sent, got = net["a"].list()[0], net["c"].list()[0]
    assert sent["id"] == got["id"] == f"{node_text(net['a'].node)}-1"
    assert sent["state"] == "delivered" and got["text"] == "hello"
    assert (sent["names"], got["names"]) == (["c"], ["a"]), "their space vouches for them"
    assert (sent["node"], got["node"]) == (node_text(net["c"].node), node_text(net["a"].node))


def test_a_text_goes_by_ip_hop_by_hop():
    net = line("ip", "ip", "ip")
    net.share("a", "d")
    net["a"].text(net["d"], "hello")
    net.run(2)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["d"].shown() == ["hello"]


def test_a_gateway_hands_on_from_ip_to_lora_and_back_what_it_cannot_read():
    net = line("ip", "ip", "lora")
    net.share("a", "d")
    net["a"].text(net["d"], "secret text")
    net.run(10)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["d"].shown() == ["secret text"]
    assert all(b"secret" not in body for _, _, body in net.frames)


def test_a_gateway_hands_on_from_lora_to_ip_and_back():
    net = line("lora", "lora", "ip")
    net.share("a", "d")
    net["a"].text(net["d"], "hello")
    net.run(10)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["d"].shown() == ["hello"]


def test_two_islands_with_lora_between_pass_a_text():
    net = Net(*"abcd", edges=[("a", "b", "ip"), ("b", "c", "lora"), ("c", "d", "ip")])
    net.share("a", "d")
    net["a"].text(net["d"], "hello")
    net.run(10)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["d"].shown() == ["hello"]


def test_a_text_passes_from_lora_to_ip_and_back_three_times():
    net = line("ip", "lora", "ip", "lora", "ip", names="abcdef")
    net.share("a", "f")
    net["a"].text(net["f"], "x" * 181)
    net.run(20)
    assert net["a"].states() == ["sent", "delivered"]
    assert net["f"].shown() == ["x" * 181]


def test_a_text_too_long_for_lora_waits_as_an_entry():
    net = line("lora")
    net.share("a", "b")
    net["a"].text(net["b"], "x" * 182)
    net.run(20)
    assert net.frames == []
    net.sync("a", "b")
    assert net["b"].shown() == ["x" * 182]


def test_who_do_not_know_each_other_tell_their_keys_first():
    for kinds in (("lora", "lora"), ("ip", "ip"), ("ip", "lora"), ("lora", "ip")):
        net = line(*kinds)
        net.met = False
        net["a"].text(net["c"], "hello")
        net.run(30)
        assert net["c"].shown() == ["hello"], kinds
        assert net["a"].states() == ["sent", "delivered"], kinds


def test_a_receiver_that_forgot_a_sender_asks_for_its_key():
    net = line("lora")
    net.met = False
    net["a"].text(net["b"], "one")
    net.run(30)
    net.restart("b")
    net.run(120)
    net["a"].text(net["b"], "two")
    net.run(200)
    assert net["b"].shown() == ["one", "two"]
    assert net["a"].states() == ["sent", "delivered"] * 2
    assert net["b"].dropped(DropReason.LETTER_STRANGER) >= 1


def test_lost_bodies_and_answers_come_again_and_the_text_is_shown_once():
    net = line("lora", "lora")
    net.share("a", "c")
    losses = iter([True, False, True, False])
    net.lost = lambda what, sender, to: next(losses, False)
    net["a"].text(net["c"], "hello")
    net.run(100)
    assert net["c"].shown() == ["hello"]
    assert net["a"].states() == ["sent", "delivered"]


def test_receiver_away_gets_the_stored_entry_and_the_text_is_told_with_the_same_id():
    net = line("lora", "lora")
    net.share("a", "c")
    net.away = {"c"}
    net["a"].text(net["c"], "come home")
    net.run(60)
    assert net["a"].states() == []
    net.away = set()
    net.edges.clear()
    net.sync("a", "c")
    net.run(20)
    assert net["c"].shown() == ["come home"]
    assert net["c"].list()[0]["id"] == net["a"].list()[0]["id"]
    net.sync("a", "c")
    net.run(20)
    assert net["a"].states() == ["delivered"]


def test_text_whose_answer_is_lost_is_stored_too_and_still_shown_once():
    net = line("lora")
    net.share("a", "b")
    net.lost = lambda what, sender, to: what == "answer"
    net["a"].text(net["b"], "hello")
    net.run(200)
    assert net["b"].shown() == ["hello"] and net["a"].states() == ["sent"]
    net.sync("a", "b")
    net.run(20)
    net.sync("a", "b")
    net.run(20)
    assert net["b"].shown() == ["hello"] and net["a"].states() == ["sent", "delivered"]


def test_other_members_of_a_space_cannot_read_a_stored_text():
    net = Net(*"abc")
    net.share("a", "b", "c")
    net["a"].text(net["b"], "for b alone")
    net.run(5)
    net.sync("a", "b", "c")
    net.run(5)
    assert net["b"].shown() == ["for b alone"] and net["c"].shown() == []
    assert all(b"for b" not in data for _, data in net["c"].entries(net["c"].space()))
    assert "for b" not in str(net["c"].log())


def test_kept_names_the_nodes_that_hold_a_stored_text():
    net = Net(*"abc")
    net.share("a", "b", "c")
    net["a"].text(net["b"], "hello")
    net.run(5)
    space = net["a"].space()
    space.acks.note(net["c"].node, space.author, space.feeds[space.author].seq, leased=True)
    net.run(10)
    assert net["a"].states() == ["kept"]
    assert net["a"].list()[0]["kept_by"] == [node_text(net["c"].node)]


def test_waiting_for_a_state_is_answered_when_it_is_reached_or_with_how_far_it_came():
    net = line("lora")
    net.share("a", "b")
    one, two = net["a"], net["b"]
    number = one.text(two, "x").value["number"]
    ticket = one.begin("message.wait", number=number, state="delivered")
    assert ticket not in one.replies
    net.run(5)
    assert one.replies[ticket].value["state"] == "delivered"
    assert one.ask("message.wait", number=number, state="sent").value["state"] == "delivered"
    net.away = {"b"}
    number = one.text(two, "y").value["number"]
    ticket = one.begin("message.wait", number=number, timeout_s=9)
    net.run(10)
    assert "queued" in one.replies[ticket].error
    assert one.replies[ticket].reached["state"] == "queued"


def test_read_is_told_only_by_who_wants_that_and_only_once_it_was_seen():
    net = line("lora")
    net.share("a", "b")
    net["a"].text(net["b"], "one")
    net.run(10)
    net["b"].list()
    net.run(700)
    assert net["a"].states() == ["sent", "delivered"]
    net["b"].tells_read = net["b"].messages.tells_read = True
    net["a"].text(net["b"], "two")
    net.run(10)
    net["b"].list(peek=True)
    net.run(10)
    assert net["a"].states() == ["sent", "delivered"] * 2
    net["b"].list()
    net.run(10)
    assert net["a"].states()[4:] == ["read", "read"]


def test_what_was_called_written_is_there_after_a_restart_and_goes_on():
    net = line("lora")
    net.share("a", "b")
    net.away = {"b"}
    net["a"].spaces.get(net["a"].space().id)
    reply = net["a"].text(net["b"], "hello")
    assert reply.value["state"] == "queued"
    net.restart("a")
    net.away = set()
    net.run(30)
    net.sync("a", "b")
    net.run(10)
    assert net["b"].shown() == ["hello"]


def test_nothing_is_answered_before_the_text_is_on_the_receivers_disk():
    net = line("lora")
    net.share("a", "b")
    net["b"].held = True
    net["a"].text(net["b"], "hello")
    net.run(10)
    assert net["a"].states() == ["sent"] and net["b"].shown() == []
    net["b"].held = False
    net["b"].commit()
    net["b"].run()
    net.run(5)
    assert net["a"].states() == ["sent", "delivered"] and net["b"].shown() == ["hello"]


def test_recording_is_not_shown_again_though_both_ends_restarted():
    net = line("lora")
    net.share("a", "b")
    net["a"].text(net["b"], "hello")
    net.run(10)
    (_, _, body), *_ = net.frames
    net.restart("a")
    net.restart("b")
    net.run(10)
    net["a"].out[77] = (net["b"].node[:2], body)
    net.attempt(net["a"], 77, 0)
    net.run(30)
    assert net["b"].shown() == ["hello"]
    assert len([row for row in net["b"].list() if row["way"] == "in"]) == 1


def test_a_learnt_key_is_doubted_for_silence_and_not_where_the_way_is_too_long():
    for reason, known in (
        (DropReason.DIRECT_HOP_LIMIT, True),
        (DropReason.DIRECT_UNANSWERED, False),
    ):
        net = line("lora", "lora")
        net["a"].text(net["c"], "who are you?")
        net.run(60)
        assert net["a"].states()[-1] == "delivered"
        net.lost = lambda what, sender, to: True
        net["a"].text(net["c"], "hello")
        net["a"].tell(DirectChanged("lora0", max(net["a"].out), State.GIVEN_UP, reason))
        assert net["a"].messages._exchange.knows(net["c"].node) is known


def test_forged_answers_move_no_state():
    net = line("lora")
    net.share("a", "b")
    net.lost = lambda what, sender, to: what == "direct"
    net["a"].text(net["b"], "hello")
    for number in range(1, 4):
        for tag in (bytes(8), b"\xff" * 8, b"12345678"):
            net["a"].tell(DirectAnswered("lora0", number, tag))
    net.run(5)
    assert net["a"].states() == ["sent"]
    assert net["a"].dropped(DropReason.LETTER_FORGED) >= 3


def test_a_twin_that_uses_a_number_again_is_reported_and_both_texts_are_shown():
    net = line("lora")
    net.share("a", "b")
    net["a"].text(net["b"], "first life")
    net.run(10)
    twin = net["a"]
    for key in [key for key in twin.store.load().metas if key.startswith("letter/")]:
        twin.store.commit([(MetaRow(key, None),)])
    net.restart("a")
    net.run(10)
    net["a"].text(net["b"], "second life")
    net.run(10)
    assert net["b"].shown() == ["first life", "second life"]
    assert [notice.fields["number"] for notice in net["b"].kinds("message-twin")] == [1]
    assert net["a"].states()[-1] == "delivered"


def test_ping_over_lora_takes_its_time_and_tells_hops():
    net = line("lora", "lora")
    net.share("a", "c")
    ticket = net["a"].begin("ping", node=node_text(net["c"].node), count=2)
    net.run(20)
    value = net["a"].replies[ticket].value
    assert value["received"] == 2 and value["loss"] == 0 and value["hops"] == 2
    assert value["medium"] == "lora" and value["rtt_ms"] == [2000.0, 2000.0]
    assert len(net.frames) == 2


def test_ping_of_who_does_not_answer_ends_and_of_who_is_near_goes_by_ip():
    net = line("lora", "lora")
    net.share("a", "c")
    net.lost = lambda what, sender, to: True
    ticket = net["a"].begin("ping", node=node_text(net["c"].node), count=2)
    net.run(150)
    assert net["a"].replies[ticket].value is None and "by LoRa" in net["a"].replies[ticket].error
    net.met = False
    assert line("ip")["a"].ask("ping", node=node_text(net["c"].node)).value == {"ip": True}


def test_echoes_beyond_a_few_are_not_answered():
    net = line("lora")
    net.share("a", "b")
    body = net["a"].messages._exchange.seal(net["b"].node, b"\x01abcd", 0).body
    for number in range(100, 112):
        net["a"].out[number] = (net["b"].node[:2], body)
        net.carry(net["a"], net["b"], number, body)
    net.run(SECOND // SECOND)
    assert net["b"].dropped(DropReason.LETTER_LIMITED) == 6


def test_text_of_a_stored_entry_that_the_last_run_did_not_keep_is_taken_up_at_the_start():
    net = line("lora")
    net.share("a", "b")
    net.away = {"b"}
    net["a"].text(net["b"], "in the crash")
    net.run(5)
    two = net["b"]
    inbox = two.messages.inbox
    inbox.take = lambda taken, time_s, durable, now: None  # the power goes before it is kept
    net.sync("a", "b")
    assert two.shown() == [] and two.space().mail.due
    net.restart("b")
    net.run(10)
    assert two.shown() == ["in the crash"]


def test_failed_write_of_an_own_text_is_told_and_of_one_that_came_is_not_acknowledged():
    net = line("lora")
    net.share("a", "b")
    one, two = net["a"], net["b"]
    commit = two.store.commit
    two.store.commit = failing
    one.text(two, "first")
    net.run(2)
    assert one.states() == ["sent"] and two.shown() == []
    two.store.commit = commit
    net.run(30)
    assert one.states() == ["sent", "delivered"] and two.shown() == ["first"]
    one.store.commit = failing
    reply = one.text(two, "second")
    assert reply.value is None and "not written" in reply.error
    assert [row["text"] for row in one.list()] == ["first"]


def failing(groups):
    raise StoreError(StoreFault.BROKEN, "the disk failed", remedy="change the card")


def test_damaged_rows_are_a_problem_and_the_others_are_there():
    net = line("lora")
    net.share("a", "b")
    for text in ("one", "two"):
        net["a"].text(net["b"], text)
    net.run(10)
    rows = ("letter/out/00000001", "letter/window/zz")
    net["a"].store.commit([(MetaRow(rows[0], b"{}"), MetaRow(rows[1], b""))])
    net.restart("a")
    (problem,) = net["a"].messages.problems()
    assert problem.code == "message-damaged" and all(row in problem.text for row in rows)
    assert [row["text"] for row in net["a"].list()] == ["two"]
    assert net["b"].messages.problems() == ()


def test_what_people_say_stands_in_no_notice():
    net = line("lora")
    net.share("a", "b")
    net["a"].text(net["b"], "for your eyes alone")
    net.run(10)
    assert net["b"].shown() == ["for your eyes alone"]
    said = str(net["a"].notices) + str(net["b"].notices)
    assert "message" in said and "eyes" not in said
