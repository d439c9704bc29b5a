"""Spaces over LoRa in the simulator: the daemon's own node, its radio, the law and an air."""

from itertools import pairwise

from radios.camp import MINUTE, Camp


def test_post_arrives_over_two_hops_and_is_answered():
    camp = Camp(3, line=True)
    camp.run(10 * MINUTE)
    for number, text in ((0, "all well at the hut"), (2, "good to hear")):
        camp.post(number, text)
        assert camp.until_same(5 * MINUTE) < 60
    camp.run(1)
    assert camp.texts(0) == camp.texts(2) == ["all well at the hut", "good to hear"]


def test_host_that_was_off_for_an_hour_catches_up():
    camp = Camp(2)
    camp.run(10 * MINUTE)
    camp.hosts[1].crash()
    for number in range(6):
        camp.post(0, f"text {number}")
        camp.run(10 * MINUTE)
    camp.hosts[1].start()
    camp.until_same(15 * MINUTE)


def test_copies_are_not_sent_twice():
    camp = Camp(5)
    camp.run(20 * MINUTE)
    begin = len(camp.sent)
    camp.post(0, "x" * 60)
    camp.until_same(5 * MINUTE)
    camp.run(10 * MINUTE)
    assert len([size for _, size, _ in camp.sent[begin:] if size >= 180]) == 1


def test_halves_that_were_apart_have_all_after_they_meet():
    camp = Camp(4, line=True)
    camp.run(10 * MINUTE)
    camp.apart((1, 2))
    for number in range(3):
        for host in range(4):
            camp.post(host, f"{host} says {number}")
            camp.run(2 * MINUTE)
    camp.together((1, 2))
    camp.until_same(90 * MINUTE)


def test_post_passes_from_a_hut_to_a_host_three_wifi_hops_behind_the_gateway_and_back():
    camp = Camp(2, more=3)
    chain = camp.hosts[1:]
    for one, other in pairwise(chain):
        camp.world.link(one, other)
    camp.run(10 * MINUTE)
    camp.post(0, "from the hut")
    assert camp.until_same(5 * MINUTE) < 60
    camp.post(4, "from the town")
    assert camp.until_same(5 * MINUTE) < 90
    camp.run(1)
    assert camp.texts(0) == camp.texts(4) == ["from the hut", "from the town"]


def test_message_is_delivered_over_two_hops_by_a_signed_receipt():
    camp = Camp(3, line=True)
    camp.run(10 * MINUTE)
    to = camp.hosts[2].node.snapshot(0).node
    seq = camp.hosts[0].ask("post", space="camp", text="are you there?", to=to)["seq"]
    asked = {"space": "camp", "seq": seq, "delivered": True, "to": to, "timeout_s": 240}
    reply = camp.hosts[0].ask("wait", limit_us=240_000_000, **asked)
    assert to in reply["delivered_to"]


def test_member_behind_a_host_without_the_space_gets_posts_and_catches_up():
    camp = Camp(3, line=True, without=(1,))
    camp.run(60 * MINUTE)
    camp.post(0, "over a stranger")
    assert camp.until_same(5 * MINUTE) < 60
    camp.hosts[2].crash()
    for number in range(3):
        camp.post(0, f"text {number}")
        camp.run(25 * MINUTE)
    camp.hosts[2].start()
    camp.until_same(60 * MINUTE)


def test_what_was_written_while_the_radio_was_unplugged_goes_out_soon_after_it_is_back():
    camp = Camp(2, seed=2)
    camp.run(120 * MINUTE)
    host = camp.hosts[0]
    link = host.node.radios.links["lora0"].radio
    host.input(host.node.radio_down, "lora0")
    camp.run(2 * MINUTE)
    camp.post(0, "written unplugged")
    camp.run(20 * MINUTE)
    host.input(host.node.radio_up, link)
    assert camp.until_same(10 * MINUTE) < 120


def test_a_call_for_help_comes_before_the_texts_that_wait():
    camp = Camp(3, seed=2)
    camp.run(10 * MINUTE)
    for number in range(12):
        camp.post(0, f"text {number} " + "x" * 90)
    camp.run(1)
    camp.post(1, "flood at the mill", distress=True)
    reader = camp.hosts[2]

    def called():
        entries = reader.ask("log", space="camp")["entries"]
        return any(entry["kind"] == "distress" for entry in entries)

    assert camp.world.run_until(called, 30 * 1_000_000)
    assert len(camp.texts(2)) < 10
    camp.until_same(10 * MINUTE)


def test_who_was_off_gets_a_call_for_help_soon_after_it_is_back():
    camp = Camp(2)
    camp.run(20 * MINUTE)
    camp.hosts[1].crash()
    camp.run(1)
    camp.post(0, "flood at the mill", distress=True)
    camp.run(20)
    camp.hosts[1].start()
    assert camp.until_same(MINUTE) < 45
