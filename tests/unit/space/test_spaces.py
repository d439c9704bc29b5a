"""Spaces from end to end on devices in one process: create, join, post, deliver, restart, fail."""

from devices.space_devices import SECOND, Device, founder, join, joined, meet

from meshd.space.feed import EntryApplied, EntryDurable, SpaceAdded
from meshd.store.sqlite import SqliteStore


def test_post_is_read_by_who_joined():
    anna = founder()
    ben = joined("ben", anna)
    anna.ask("post", space="home", text="hello")
    ben.ask("post", space="home", text="and to you")
    meet(anna, ben)
    assert sorted(anna.texts()) == sorted(ben.texts()) == ["and to you", "hello"]
    assert anna.space().log.digest() == ben.space().log.digest()


def test_join_works_while_the_inviter_is_away():
    anna = founder()
    ben = joined("ben", anna)
    url = anna.ask("invite", space="home", role="writer").value["url"]
    anna.ask("post", space="home", text="before I leave")
    meet(anna, ben)
    carl = Device("carl")
    join(carl, ben, url)
    meet(ben, carl)
    assert carl.texts() == ["before I leave"]
    carl.ask("post", space="home", text="I am in")
    meet(ben, carl)
    meet(ben, anna)
    assert "I am in" in anna.texts()
    names = {member["name"] for member in anna.ask("space.members", space="home").value["members"]}
    assert names == {"anna", "ben", "carl"}


def test_reply_and_event_wait_for_the_disk():
    anna = founder()
    anna.events.clear()
    anna.held = True
    assert anna.ask("post", space="home", text="soon") is None
    assert not [event for event in anna.events if isinstance(event, EntryApplied | EntryDurable)]
    anna.commit()
    anna.run()
    durable = [event for event in anna.events if isinstance(event, EntryDurable)]
    assert [(event.own, event.seq) for event in durable] == [(True, 2)]
    assert list(anna.replies.values())[-1].value["state"] == "written"


def test_created_space_is_told_once_it_is_on_disk():
    anna = founder()
    assert [event.space for event in anna.events if isinstance(event, SpaceAdded)] == [
        anna.space().id
    ]


def test_message_is_delivered_when_its_receipt_came_back():
    anna = founder()
    ben = joined("ben", anna)
    meet(anna, ben)
    anna.ask("post", space="home", text="for you", to="ben")
    meet(anna, ben)
    assert anna.log()[-1]["delivered"] is False
    ben.wait(SECOND)
    meet(anna, ben)
    assert anna.log()[-1]["delivered"] is True
    assert len(anna.kinds("delivered")) == 1


def test_relay_carries_and_reads_nothing():
    anna = founder()
    relay = joined("relay", anna, role="relay")
    anna.ask("post", space="home", text="a secret of ours")
    meet(anna, relay)
    space = relay.spaces.all()[0]
    assert space.carries_only and space.role == "relay" and not space.name
    kept = b"".join(relay.store.metas.values()) + b"".join(
        data for feed in relay.store.entries.values() for data in feed.values()
    )
    key = anna.space().keys.epoch_key
    for secret in (b"a secret of ours", b"anna", b"home", key, key.hex().encode()):
        assert secret not in kept
    assert relay.log(space.text_id)[0]["sealed"] > 0


def test_restart_goes_on_with_the_store_on_disk(tmp_path):
    store = SqliteStore(tmp_path)
    anna = founder(store=store)
    ben = joined("ben", anna)
    anna.ask("post", space="home", text="for ben", to="ben")
    store.close()
    anna.store = SqliteStore(tmp_path)
    anna.start()
    space = anna.space()
    assert space.feeds[space.author].seq == 4 and space.log.rank(ben.space().author) == 2
    (entry,) = anna.log()
    assert entry["text"] == "for ben" and entry["delivered"] is False
    assert anna.ask("post", space="home", text="on").value["seq"] == 5
    anna.store.close()


def test_restart_goes_on_where_it_stopped():
    anna = founder()
    ben = joined("ben", anna)
    anna.ask("post", space="home", text="one")
    meet(anna, ben)
    for device in (anna, ben):
        before = device.space().log.digest()
        heads = device.space().feeds
        device.start()
        assert device.space().feeds == heads
        assert device.space().log.digest() == before
    anna.ask("post", space="home", text="two")
    meet(anna, ben)
    assert ben.texts() == ["one", "two"]
