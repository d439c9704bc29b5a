"""A camp whose members know each other, with and without a radio of many identities among them."""

from typing import NamedTuple

from meshd.core.ids import node_text
from meshd.simulation.faults import attacks
from meshd.simulation.plan.plan import Fault
from meshd.simulation.world import SECOND, World

ROWS = COLUMNS = 3
ASK_EVERY_US = 500_000
ANSWER_US = 20 * SECOND


class Played(NamedTuple):
    """Shares of pings answered and of posts that came to every member; identities that came."""

    answered: float
    posted: float
    identities: int


def play(*, flooded: bool, seconds: int, identities: int, seed: int = 3) -> Played:
    """Let members talk for a while; the radio in the middle is the hostile one."""
    world = World(seed)
    hosts = world.add_grid(ROWS, COLUMNS)
    middle = hosts[len(hosts) // 2]
    assert world.run_until(world.connected, 10 * SECOND)
    members = [host for host in hosts if host is not middle]
    found(world, members)
    world.run(20 * SECOND)
    order = Fault("hostile", 0, seconds, behaviour="identities", count=identities)
    begun = attacks.begin(world, middle, order) if flooded else None
    asked, posts = [], []
    rng = world.random("who asks whom")
    for _ in range(seconds * SECOND // ASK_EVERY_US):
        one, other = rng.sample(members, 2)
        asked.append((one, one.request("ping", node=node_text(other.node.id), count=1)))
        posts.append((one, one.request("post", space="camp", text=f"the post of {world.now} µs")))
        world.run(ASK_EVERY_US)
    world.run(ANSWER_US)
    if begun is not None:
        begun.end()
    reached = getattr(begun, "_next", 0)
    answered = sum(_answered(host, ticket) for host, ticket in asked) / len(asked)
    posted = sum(_arrived(host, ticket, members) for host, ticket in posts) / len(posts)
    return Played(answered, posted, reached)


def found(world: World, members) -> None:
    """Make a space of all members."""
    members[0].ask("space.create", name="camp")
    url = members[0].ask("invite", space="camp", role="writer", uses=len(members))["url"]
    for host in members[1:]:
        host.ask("join", url=url)


def _answered(host, ticket: int) -> bool:
    reply = host.replies.get(ticket)
    return reply is not None and bool(reply.value and reply.value.get("rtt_ms"))


def _arrived(host, ticket: int, members) -> bool:
    value = host.replies[ticket].value if ticket in host.replies else None
    if value is None:
        return False
    author, seq = bytes.fromhex(str(value["author"])), value["seq"]
    return all(
        any(key[1] == author and seq in feed for key, feed in one.store.entries.items())
        for one in members
    )
