"""The serial line takes its time."""

from meshd.simulation.modems.line import PIECE_BYTES, SerialLine
from meshd.simulation.schedule import Schedule


def line(baud):
    schedule = Schedule(1)
    host, modem = [], []
    return schedule, host, modem, SerialLine(schedule, baud, host=host.append, modem=modem.append)


def test_ten_bits_a_byte():
    schedule, host, _, serial = line(9_600)
    serial.to_host(bytes(255))
    schedule.run(265_000)
    assert sum(map(len, host)) < 255
    schedule.run(1_000)
    assert b"".join(host) == bytes(255) and max(map(len, host)) == PIECE_BYTES


def test_both_directions_at_once():
    schedule, host, modem, serial = line(115_200)
    serial.to_host(b"up")
    serial.to_modem(b"down")
    serial.to_modem(b"!")
    schedule.run(500)
    assert (b"".join(host), b"".join(modem)) == (b"up", b"down!")


def test_plug_pulled_out_loses_what_is_on_the_way():
    schedule, host, _, serial = line(115_200)
    serial.to_host(b"lost")
    serial.unplug()
    serial.to_host(b"too")
    schedule.run(1_000_000)
    assert host == []
