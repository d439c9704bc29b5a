"""The emulated Meshtastic radio, judged by the client that its vendor's project publishes.

Two emulated radios on one air, each behind a pseudo-terminal; the client on both, or on one with
meshd's own dialect on the other. The client's events hold their listeners weakly, so listeners here
are methods of an object that lives.
"""

import threading
import time

import pytest
import serial
from meshtastic.serial_interface import SerialInterface
from pubsub import pub
from radios.boards import LIMIT_S, Radios

from meshd.core.airtime import Modulation
from meshd.radio.meshtastic.modem import Meshtastic
from meshd.radio.meshtastic.plan import LoraSettings
from meshd.radio.modem import Configured, Heard, RadioPlan, Sent
from meshd.radio.protobuf import Message
from meshd.simulation.media.lora import RadioSetting

PRIVATE_APP = 256
PLAN = RadioPlan(868_100_000, Modulation(7, 500_000), 14)
OWNERS = RadioSetting(PLAN.modulation, PLAN.frequency_hz, float(PLAN.tx_dbm))
"""Quick, so that the test is."""


class Listener:
    """Keeps the packets of the private port that a client received."""

    def __init__(self, interface):
        self._interface = interface
        self._packets = []
        self._news = threading.Condition()
        pub.subscribe(self._heard, "meshtastic.receive.data.PRIVATE_APP")

    def _heard(self, packet, interface):
        if interface is self._interface:
            with self._news:
                self._packets.append(packet)
                self._news.notify_all()

    def wait(self):
        """Return the next packet."""
        with self._news:
            assert self._news.wait_for(lambda: self._packets, LIMIT_S), "nothing came"
            return self._packets.pop(0)


@pytest.fixture
def ports(tmp_path):
    return tmp_path / "one", tmp_path / "other"


@pytest.fixture
def radios(ports):
    made = Radios(*ports, setting=OWNERS)
    yield made
    made.close()


def connect(port):
    return SerialInterface(devPath=str(port), timeout=int(LIMIT_S))


def until(condition):
    """Wait for what another thread will do."""
    end, pause = time.monotonic() + LIMIT_S, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        pause.wait(0.01)


def test_client_connects_sends_and_receives(ports, radios):
    with connect(ports[0]) as one, connect(ports[1]) as other:
        emulator = radios.placed[0].emulator
        assert one.myInfo.my_node_num == emulator.number
        assert one.localNode.localConfig.lora.modem_preset == 8
        assert one.localNode.localConfig.device.role == 1  # CLIENT_MUTE
        assert one.metadata.firmware_version.startswith("2.7")
        for sender, hearer in ((one, other), (other, one)):
            listener = Listener(hearer)
            for payload in (b"\x00", b"frame \xff\r\n", bytes(231)):
                sender.sendData(payload, portNum=PRIVATE_APP, hopLimit=0)
                packet = listener.wait()
                assert packet["decoded"]["payload"] == payload
                assert packet["from"] == sender.myInfo.my_node_num
                assert packet["rxRssi"] < 0
                assert packet["rxSnr"] > 0


def test_client_counts_the_queue(ports, radios):
    """The client believes queue reports: more packets than the queue holds go out all the same."""
    with connect(ports[0]) as one, connect(ports[1]) as other:
        listener = Listener(other)
        for number in range(18):
            one.sendData(bytes((number,)), portNum=PRIVATE_APP, hopLimit=0)
        heard = [listener.wait()["decoded"]["payload"][0] for _ in range(18)]
        assert heard == list(range(18))


def test_client_sets_the_radio(ports, radios):
    """The owner's application sets region and preset; the radio restarts and holds them."""
    with connect(ports[0]) as one:
        lora = one.localNode.localConfig.lora
        lora.use_preset, lora.modem_preset, lora.region = True, 6, 1
        lora.override_frequency = 0
        one.localNode.writeConfig("lora")
        emulator = radios.placed[0].emulator
        until(lambda: emulator.radio.setting.modulation.bandwidth_hz == 250_000)
    with connect(ports[0]) as one:
        assert one.localNode.localConfig.lora.modem_preset == 6
        told = LoraSettings.read(Message.decode(lora.SerializeToString()), "")
    setting = emulator.radio.setting
    assert setting.modulation[:3] == (7, 250_000, 1)
    assert told.frequencies_hz(250_000) == {setting.frequency_hz}


def test_client_stands_console_text(ports):
    radios = Radios(*ports, setting=OWNERS, faults=("console",))
    try:
        with connect(ports[0]) as one, connect(ports[1]) as other:
            listener = Listener(other)
            one.sendData(b"through", portNum=PRIVATE_APP, hopLimit=0)
            assert listener.wait()["decoded"]["payload"] == b"through"
    finally:
        radios.close()


class Driver:
    """meshd's dialect on a real port, driven by hand."""

    def __init__(self, port):
        self._port = serial.Serial(str(port), 115_200, timeout=0.01)
        self.modem = Meshtastic(PLAN)
        self.modem.open(self._now())

    @staticmethod
    def _now():
        return time.monotonic_ns() // 1_000

    def wait(self, kind):
        """Drive until the modem tells of something."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            while (data := self.modem.poll_write()) is not None:
                self._port.write(data)
            while (event := self.modem.poll_event()) is not None:
                if isinstance(event, kind):
                    return event
            if data := self._port.read(512):
                self.modem.receive(data, self._now())
            self.modem.handle_timeout(self._now())
        raise AssertionError(f"no {kind.__name__}")

    def transmit(self, frame):
        self.modem.transmit(frame, self._now())

    def close(self):
        self._port.close()


def test_our_dialect_and_their_client_understand_each_other(ports, radios):
    ours = Driver(ports[0])
    try:
        assert ours.wait(Configured).plan.modulation == PLAN.modulation._replace(preamble=16)
        with connect(ports[1]) as theirs:
            listener = Listener(theirs)
            ours.transmit(b"from meshd")
            ours.wait(Sent)
            assert listener.wait()["decoded"]["payload"] == b"from meshd"
            theirs.sendData(b"from theirs", portNum=PRIVATE_APP, hopLimit=0)
            heard = ours.wait(Heard)
            assert heard.frame == b"from theirs"
            assert heard.rssi_dbm < 0 < heard.snr_db
    finally:
        ours.close()
