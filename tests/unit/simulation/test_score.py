from meshd.simulation.score import LOST_POWER, Score


def test_shares_and_delays_are_of_pairs():
    score = Score(["broadcast"])
    for host in (1, 2, 3):
        score.seen_on(host, 1_000_000)
    note = score.ask("broadcast", 0, 0, {1: True, 2: True, 3: False})
    note.accepted = True
    note.delivered(1, 2_000)
    note.delivered(2, 5_000)
    note.delivered(2, 9_000)
    table = score.total()
    assert (table["due"], table["delivered"], table["percent"]) == (3, 2, 66.67)
    assert table["reachable"] == {"due": 2, "delivered": 2, "percent": 100.0}
    assert table["delay_ms"] == {"p50": 2.0, "p90": 5.0, "p99": 5.0, "max": 5.0}


def test_who_was_never_on_again_is_owed_nothing():
    score = Score(["direct"])
    score.seen_on(1, 5)
    score.ask("direct", 0, 10, {1: True})
    table = score.total()
    assert (table["absent"], table["due"], table["percent"]) == (1, 0, None)
    score.seen_on(1, 20)
    assert score.total()["due"] == 1


def test_call_owes_nothing_to_whom_it_finds_without_power():
    score = Score(["direct", "broadcast"])
    for kind in ("direct", "broadcast"):
        score.ask(kind, 0, 10, {1: False, 2: True}, off=[1])
    for host in (1, 2):
        score.seen_on(host, 20)
    call, note = score.kinds()
    assert (call["absent"], call["due"]) == (1, 1)
    assert (note["absent"], note["due"]) == (0, 2)


def test_what_a_node_refused_did_not_arrive():
    score = Score(["direct", "file"])
    score.seen_on(1, 5)
    score.ask("direct", 0, 0, {1: True}).error = "not a member"
    score.skip("file")
    direct, file = score.kinds()
    assert direct["failed"] == {"not a member": 1}
    assert (direct["due"], direct["delivered"]) == (1, 0)
    assert direct["undelivered"] == {"refused: not a member": 1}
    assert file["skipped"] == 1 and score.total()["skipped"] == 1


def test_whose_device_died_before_it_answered_asked_nothing():
    score = Score(["broadcast"])
    score.seen_on(1, 5)
    score.ask("broadcast", 0, 0, {1: True}).error = LOST_POWER
    (table,) = score.kinds()
    assert (table["due"], table["failed"], table["undelivered"]) == (0, {LOST_POWER: 1}, {})


def test_reasons_say_whether_anything_could_have_arrived():
    score = Score(["broadcast", "direct"])
    for host in (1, 2):
        score.seen_on(host, 5)
    score.ask("broadcast", 0, 0, {1: True, 2: False})
    score.ask("direct", 0, 0, {1: True})
    assert sum(score.total()["undelivered"].values()) == 3
    note, call = score.kinds()
    assert note["undelivered"] == {
        "it was not there by the end": 1,
        "no chain of working links joined the two": 1,
    }
    assert call["undelivered"] == {"it did not get through in time": 1}


def test_each_host_is_told_as_sender_and_as_receiver():
    score = Score(["broadcast"])
    for host in range(3):
        score.seen_on(host, 9_000)
    score.ask("broadcast", 0, 0, {1: True, 2: True}).delivered(1, 2_000)
    score.ask("broadcast", 0, 0, {1: True, 2: True}).delivered(1, 4_000)
    one, two, three = score.hosts(["hall", "mill", "farm"])
    assert one["sent"] == {"due": 4, "delivered": 2, "percent": 50.0}
    assert (one["reached"], one["wanted"], one["unreached"]) == (1, 2, ["farm"])
    assert one["received"]["due"] == 0 and one["delay_ms"] is None
    assert two["received"]["delivered"] == 2 and two["delay_ms"] == 2.0
    assert three["received"] == {"due": 2, "delivered": 0, "percent": 0.0}


def test_stranger_delivery_counts_nothing():
    score = Score(["direct"])
    score.seen_on(1, 9)
    score.ask("direct", 0, 0, {1: True}).delivered(2, 3)
    assert score.total()["delivered"] == 0


def test_each_message_stands_in_its_stretch_of_time():
    score = Score(["direct"])
    score.seen_on(1, 99)
    for at in (3, 12, 13, 29):
        score.ask("direct", 0, at, {1: True}).delivered(1, at + 1)
    assert [row["due"] for row in score.buckets(10, 3)] == [1, 2, 1]
