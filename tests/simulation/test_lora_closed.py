"""A closed mesh by LoRa: who lacks its key hears noise, and is heard as noise."""

from radios.intruder import Intruder, drops
from radios.mesh import Mesh, radio

from meshd.core.ids import node_text

OURS, THEIRS = bytes(range(32)), bytes(range(1, 33))


def closed(keys):
    """Return a mesh of hosts with a link key each; None is the open mesh's."""
    mesh = Mesh(len(keys))
    for host, key in zip(mesh.hosts, keys, strict=True):
        link = host.node.radios.links["lora0"].radio
        host.input(host.node.radio_up, link._replace(link_key=key))
    return mesh


def test_who_lacks_the_key_of_a_closed_mesh_neither_reads_nor_is_believed():
    mesh = closed([OURS, OURS, None, THEIRS])
    one, two, stranger, other = mesh.hosts
    bug = Intruder(mesh)
    mesh.run(120)
    assert mesh.known(one) == [node_text(two.node.id)]
    assert mesh.known(two) == [node_text(one.node.id)]
    assert mesh.known(stranger) == mesh.known(other) == []
    assert all(drops(host)["frame-foreign"] > 0 for host in mesh.hosts)
    public = one.identity.public
    assert bug.frames and not any(public in frame for frame in bug.frames)
    assert "key_file" in radio(one).protection and "open mesh" in radio(stranger).protection


def test_frames_of_a_closed_mesh_played_in_the_open_one_are_noise():
    ours, open_mesh = closed([OURS, OURS]), Mesh(2)
    bug, player = Intruder(ours), Intruder(open_mesh)
    ours.run(120)
    open_mesh.run(60)
    before = open_mesh.known(open_mesh.hosts[0])
    player.send(*bug.frames[:40])
    assert open_mesh.known(open_mesh.hosts[0]) == before
