"""Faults put into meshd on purpose: the checkers must see each, and nothing without one.

Each mutant is applied by monkeypatch to a small world under the quick stand-ins for cryptography;
which checker sees it is part of the test, so that none is found by luck.
"""

from base64 import b64encode
from itertools import count

import pytest

from meshd.core.crypto import TAG_LEN
from meshd.core.events import Notice, Transmit
from meshd.core.ids import ALL_NODES
from meshd.core.limits import MESHD_PORT
from meshd.neighbour import table as neighbours
from meshd.routing import chooser
from meshd.routing.announce import Announcer
from meshd.routing.learn import Learner
from meshd.routing.lesson import Lesson
from meshd.routing.requests import Requests
from meshd.routing.source import SourceTable
from meshd.routing.table import Route
from meshd.session.noise import Cipher
from meshd.simulation.checks import all_checkers
from meshd.simulation.checks.nonces import watched
from meshd.simulation.crypto import primitives
from meshd.simulation.faults import attacks
from meshd.simulation.plan.plan import Fault, Plan
from meshd.simulation.world import SECOND, World
from meshd.space import entries, keys, reading
from meshd.space.membership import MembershipLog
from meshd.space.record import SpaceRecord
from meshd.space.space import Space
from meshd.space.spaces import Spaces
from meshd.space.verbs import Verbs
from meshd.store.memory import MemoryFiles
from meshd.sync.serving import Serving
from meshd.sync.wants import Wants
from meshd.wire.babel import SeqnoRequest
from meshd.wire.entry import Kind

END = Plan("mutant", duration_s=10, settle_s=10**6)


class Stage:
    """A world from its first microsecond, all checkers, and what they saw."""

    def __init__(self, plan=END):
        self.world = World(5)
        self.checkers = all_checkers(self.world, plan)
        for checker in self.checkers:
            self.world.watch(checker)

    def seen(self):
        for checker in self.checkers:
            checker.finished()
        return {checker.name for checker in self.checkers if checker.violations}


def camp(role="writer", plan=END):
    """A line of four with one space; the last may be less than a writer."""
    stage = Stage(plan)
    world = stage.world
    hosts = world.add_line(4)
    assert world.run_until(world.connected, 10 * SECOND)
    hosts[0].ask("space.create", name="camp")
    for host, rank in zip(hosts[1:], ("writer", "writer", role), strict=True):
        url = hosts[0].ask("invite", space="camp", role=rank)["url"]
        host.request("join", url=url)
        world.run(2 * SECOND)
    world.run(2 * SECOND)
    return stage, hosts


def talk(role="writer"):
    """Everybody who may posts, a card is rolled back and posts again."""
    stage, hosts = camp(role)
    for number in range(9):
        text = f"what {hosts[number % 3].name} has to say: {number}"
        hosts[number % 3].request("post", space="camp", text=text)
        stage.world.run(SECOND)
    stage.world.run(60 * SECOND)
    return stage


def relayed():
    return talk("relay")


def hostile(behaviour, role):
    order = Fault("hostile", 0, 50, nodes="n3", behaviour=behaviour)
    stage, hosts = camp(role, Plan("mutant", duration_s=80, settle_s=10**6, faults=(order,)))
    begun = attacks.begin(stage.world, hosts[3], order)
    stage.world.run(15 * SECOND)
    begun.end()
    stage.world.run(5 * SECOND)
    return stage


def reader_usurps():
    return hostile("usurp", "reader")


def writer_usurps():
    return hostile("usurp", "writer")


def forger():
    return hostile("forge", "writer")


def unheard_loss():
    """The end of a line goes away while nobody behind the middle can be told so."""
    stage = Stage()
    world = stage.world
    hosts = world.add_line(4)
    world.run(60 * SECOND)
    hosts[3].crash()
    world.run(4 * SECOND)
    for _ in range(3):
        world.cut(hosts[0], hosts[1])
        world.run(14 * SECOND)
        world.link(hosts[0], hosts[1])
        world.run(9 * SECOND)
    world.run(250 * SECOND)
    return stage


def unasked_loss():
    """The same where nobody asks for what it lost, so that nobody is told what it did not hear."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Requests, "starve", lambda self, now: None)
        return unheard_loss()


def ring():
    """A ring that breaks, again and again: those behind the break must ask for new seqnos."""
    stage = Stage()
    world = stage.world
    hosts = world.add_line(6)
    world.link(hosts[5], hosts[0])
    world.run(40 * SECOND)
    for place in (0, 3, 5):
        one, other = hosts[place], hosts[(place + 1) % 6]
        world.cut(one, other)
        world.run(60 * SECOND)
        world.link(one, other)
        world.run(40 * SECOND)
    return stage


def files():
    """A file is put at one end and fetched at the other."""
    stage, hosts = camp()
    data = bytes(range(256)) * 40
    handle = hosts[0].store.files.lend(data)
    hosts[0].ask("put", space="camp", name="map", size=len(data), handle=handle)
    stage.world.run(5 * SECOND)
    hosts[2].request("get", space="camp", name="map", handle=hosts[2].store.files.lend())
    stage.world.run(30 * SECOND)
    return stage


def crowd():
    """One host shows some hundred faces."""
    order = Fault("hostile", 0, 50, nodes="n3", behaviour="identities", count=2_000)
    stage, hosts = camp("writer", Plan("mutant", duration_s=80, settle_s=10**6, faults=(order,)))
    begun = attacks.begin(stage.world, hosts[3], order)
    stage.world.run(6 * SECOND)
    begun.end()
    return stage


# --- the mutants ----------------------------------------------------------------------------------


def shout(monkeypatch, secret):
    """Let each post be followed by a datagram to all with something in it."""
    post = Verbs.post

    def loud(self, args, ticket, now):
        post(self, args, ticket, now)
        space = self._space(args)
        said = secret(self._spaces, space, str(args["text"]).encode())
        self._spaces.ctx.transmit(Transmit("w0", MESHD_PORT, ALL_NODES, said))

    monkeypatch.setattr(Verbs, "post", loud)


def wrapped(monkeypatch, owner, name, change):
    """Replace a function by `change(real)`."""
    monkeypatch.setattr(owner, name, change(getattr(owner, name)))


def session_nonce_constant(monkeypatch):
    monkeypatch.setattr(Cipher, "_nonce", lambda self: bytes(12))


def entry_nonce_constant(monkeypatch):
    monkeypatch.setattr(keys, "_nonce", lambda nonce_of: bytes(24))


def session_in_clear(monkeypatch):
    def encrypt(self, plaintext, data=b""):
        return bytes(plaintext) + bytes(TAG_LEN)

    monkeypatch.setattr(Cipher, "encrypt", encrypt)
    monkeypatch.setattr(Cipher, "decrypt", lambda self, sealed, data=b"": bytes(sealed[:-TAG_LEN]))


def third_post_replaced(monkeypatch):
    numbers = count(1)

    def change(write):
        def writing(self, draft, **more):
            if draft.kind == Kind.POST and next(numbers) % 3 == 0:
                draft = draft._replace(payload=draft.payload[:1] + b"x")
            return write(self, draft, **more)

        return writing

    wrapped(monkeypatch, Space, "write", change)


def third_text_shown_wrongly(monkeypatch):
    numbers = count(1)

    def change(put):
        return lambda item, text: put(item, "x" if next(numbers) % 3 == 0 else text)

    wrapped(monkeypatch, reading, "_put_text", change)


def third_text_not_shown(monkeypatch):
    numbers = count(1)

    def change(item):
        return lambda *args: None if next(numbers) % 3 == 0 else item(*args)

    wrapped(monkeypatch, reading, "_item", change)


def third_notice_swallowed(monkeypatch):
    numbers = count(1)

    def change(durable):
        def swallowing(self, *args, **more):
            durable(self, *args, **more)
            last = self.ctx.events[-1] if self.ctx.events else None
            if isinstance(last, Notice) and last.kind == "entry" and next(numbers) % 3 == 0:
                self.ctx.events.pop()

        return swallowing

    wrapped(monkeypatch, Spaces, "_durable", change)


def notice_doubled(monkeypatch):
    def change(durable):
        def doubling(self, *args, **more):
            durable(self, *args, **more)
            last = self.ctx.events[-1] if self.ctx.events else None
            if isinstance(last, Notice) and last.kind == "entry":
                self.ctx.emit(last)

        return doubling

    wrapped(monkeypatch, Spaces, "_durable", change)


def written_before_it_is(monkeypatch):
    def change(commit_own):
        def eager(self, space, author, taken, done):
            seq = commit_own(self, space, author, taken, None)
            if done is not None:
                self.ctx.timers.set(("space", "receipts", space.id), 0)
                done("", 0)
            return seq

        return eager

    wrapped(monkeypatch, Spaces, "commit_own", change)


def text_in_base64_on_the_air(monkeypatch):
    shout(monkeypatch, lambda spaces, space, text: b"debug:" + b64encode(b"post " + text))


def text_in_hex_on_the_air(monkeypatch):
    shout(monkeypatch, lambda spaces, space, text: text.hex().encode())


def epoch_key_on_the_air(monkeypatch):
    shout(monkeypatch, lambda spaces, space, text: space.keys.epoch_key)


def device_key_on_the_air(monkeypatch):
    shout(monkeypatch, lambda spaces, space, text: b"k" + spaces.identity.device_seed)


def text_in_the_clear_part(monkeypatch):
    def change(write):
        def writing(self, draft, **more):
            if draft.kind == Kind.POST:
                draft = draft._replace(clear=draft.payload)
            return write(self, draft, **more)

        return writing

    wrapped(monkeypatch, Space, "write", change)


def relay_keeps_the_key(monkeypatch):
    known = []

    def change(row):
        def keeping(self):
            if self.epoch_key is not None:
                known.append(self.epoch_key)
            return row(self._replace(epoch_key=known[-1] if known else None))

        return keeping

    wrapped(monkeypatch, SpaceRecord, "row", change)


def routes_never_expire(monkeypatch):
    monkeypatch.setattr(Learner, "expire", lambda self, now: now + 60 * SECOND)


def renewed_by_the_beginning(monkeypatch):
    def known(self, neighbour, data):
        memory = self.remembered.get(neighbour)
        leases = memory.leases.items() if memory is not None else ()
        return next((lease for kept, lease in leases if kept[4:20] == data[4:20]), None)

    monkeypatch.setattr(Learner, "known", known)


def nothing_let_go(monkeypatch):
    monkeypatch.setattr(Lesson, "_let_go", lambda self, prefix, lease: None)


def retractions_ignored(monkeypatch):
    monkeypatch.setattr(Lesson, "retraction", lambda self, retraction: None)


def lost_prefixes_not_held(monkeypatch):
    monkeypatch.setattr(chooser, "HOLD_US", 0)


def hops_never_fewer(monkeypatch):
    def change(unicast):
        return lambda self, neighbour, tlvs: unicast(self, neighbour, map(far, tlvs))

    def far(tlv):
        return tlv._replace(hop_count=64) if isinstance(tlv, SeqnoRequest) else tlv

    wrapped(monkeypatch, Announcer, "unicast", change)


def requests_repeated(monkeypatch):
    def change(unicast):
        def twice(self, neighbour, tlvs):
            tlvs = tuple(tlvs)
            if any(isinstance(tlv, SeqnoRequest) for tlv in tlvs):
                unicast(self, neighbour, tlvs)
            return unicast(self, neighbour, tlvs)

        return twice

    wrapped(monkeypatch, Announcer, "unicast", change)


def file_of_zeros(monkeypatch):
    def change(write):
        return lambda self, handle, offset, data: write(self, handle, offset, bytes(len(data)))

    wrapped(monkeypatch, MemoryFiles, "write", change)


def entries_not_passed_on(monkeypatch):
    monkeypatch.setattr(Wants, "claimed", lambda *args: None)
    monkeypatch.setattr(Serving, "forward", lambda *args: None)


def neighbours_without_end(monkeypatch):
    monkeypatch.setattr(neighbours, "NEIGHBOURS_PER_LINK_MAX", 10**6)


def all_is_feasible(monkeypatch):
    monkeypatch.setattr(SourceTable, "feasible", lambda *args: True)


def hops_cost_nothing(monkeypatch):
    monkeypatch.setattr(Route, "metric", property(lambda self: self.advertised))


def readers_may_write(monkeypatch):
    monkeypatch.setattr(Space, "_may", lambda *args: True)


def all_records_hold(monkeypatch):
    monkeypatch.setattr(MembershipLog, "_holds", lambda *args: True)


def signatures_not_checked(monkeypatch):
    monkeypatch.setattr(entries, "verify", lambda *args: True)


SEEN = [
    (session_nonce_constant, talk, "nonces"),
    (entry_nonce_constant, talk, "nonces"),
    (session_in_clear, talk, "secrecy"),
    (third_post_replaced, talk, "content"),
    (third_text_shown_wrongly, talk, "content"),
    (third_text_not_shown, talk, "content"),
    (third_notice_swallowed, talk, "told"),
    (notice_doubled, talk, "told"),
    (written_before_it_is, talk, "promises"),
    (text_in_base64_on_the_air, talk, "secrecy"),
    (text_in_hex_on_the_air, talk, "secrecy"),
    (epoch_key_on_the_air, talk, "secrecy"),
    (device_key_on_the_air, talk, "secrecy"),
    (text_in_the_clear_part, talk, "secrecy"),
    (relay_keeps_the_key, relayed, "secrecy"),
    (routes_never_expire, unasked_loss, "hearsay"),
    (renewed_by_the_beginning, unheard_loss, "hearsay"),
    (nothing_let_go, unasked_loss, "hearsay"),
    (retractions_ignored, unheard_loss, "retractions"),
    (lost_prefixes_not_held, unheard_loss, "hearsay"),
    (hops_never_fewer, ring, "requests"),
    (requests_repeated, ring, "requests"),
    (file_of_zeros, files, "promises"),
    (entries_not_passed_on, talk, "promises"),
    (all_is_feasible, ring, "feasibility"),
    (all_is_feasible, ring, "loops"),
    (neighbours_without_end, crowd, "bounds"),
    (hops_cost_nothing, ring, "feasibility"),
    (readers_may_write, reader_usurps, "rights"),
    (all_records_hold, writer_usurps, "rights"),
    (signatures_not_checked, forger, "rights"),
]


def saw(scene):
    with primitives("stand-in"), watched() as nonces:
        stage = scene()
        found = stage.seen()
    return found | ({"nonces"} if nonces.repeated else set())


@pytest.mark.parametrize(
    "scene", sorted({scene for _, scene, _ in SEEN}, key=lambda one: one.__name__)
)
def test_nothing_is_seen_where_nothing_is_wrong(scene):
    assert saw(scene) == set()


@pytest.mark.parametrize(
    ("mutant", "scene", "checker"), SEEN, ids=[f"{row[0].__name__}-{row[2]}" for row in SEEN]
)
def test_mutant_is_seen(monkeypatch, mutant, scene, checker):
    mutant(monkeypatch)
    assert checker in saw(scene)
