"""Direct messages of whole nodes over cables, in virtual time: at once, kept, and after crashes."""

from devices.letter_net import told_texts
from worlds.camp import camp

from meshd.core.ids import node_text
from meshd.simulation.world import SECOND, World


def shown(host):
    return told_texts(host.notices, host.node.messages)


def states(host):
    return [notice.fields for notice in host.notices if notice.kind == "message-state"]


def words(host):
    return [fields["state"] for fields in states(host)]


def say(host, to, text):
    return host.ask("message", node=node_text(to.node.id), text=text)


def ends(seed, count=3):
    world = World(seed)
    first, *between, last = camp(world, count)
    return world, first, between, last


def test_text_crosses_four_hops_within_a_tenth_of_a_second_and_is_answered():
    world, first, _, last = ends(1, 5)
    begun = world.now
    say(first, last, "water at the school")
    assert world.run_until(lambda: words(first) == ["sent", "delivered"], 10 * SECOND)
    assert world.now - begun <= SECOND // 10 and shown(last) == ["water at the school"]


def keys(host):
    return [row["keys"] for row in host.ask("messages", peek=True)["messages"]]


def test_prekeys_go_through_a_blind_relay_and_protect_texts_before_and_after_crashes():
    world, first, (relay,), last = ends(5)
    say(first, last, "before")
    world.run(1_200 * SECOND)
    say(first, last, "after")
    world.run(5 * SECOND)
    for host in (first, last, relay):
        host.crash()
        host.start()
    world.run(60 * SECOND)
    say(first, last, "and again")
    assert world.run_until(lambda: len(shown(last)) == 3, 60 * SECOND)
    assert keys(first) == keys(last) == ["identity", "prekeys", "prekeys"]
    secrets = [host.node.messages.prekeys._newest()[0].secret for host in (first, last)]
    for host in world.hosts:
        rows = b"".join(host.store.metas.values())
        entries = b"".join(data for feed in host.store.entries.values() for data in feed.values())
        assert [secret in rows for secret in secrets] == [host is first, host is last]
        assert not any(secret in entries for secret in secrets)


def test_receiver_whose_card_is_put_back_gets_texts_and_is_told_anew():
    world, first, _, last = ends(6)
    world.run(1_200 * SECOND)
    say(first, last, "one")
    world.run(5 * SECOND)
    last.crash()
    for key in [key for key in last.store.metas if key.startswith("letter/own/")]:
        del last.store.metas[key]
    last.start()
    world.run(30 * SECOND)
    say(first, last, "two")
    assert world.run_until(lambda: words(first)[-1] == "delivered", 60 * SECOND)
    assert shown(last)[-1] == "two" and keys(first)[-1] == "identity"
    world.run(1_200 * SECOND)
    assert [notice.kind for notice in last.notices].count("prekey-lost") == 1
    say(first, last, "three")
    assert world.run_until(lambda: words(first).count("delivered") == 3, 60 * SECOND)
    assert keys(first)[-1] == "prekeys" and shown(last)[-1] == "three"


def test_text_to_who_is_away_is_kept_by_the_relay_that_is_named_and_delivered_by_the_entry():
    world, first, (relay,), last = ends(2)
    last.crash()
    world.run(60 * SECOND)
    say(first, last, "come by the bridge")
    assert world.run_until(lambda: "kept" in words(first), 120 * SECOND)
    (kept,) = [fields for fields in states(first) if fields["state"] == "kept"]
    assert kept["kept_by"] == [node_text(relay.node.id)]
    world.run(SECOND)  # until that is on the disk, too
    first.crash()
    last.start()
    assert world.run_until(lambda: shown(last) == ["come by the bridge"], 120 * SECOND)
    first.start()
    assert world.run_until(lambda: words(first)[-1] == "delivered", 120 * SECOND)
    row = first.ask("messages")["messages"][0]
    assert row["id"] == last.ask("messages")["messages"][0]["id"]
    assert row["kept_by"] == [node_text(relay.node.id)]


def test_text_and_state_outlive_any_crash_and_are_shown_once():
    world, first, _, last = ends(3)
    for turn in range(6):
        say(first, last, f"text {turn}")
        if turn % 2:
            world.run(turn * 3_000)
        victim = (first, last)[turn // 2 % 2]
        victim.crash()
        world.run(3 * SECOND)
        victim.start()
        world.run(20 * SECOND)
    wanted = [f"text {turn}" for turn in range(6)]

    def there():
        rows = last.ask("messages", peek=True)["messages"]
        return sorted(row["text"] for row in rows) == wanted

    assert world.run_until(there, 600 * SECOND)

    def delivered():
        rows = first.ask("messages", peek=True)["messages"]
        return all(row["state"] == "delivered" for row in rows)

    assert world.run_until(delivered, 600 * SECOND)
    assert sorted(shown(last)) == wanted


def test_copied_card_writes_too_and_both_texts_are_shown():
    world, first, _, last = ends(4)
    world.run(400 * SECOND)
    say(first, last, "before")
    world.run(5 * SECOND)
    first.crash()
    first.start("rolled-back")
    world.run(60 * SECOND)
    say(first, last, "after")
    assert world.run_until(lambda: shown(last) == ["before", "after"], 60 * SECOND)
    assert any(notice.kind == "message-twin" for notice in last.notices)
    assert world.run_until(lambda: words(first)[-1] == "delivered", 60 * SECOND)
