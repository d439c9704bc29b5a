"""Direct messages of whole nodes, over modelled LoRa radios and cables, in virtual time."""

import pytest
from devices.letter_net import told_texts
from radios.camp import Camp
from radios.mesh import SF7, Mesh

from meshd.config.regions import law_of
from meshd.core.drops import DropReason
from meshd.core.ids import node_text
from meshd.simulation.lora.port import LoraPort
from meshd.simulation.media.lora import LoraAir, RadioSetting
from meshd.simulation.world import SECOND, World
from meshd.wire.lora_frame import FrameKind
from meshd.wire.lora_payload import encode
from meshd.wire.lora_routes import Answer, Direct


class Line(Mesh):
    """Hosts in a row, each in earshot of the next ones only."""

    def __init__(self, count, *, seed=1):
        super().__init__(count, seed=seed)
        for near, host in enumerate(self.hosts):
            for other in self.hosts[near + 2 :]:
                self.cut.add(frozenset((host.name, other.name)))
        self.dead = set()
        self.a, self.z = self.hosts[0], self.hosts[-1]

    def loss_db(self, sender, hearer):
        gone = {sender.name, hearer.name} & self.dead
        return 999.0 if gone else super().loss_db(sender, hearer)

    def ready(self, limit_s=600):
        """Let time pass until both ends know a way to each other."""
        ends = ((self.a, self.z), (self.z, self.a))

        def known():
            return all(one.node.messages.carriage.thin(two.node.id) for one, two in ends)

        assert self.world.run_until(known, limit_s * SECOND)

    def say(self, text, *, limit_s=120):
        """Send a text from one end to the other; return after how many seconds it was shown."""
        begin, before = self.world.now, len(shown(self.z))
        self.a.request("message", node=node_text(self.z.node.id), text=text)
        arrived = self.wait(lambda: len(shown(self.z)) > before, limit_s)
        return (self.world.now - begin) / SECOND if arrived else None

    def silence(self, host, *, silent=True):
        """Put a host out of everybody's earshot, or back."""
        (self.dead.add if silent else self.dead.discard)(host.name)
        self.air.moved(host.lora.radio)

    def lose(self, share):
        """Let each frame be lost to each hearer with this chance."""
        chance = self.world.random("frames lost in a test")
        for host in self.hosts:
            heard = host.lora.radio.received
            host.lora.radio.received = lambda *frame, heard=heard: (
                heard(*frame) if chance.random() >= share else None
            )

    def wait(self, condition, limit_s):
        return self.world.run_until(condition, int(limit_s * SECOND))


class Islands(Line):
    """Four hosts in a row: the outer ones have cables to the inner ones, which have radios."""

    def __init__(self, *, seed=1):
        self.world = World(seed)
        self.dead, self.cut = set(), set()
        self.hosts = self.world.add_line(4)
        self.world.cut(self.hosts[1], self.hosts[2])
        self.air = LoraAir(self.world, self.loss_db)
        for host in self.hosts[1:3]:
            setting = RadioSetting(SF7, 869_525_000, 14.0)
            host.lora = LoraPort(host, self.air, setting, law=law_of("EU868"))
            host.lora.power_on()
        self.a, self.z = self.hosts[0], self.hosts[-1]


def shown(host):
    return told_texts(host.notices, host.node.messages)


def states(host):
    return [notice.fields["state"] for notice in host.notices if notice.kind == "message-state"]


def drops(host, reason):
    return sum(host.node.snapshot(host.now).drops.get(reason.value, {}).values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_first_text_between_neighbours_takes_less_than_a_second(seed):
    line = Line(2, seed=seed)
    line.ready()
    assert line.say("x" * 50) <= 1.0
    line.run(10)
    assert states(line.a) == ["sent", "delivered"]


@pytest.mark.parametrize("count", [3, 4])
def test_texts_and_echoes_go_two_and_three_hops_between_strangers(count):
    line = Line(count)
    line.ready()
    assert line.say("hello") is not None
    line.run(60)
    assert states(line.a) == ["sent", "delivered"] and shown(line.z) == ["hello"]
    value = line.a.ask("ping", node=node_text(line.z.node.id), count=2, limit_us=200 * SECOND)
    assert value["received"] == 2 and value["hops"] == count - 1 and value["medium"] == "lora"


def test_prekeys_go_by_lora_in_one_frame_each_and_no_letter_is_longer_for_them():
    camp = Camp(3, line=True)
    one, _, two = camp.hosts
    assert camp.world.run_until(lambda: told_to(one, two) and told_to(two, one), 3_600 * SECOND)
    assert 160 in {size for _, size, _ in camp.sent}
    camp.sent.clear()
    one.request("message", node=node_text(two.node.id), text="x" * 50)
    assert camp.world.run_until(lambda: "delivered" in states(one), 120 * SECOND)
    assert shown(two) == ["x" * 50]
    assert [row["keys"] for row in two.ask("messages")["messages"]] == ["prekeys"]
    assert {88, 29} <= {size for _, size, _ in camp.sent}


def told_to(host, other):
    return host.node.messages.prekeys.to_seal(other.node.id, host.now) is not None


def test_text_is_delivered_through_loss():
    line = Line(3)
    line.ready()
    line.lose(0.3)
    assert line.say("through noise", limit_s=900) is not None
    line.wait(lambda: "delivered" in states(line.a), 900)
    assert shown(line.z) == ["through noise"] and states(line.a)[-1] == "delivered"


def test_receiver_that_was_away_gets_the_text_when_it_is_back():
    line = Line(3)
    line.ready()
    line.say("first")
    line.run(10)
    line.silence(line.z)
    line.a.request("message", node=node_text(line.z.node.id), text="second")
    line.run(900)
    assert shown(line.z) == ["first"] and "delivered" not in states(line.a)[2:]
    line.silence(line.z, silent=False)
    assert line.wait(lambda: shown(line.z) == ["first", "second"], 8_000)
    assert line.wait(lambda: states(line.a).count("delivered") == 2, 100)


def test_written_text_outlives_the_power_of_its_sender():
    line = Line(2)
    line.ready()
    line.silence(line.z)
    line.a.ask("message", node=node_text(line.z.node.id), text="keep me")
    line.a.crash()
    line.a.start()
    line.run(30)
    line.silence(line.z, silent=False)
    assert line.wait(lambda: shown(line.z) == ["keep me"], 8_000)


def test_recording_played_after_both_ends_restarted_shows_nothing_again():
    line = Line(2)
    line.ready()
    heard = []
    tell = type(line.z.node.messages.carriage).radio_event
    line.z.node.messages.carriage.radio_event = lambda event, now: (
        heard.append(event),
        tell(line.z.node.messages.carriage, event, now),
    )
    line.say("once")
    line.run(10)
    for host in line.hosts:
        host.crash()
        host.start()
    line.run(60)
    for event in heard:
        if hasattr(event, "body"):
            line.z.input(line.z.node.messages.radio_event, event)
    line.run(60)
    assert shown(line.z) == ["once"]
    assert len([row for row in line.z.ask("messages")["messages"] if row["way"] == "in"]) == 1


def test_a_member_that_forges_answers_moves_no_state():
    line = Line(3)
    line.ready()
    line.say("let us know each other")
    line.run(30)
    forger = line.hosts[1].node
    mesh = forger.radios.meshes["lora0"]
    mesh.direct.forwarder.receive = lambda sender, heard, *, named, now: forge(mesh, heard, now)
    line.a.request("message", node=node_text(line.z.node.id), text="not delivered")
    line.run(900)
    assert states(line.a)[2:3] == ["sent"] and "delivered" not in states(line.a)[2:]
    assert shown(line.z) == ["let us know each other"]
    assert drops(line.a, DropReason.LETTER_FORGED) >= 1


def test_a_stranger_that_answers_each_message_at_once_at_the_relay_stops_none():
    line = Line(4)
    a, relay, z, stranger = line.hosts
    line.z = z
    line.cut ^= {frozenset((one.name, stranger.name)) for one in (a, relay, z)}
    for host in line.hosts:
        line.air.moved(host.lora.radio)
    line.ready()
    line.say("let us know each other")
    line.run(60)
    mesh, sender = stranger.node.radios.meshes["lora0"], stranger.node.radios.links["lora0"].sender

    def lie(_, heard, *, named, now):
        if isinstance(heard.item, Direct) and heard.item.origin == a.node.id[:2]:
            false = encode([Answer(heard.item.number, 0, bytes(8))])
            frame = sender.seal(
                FrameKind.ROUTED,
                false,
                hop_limit=7,
                next_hop=relay.node.id[:2],
                destination=a.node.id[:2],
            )
            lies.append(frame)
            stranger.lora.radio.transmit(frame, "lie")

    lies = []
    mesh.direct.forwarder.receive = lie
    for text in ("one", "two", "three"):
        assert line.say(text, limit_s=60) is not None
        assert line.wait(lambda: "delivered" in states(a)[-1:], 60)
        line.run(10)
    assert len(lies) >= 3
    assert drops(relay, DropReason.FRAME_UNTRUSTED) <= 1, "it is heard as any newcomer"


def forge(mesh, heard, now):
    """Answer every message as if its receiver had."""
    from meshd.forwarding.direct import Arrived

    if isinstance(heard.item, Direct):
        item = heard.item
        arrived = Arrived(item.origin, item.number, item.body, heard.destination)
        mesh.direct.forwarder.answer(arrived, b"forged!!", now)


@pytest.mark.parametrize("seed", [1, 2])
def test_text_and_echo_pass_between_two_islands_through_gateways_that_cannot_read(seed):
    islands = Islands(seed=seed)
    islands.ready()
    assert islands.say("over the gap") <= 5
    islands.run(30)
    assert states(islands.a) == ["sent", "delivered"] and shown(islands.z) == ["over the gap"]
    value = islands.a.ask("ping", node=node_text(islands.z.node.id), count=1)
    assert (value["received"], value["medium"], value["hops"]) == (1, "ip and lora", None)
    assert all(not shown(host) for host in islands.hosts[1:3])


def test_receiver_of_another_island_that_was_away_gets_the_text_when_it_is_back():
    islands = Islands()
    islands.ready()
    islands.say("first")
    islands.run(10)
    islands.z.crash()
    islands.a.request("message", node=node_text(islands.z.node.id), text="second")
    islands.run(400)
    assert "delivered" not in states(islands.a)[2:]
    islands.z.start()
    assert islands.wait(lambda: shown(islands.z) == ["first", "second"], 8_000)
    assert islands.wait(lambda: states(islands.a).count("delivered") == 2, 100)


def test_text_to_who_is_away_is_kept_by_the_neighbour_that_is_named_and_comes_from_it():
    camp = Camp(3, line=True)
    camp.run(600)
    writer, keeper, away = camp.hosts
    away.crash()
    camp.run(600)
    writer.ask("message", node=node_text(away.node.id), text="where are you?")

    def text():
        return writer.ask("messages")["messages"][0]

    assert camp.world.run_until(lambda: text()["state"] == "kept", 3_600 * SECOND)
    assert text()["kept_by"] == [node_text(keeper.node.id)]
    writer.crash()
    away.start()
    assert camp.world.run_until(lambda: shown(away) == ["where are you?"], 3_600 * SECOND)
