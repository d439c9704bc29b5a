"""The daemon's own Node under virtual time: spaces, joins, relays, crashes, forks, files."""

from random import Random

import pytest
from worlds.camp import camp

from meshd.simulation.host import Host
from meshd.simulation.world import SECOND, World


def texts(host: Host, space: str = "camp") -> list[str]:
    found = host.ask("log", space=space, limit=500)["entries"]
    assert isinstance(found, list)
    return sorted(str(entry["text"]) for entry in found if "text" in entry)


def test_note_crosses_four_hops_within_a_fifth_of_a_second():
    world = World(1)
    hosts = camp(world, 5)
    begun = world.now
    hosts[0].ask("post", space="camp", text="water at the school")
    assert world.run_until(lambda: "water at the school" in texts(hosts[4]), 10 * SECOND)
    assert world.now - begun <= SECOND // 5


def test_relay_holds_no_plaintext_and_no_key():
    world = World(2)
    hosts = camp(world, 3)
    hosts[0].ask("post", space="camp", text="the secret of the well")
    assert world.run_until(lambda: texts(hosts[2]) != [], 10 * SECOND)
    relay = hosts[1].store
    disk = b"".join(
        [
            *relay.metas.values(),
            *(data for feed in relay.entries.values() for data in feed.values()),
        ]
    )
    assert len(disk) > 500
    assert b"secret of the well" not in disk
    assert b"camp" not in disk


def test_halves_edit_apart_and_are_equal_after_healing():
    world = World(3)
    hosts = camp(world, 5)
    world.cut(hosts[2], hosts[3])
    for number in range(5):
        hosts[0].ask("post", space="camp", text=f"west {number}")
        hosts[4].ask("post", space="camp", text=f"east {number}")
    world.run(30 * SECOND)
    assert len(texts(hosts[0])) == len(texts(hosts[4])) == 5
    world.link(hosts[2], hosts[3])
    assert world.run_until(lambda: len(texts(hosts[0])) == 10, 60 * SECOND)
    assert world.run_until(lambda: texts(hosts[4]) == texts(hosts[0]), 60 * SECOND)


def test_join_works_while_the_inviter_is_away():
    world = World(4)
    hosts = camp(world, 3)
    url = hosts[0].ask("invite", space="camp", role="writer")["url"]
    world.run(5 * SECOND)
    newcomer = world.add_host("newcomer")
    hosts[0].crash()
    world.link(hosts[2], newcomer)
    world.run(2 * SECOND)
    newcomer.ask("join", url=url)
    newcomer.ask("post", space="camp", text="hello from me")
    assert world.run_until(lambda: "hello from me" in texts(hosts[2]), 10 * SECOND)


@pytest.mark.parametrize("seed", range(10))
def test_what_was_called_written_survives_any_crash(seed):
    world = World(seed)
    hosts = camp(world, 3)
    rng = Random(seed)
    written: list[str] = []
    asked: dict[int, tuple[Host, str]] = {}
    for number in range(30):
        writer = hosts[rng.choice((0, 2))]
        if writer.running:
            text = f"note {number}"
            asked[writer.request("post", space="camp", text=text) + 1_000_000 * writer.number] = (
                writer,
                text,
            )
        world.run(rng.randrange(SECOND // 20))
        for ticket in list(asked):
            host, text = asked[ticket]
            reply = host.replies.get(ticket % 1_000_000)
            if reply is not None and reply.value is not None:
                written.append(text)
                del asked[ticket]
        victim = rng.choice(hosts)
        if rng.random() < 0.3 and victim.running:
            victim.crash()
            world.run(rng.randrange(SECOND))
            victim.start()
    assert written, f"seed {seed}"
    assert world.run_until(
        lambda: set(written) <= set(texts(hosts[0])) & set(texts(hosts[2])), 120 * SECOND
    ), f"seed {seed}: {set(written) - set(texts(hosts[0]))} {set(written) - set(texts(hosts[2]))}"


def test_copied_card_is_found_and_named():
    world = World(6)
    hosts = camp(world, 3)
    hosts[2].ask("post", space="camp", text="before the copy")
    world.run(SECOND)
    copy = {key: dict(feed) for key, feed in hosts[2].store.entries.items()}
    metas = dict(hosts[2].store.metas)
    world.cut(hosts[1], hosts[2])
    hosts[2].ask("post", space="camp", text="by the first")
    world.link(hosts[1], hosts[2])
    assert world.run_until(lambda: "by the first" in texts(hosts[0]), 30 * SECOND)
    hosts[2].crash()
    hosts[2].store.entries = copy
    hosts[2].store.metas = metas
    world.cut(hosts[1], hosts[2])
    hosts[2].start()
    hosts[2].ask("post", space="camp", text="by the copy")
    world.link(hosts[1], hosts[2])
    world.run(60 * SECOND)
    assert world.notices("fork"), "nobody named the fork"
    assert "by the first" in texts(hosts[0])


def test_file_put_on_one_end_is_got_on_the_other():
    world = World(8)
    hosts = camp(world, 5)
    data = Random(8).randbytes(3_000_000)
    handle = hosts[0].store.files.lend(data)
    hosts[0].ask("put", space="camp", name="map.bin", size=len(data), handle=handle)
    world.run(SECOND)
    target = hosts[4].store.files.lend()
    begun = world.now
    hosts[4].ask("get", space="camp", name="map.bin", handle=target)
    assert bytes(hosts[4].store.files.lent[target]) == data
    assert world.now - begun < 5 * SECOND


def test_kept_by_counts_anew_after_a_restart_as_relays_tell_it_again():
    """It is not written to disk: what a relay holds, it says whenever it meets the author."""
    world = World(17)
    hosts = camp(world, 3)
    hosts[0].ask("post", space="camp", text="who keeps this?")
    world.run(2 * SECOND)

    def kept() -> object:
        entries = hosts[0].ask("log", space="camp", limit=500)["entries"]
        assert isinstance(entries, list)
        return [entry["kept"] for entry in entries if "text" in entry]

    assert kept() == [1]
    hosts[0].crash()
    hosts[1].crash()
    world.run(5 * SECOND)
    hosts[0].start()
    world.run(5 * SECOND)
    assert kept() == [0]
    hosts[1].start()
    assert world.run_until(lambda: kept() == [1], 30 * SECOND)
