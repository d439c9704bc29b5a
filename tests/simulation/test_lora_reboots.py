"""A node by LoRa in a 1 % band whose power fails more often than once an hour."""

from radios.camp import Camp


def test_what_it_writes_arrives_in_each_of_many_boots():
    camp = Camp(2, frequency_hz=868_100_000)
    weak = camp.hosts[0]
    camp.run(600)
    for boot in range(4):
        for quarter in range(4):
            camp.post(0, f"hello {boot} {quarter}")
            camp.run(55 * 15)
        assert f"hello {boot} 3" in camp.texts(1)
        (radio,) = weak.node.snapshot(weak.now).radios
        assert radio.airtime_hour_ms < radio.airtime_hour_max_ms // 2
        weak.crash()
        camp.run(5)
        weak.start()
