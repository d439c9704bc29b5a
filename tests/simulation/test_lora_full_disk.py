"""A relay by LoRa whose disk takes nothing more: what it passes on for others, and what waits."""

import pytest
from radios.camp import MINUTE, Camp

from meshd.core.ids import node_text
from meshd.simulation.world import SECOND


def log(host):
    return [row["text"] for row in host.ask("log", space="camp")["entries"] if "text" in row]


def full(member):
    """A, B and C in a line by LoRa, and B's disk is full: `member` of the space, or a stranger."""
    camp = Camp(3, line=True, without=() if member else (1,))
    one, relay, other = camp.hosts
    camp.run(5 * MINUTE)
    relay.disk.failing.append(1.0)
    return camp, one, relay, other


@pytest.mark.parametrize("member", [True, False], ids=["member", "stranger"])
def test_texts_for_others_cross_a_relay_whose_disk_is_full(member):
    camp, one, _, other = full(member)
    sent = one.ask("message", node=node_text(other.node.id), text="over the roof")

    def delivered():
        rows = one.ask("messages", peek=True)["messages"]
        return [row["state"] for row in rows if row["number"] == sent["number"]] == ["delivered"]

    assert camp.world.run_until(delivered, 5 * MINUTE * SECOND)


@pytest.mark.parametrize("member", [True, False], ids=["member", "stranger"])
def test_posts_and_distress_cross_a_relay_whose_disk_is_full(member):
    camp, one, relay, other = full(member)
    one.ask("post", space="camp", text="water is here")
    assert camp.world.run_until(lambda: "water is here" in log(other), 10 * MINUTE * SECOND)
    one.ask("post", space="camp", text="help at the mill", distress=True)
    assert camp.world.run_until(lambda: "help at the mill" in log(other), 10 * MINUTE * SECOND)
    if member:
        relay.disk.failing.clear()
        there = {"water is here", "help at the mill"}
        assert camp.world.run_until(lambda: there <= set(log(relay)), 20 * MINUTE * SECOND)
