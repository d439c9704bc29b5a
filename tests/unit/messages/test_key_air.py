"""Keys that others ask for: a small part of the hour, one try, and no more than was asked for."""

from devices.letter_net import Net
from devices.space_devices import SECOND

from meshd.core import crypto
from meshd.core.drops import DropReason
from meshd.forwarding.radio_events import DirectArrived
from meshd.messages.key_air import BURST_MAX, PART, KeyAir
from meshd.wire.letters import Introduction

HOUR_US = 3600 * SECOND


class Radios:
    fits = 300

    def fits_hour(self, link, size, now):
        return self.fits


def key(number):
    return crypto.sign_public(crypto.digest(b"key %d" % number))


def ask(device, number, body, hops=1):
    origin = Introduction(key(number)).node[:2]
    device.tell(DirectArrived("lora0", origin, number, body, device.node[:2], hops))
    device.run()


def test_all_who_ask_get_a_twentieth_of_the_hour_together():
    air = KeyAir(Radios())
    allowed = sum(air.allow("w0", b"%d" % second, second * SECOND) for second in range(3600))
    assert Radios.fits // PART <= allowed <= Radios.fits // PART + BURST_MAX
    assert not KeyAir(type("Off", (), {"fits_hour": lambda *args: 0})()).allow("w0", b"a", 0)


def test_one_who_asks_gets_a_few_and_others_get_theirs():
    air = KeyAir(Radios())
    assert [air.allow("w0", b"one", at) for at in range(4)] == [True, True, False, False]
    assert air.allow("w0", b"other", 5)


def test_questions_for_the_key_cost_no_more_air_than_those_who_ask_spend():
    net = Net("a", "b", edges=[("a", "b", "lora")])
    victim = net["b"]
    net.run(60)
    asked = 0
    for number in range(60):
        sent = Introduction(key(number), wanted=True).encode()
        ask(victim, number, sent)
        ask(victim, number, b"junk of twelve bytes"[:12])
        asked += 2
        net.run(31)
    told = len(victim.once)
    assert 0 < told <= min(asked, 300 // PART + BURST_MAX)
    assert victim.once and victim.dropped(DropReason.LETTER_LIMITED) > 60


def test_who_asks_is_told_once_and_not_acknowledged_beside_that():
    net = Net("a", "b", edges=[("a", "b", "lora")])
    net.met = False
    tags = []
    net.answer = lambda end, arrived, tag: tags.append((end.name, tag))
    net["b"].tell(
        DirectArrived(
            "lora0",
            net["a"].node[:2],
            7,
            Introduction(net["a"].identity.public, wanted=True).encode(),
            net["b"].node[:2],
            1,
        )
    )
    net.run(300)
    assert [sender for sender, _, _ in net.frames] == ["b"] and tags == []
