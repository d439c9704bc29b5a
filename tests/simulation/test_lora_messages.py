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


def unplug(host):
    host.input(host.node.radio_down, "lora0")


def plug(host, *, weaker_db=0):
    """Have the modem take frames, again or still, with this much less power."""
    link = host.node.radios.links["lora0"].radio
    host.input(host.node.radio_up, link._replace(tx_dbm=link.tx_dbm - weaker_db))


def forbid(host):
    plug(host, weaker_db=-40)


def replug_weaker(host):
    unplug(host)
    plug(host, weaker_db=1)


LOSSES = [unplug, replug_weaker, lambda host: plug(host, weaker_db=1), forbid]
LOSS_NAMES = ["away", "back and weaker", "weaker at once", "forbidden by law"]


def waits(host):
    return host.ask("messages", waiting=True)["messages"][0].get("waits", "")


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


def flying(line):
    """Have a text under way by LoRa, to who is out of earshot by now."""
    line.ready()
    line.run(60)
    line.silence(line.z)
    line.a.request("message", node=node_text(line.z.node.id), text="hello")
    line.run(8)
    assert states(line.a) == ["sent"] and waits(line.a) == ""


@pytest.mark.parametrize("lose", LOSSES, ids=LOSS_NAMES)
def test_text_under_way_goes_by_wifi_when_its_radio_goes_or_comes_back_another(lose):
    line = Line(2)
    flying(line)
    lose(line.a)
    assert not line.a.node.messages.carriage._parcels
    assert "tried again in" in waits(line.a)
    line.world.link(line.a, line.z)
    assert line.wait(lambda: states(line.a) == ["sent", "delivered"], 200)
    assert shown(line.z) == ["hello"]
    assert not line.a.node.messages.carriage._parcels


def test_text_under_way_goes_by_the_way_that_is_there_when_its_radio_goes():
    line = Line(2)
    flying(line)
    line.world.link(line.a, line.z)
    assert line.wait(lambda: line.a.node.messages.carriage.thin(line.z.node.id) is False, 200)
    assert states(line.a) == ["sent"]
    unplug(line.a)
    assert line.wait(lambda: states(line.a) == ["sent", "delivered"], 2)


def test_text_under_way_says_it_has_no_way_while_its_radio_is_away_and_leaves_when_it_is_back():
    line = Line(2)
    flying(line)
    unplug(line.a)
    assert waits(line.a).startswith("waits for a way to its receiver: there is none now")
    line.run(60)
    line.silence(line.z, silent=False)
    plug(line.a)
    assert line.wait(lambda: states(line.a) == ["sent", "delivered"], 300)


def test_text_that_was_with_the_modem_when_that_went_away_may_have_left():
    line = Line(2)
    line.ready()
    line.run(60)
    line.a.request("message", node=node_text(line.z.node.id), text="hello")
    link = line.a.node.radios.links["lora0"]
    assert line.wait(lambda: link.aloft and link.aloft.kind is FrameKind.ROUTED, 30)
    unplug(line.a)
    assert states(line.a) == ["sent"]
    ticket = line.a.request("message.cancel", number=1)
    line.run(1)
    assert "cannot be taken back" in line.a.replies[ticket].error


def test_gateway_whose_radio_goes_keeps_no_place_for_what_it_carried():
    islands = Islands()
    islands.ready()
    gateway = islands.hosts[1]
    islands.silence(islands.hosts[2])
    islands.a.request("message", node=node_text(islands.z.node.id), text="over the gap")
    carriage = gateway.node.messages.carriage
    assert islands.wait(lambda: carriage._to_lora, 60)
    unplug(gateway)
    assert not carriage._to_lora and not carriage._on_lora


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
