"""What a node says of its own by radio where control has had its part of the hour."""

from radios.mesh import Mesh

from meshd.link.account import Share
from meshd.wire.lora_payload import Local, Sub


def test_who_wants_something_asks_as_own_data_when_control_has_had_its_part():
    mesh = Mesh(2)
    mesh.run(60)
    one, other = mesh.hosts
    radios, heard = one.node.radios, []
    other.node.radios.on_local[Sub.NEEDS] = lambda item, now: heard.append(item.body)
    band = radios.links["lora0"].band
    radios.hour.ledger._till(band).add(Share.CONTROL, band.airtime_us_max // 10, one.now)
    assert radios.say("lora0", Local(Sub.NEEDS, b"held"), one.now)
    mesh.run(60)
    assert heard == []
    assert radios.say("lora0", Local(Sub.NEEDS, b"wanted"), one.now, want=True)
    mesh.run(60)
    assert b"wanted" in heard
