"""Whole daemons on hosts that fail them: interfaces, ports, disks, rights, their own state."""

import re
import shutil
import socket

import pytest
from daemons.faulty import (
    Boxed,
    busy,
    call,
    host_state,
    kernel_routes,
    problems,
    ready,
    refused_run,
)

from meshd.core.errors import Exit, RequestError
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.lab.daemons import MESHD, CommandError, Daemon, wait_for

pytestmark = pytest.mark.netns

WITHIN_S = 60


@pytest.fixture
def pair(lab):
    """Two daemons that hear each other."""
    nodes = [lab.node("one"), lab.node("two")]
    lab.line(nodes)
    daemons = [Daemon(node) for node in nodes]
    ready(*daemons)
    return daemons


def routed(daemon, other):
    """Wait for the kernel's route from one daemon to the other."""
    return wait_for(lambda: other.address in kernel_routes(daemon.place), WITHIN_S)


# --- interfaces -----------------------------------------------------------------------------------


def test_interface_missing_then_there_then_gone_then_another(lab):
    one, two = (lab.node(name, radio=False) for name in ("one", "two"))
    left, right = (
        Daemon(one, options=["--interface", "to-two:mesh"]),
        Daemon(two, options=["--interface", "to-one:mesh"]),
    )
    ready(left, right)
    missing = problems(left)["link-missing"]
    assert "to-two" in missing["text"]
    assert "ip -br link" in missing["remedy"]
    indices = set()
    for _ in range(2):
        lab.wire(one, two)
        assert routed(left, right), left.log_end()
        assert routed(right, left), right.log_end()
        assert not problems(left)
        indices.add(one.run(["ip", "-o", "link", "show", "to-two"]).stdout.split(":")[0])
        one.ip("link del to-two")
        assert wait_for(lambda: "link-missing" in problems(left), WITHIN_S)
        assert wait_for(lambda: right.address not in kernel_routes(one), WITHIN_S)
        assert call(left, "neighbours")["neighbours"] == []
    assert len(indices) == 2


# --- ports ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "port"), [(socket.SOCK_DGRAM, BABEL_PORT), (socket.SOCK_STREAM, MESHD_PORT)]
)
def test_busy_port_is_named_and_the_host_left_alone(lab, kind, port):
    node = lab.node("one")
    before = host_state(node)
    with busy(node, kind, port):
        code, said = refused_run(node, "--interface", "w0:mesh")
    assert code == Exit.ERROR
    assert f"port {port}/" in said and f"ss -lp 'sport = :{port}'" in said
    assert host_state(node) == before


def test_address_that_the_host_lacks_is_explained(lab):
    code, said = refused_run(lab.node("one"), "--listen", "192.0.2.1:7000")
    assert code == Exit.ERROR
    assert "7000/tcp" in said and "ip -br addr" in said


# --- the state directory --------------------------------------------------------------------------


def test_state_directory_held_by_another_daemon(pair):
    one, two = pair
    code, said = refused_run(two.place, state=one.state)
    assert code == Exit.ERROR
    assert f"process {one.pid}" in said and "--state-dir" in said
    assert routed(two, one)


def test_state_directory_that_cannot_be_written(lab):
    node = lab.node("one")
    read_only = "mount -t tmpfs -o ro none state"
    daemon = Boxed(node, read_only, options=["--interface", "w0:mesh"])
    daemon.start()
    assert daemon.process.wait(WITHIN_S) == Exit.ERROR
    said = daemon.log_end()
    assert "Read-only file system" in said and "--state-dir" in said


def test_damaged_device_key_is_left_as_it_is(lab):
    node = lab.node("one")
    daemon = Daemon(node)
    daemon.init()
    key = daemon.state / "device.key"
    damaged = key.read_bytes().replace(b"a", b"b")
    key.write_bytes(damaged)
    code, said = refused_run(node, "--interface", "w0:mesh")
    assert code == Exit.ERROR
    assert str(key) in said and "put your copy of it back" in said
    assert key.read_bytes() == damaged


def test_corrupt_database_leaves_a_router(pair):
    one, two = pair
    one.ask("space", "create", "notes")
    one.stop()
    database = one.state / "store.db"
    database.write_bytes(b"\0" * 100 + database.read_bytes()[100:])
    ready(one)
    fault = problems(one)["store-corrupt"]
    assert str(database) in fault["text"] and fault["remedy"]
    assert routed(one, two) and routed(two, one)
    with pytest.raises(CommandError) as refused:
        one.ask("space", "create", "more")
    assert refused.value.code == Exit.ERROR
    assert str(database) in refused.value.said
    assert database.read_bytes()[:100] == b"\0" * 100
    assert problems(one)["store-corrupt"]


def posted(daemon, space, text):
    """Post a note; tell whether it was acknowledged, and what was said if not."""
    try:
        call(daemon, "post", space=space, text=text)
    except RequestError as error:
        return error
    return None


def texts(daemon, space):
    """Return the notes that the daemon reads from its store."""
    return {row["text"] for row in call(daemon, "log", space=space)["entries"] if "text" in row}


SMALL_DISK = "mount -t tmpfs -o size=6m none state"


def test_full_disk_refuses_and_loses_nothing_and_heals(lab):
    node = lab.node("one")
    daemon = Boxed(node, SMALL_DISK, options=["--interface", "w0:mesh"])
    ready(daemon)
    space = call(daemon, "space.create", name="notes")["space"]
    kept = {f"before {number}" for number in range(5)}
    assert not [text for text in kept if posted(daemon, space, text)]
    filler = daemon.state / "filler"
    fill(filler)
    refused = None
    for number in range(400):
        text = f"{number} " + "x" * 2000
        refused = posted(daemon, space, text)
        if refused:
            break
        kept.add(text)
    assert refused and "full" in refused.text and refused.remedy
    shown = problems(daemon)["store-full"]
    assert str(daemon.real) in shown["text"] and shown["remedy"]
    assert wait_for(lambda: "disk-nearly-full" in problems(daemon), WITHIN_S)
    assert kept <= texts(daemon, space)
    filler.unlink()
    assert wait_for(lambda: "store-full" not in problems(daemon), WITHIN_S)
    assert posted(daemon, space, "after") is None
    kept.add("after")
    copy = node.folder / "copy"
    shutil.copytree(daemon.state, copy, ignore=shutil.ignore_patterns("*.sock"))
    daemon.kill()
    again = Daemon(node)
    again.state = copy
    ready(again)
    assert texts(again, space) == kept


def fill(path):
    """Leave no room on the disk of `path`."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def test_file_that_finds_no_room_is_refused_whole(lab):
    node = lab.node("one")
    daemon = Boxed(node, SMALL_DISK, options=["--interface", "w0:mesh"])
    ready(daemon)
    space = str(call(daemon, "space.create", name="notes")["space"])
    big, small = node.folder / "big.bin", node.folder / "small.bin"
    big.write_bytes(bytes(9_000_000))
    small.write_bytes(b"small")
    with pytest.raises(CommandError) as refused:
        daemon.ask("put", space, str(big))
    assert refused.value.code == Exit.ERROR and "room" in refused.value.said
    assert call(daemon, "files", space=space)["files"] == []
    assert wait_for(lambda: problems(daemon) == {}, WITHIN_S), problems(daemon)
    daemon.ask("put", space, str(small))
    daemon.ask("get", space, "small.bin", str(node.folder / "back.bin"))
    assert (node.folder / "back.bin").read_bytes() == b"small"
    with pytest.raises(CommandError, match="/proc/nothing"):
        daemon.ask("get", space, "small.bin", "/proc/nothing/x")


def test_database_that_is_mended_is_taken_up_again(lab):
    node = lab.node("one")
    daemon = Daemon(node)
    ready(daemon)
    space = call(daemon, "space.create", name="notes")["space"]
    assert posted(daemon, space, "before") is None
    daemon.stop()
    database = daemon.state / "store.db"
    sound = database.read_bytes()
    database.write_bytes(bytes(len(sound)))
    ready(daemon)
    assert "store-corrupt" in problems(daemon)
    database.write_bytes(sound)
    assert wait_for(lambda: problems(daemon) == {}, WITHIN_S)
    assert posted(daemon, space, "after") is None
    assert texts(daemon, space) == {"before", "after"}


def test_start_on_a_full_disk_routes_says_so_and_heals(lab):
    nodes = [lab.node("one"), lab.node("two")]
    lab.line(nodes)
    before = host_state(nodes[0])
    one, two = Boxed(nodes[0], SMALL_DISK, options=[]), Daemon(nodes[1])
    ready(one, two)
    space = call(one, "space.create", name="notes")["space"]
    assert posted(one, space, "before") is None
    kept = nodes[0].folder / "kept"
    shutil.copytree(one.state, kept, ignore=shutil.ignore_patterns("*.sock", "address"))
    one.stop()
    again = Boxed(
        nodes[0],
        f"{SMALL_DISK}; cp -a kept/. state; cat /dev/zero > state/filler || :",
        options=["--interface", "w0:mesh"],
    )
    again.start()
    assert wait_for(lambda: kernel_routes(nodes[1]), WITHIN_S), again.log_end()
    assert texts(again, space) == {"before"}
    while not (refused := posted(again, space, "x" * 2000)):
        pass
    assert "full" in refused.text
    assert problems(again)["store-full"]["remedy"]
    assert routed(two, again)
    (again.state / "filler").unlink()
    assert wait_for(lambda: not problems(again), WITHIN_S)
    assert posted(again, space, "after") is None
    fill(again.state / "filler")
    again.stop()
    assert again.process.returncode == Exit.OK
    assert host_state(nodes[0]) == before


# --- configuration, programs, rights --------------------------------------------------------------


def test_typo_in_the_configuration_is_shown_with_its_line(lab):
    node = lab.node("one")
    file = node.folder / "meshd.toml"
    file.write_text('# a node\n\n[[interface]]\nname = "w0"\nkynd = "mesh"\n')
    code, said = refused_run(node, "--config", str(file))
    assert code == Exit.CONFIG
    assert f"{file}:5" in said and '"kind"' in said


def test_host_without_nft_is_not_opened(lab):
    node = lab.node("one")
    before = host_state(node)
    hide = "for place in /usr/sbin/nft /sbin/nft /usr/bin/nft; do"
    hide += ' [ ! -e "$place" ] || mount --bind /dev/null "$place"; done'
    daemon = Boxed(node, hide, options=["--interface", "w0:mesh"])
    daemon.start()
    assert daemon.process.wait(WITHIN_S) == Exit.ERROR
    assert "nftables" in daemon.log_end()
    assert host_state(node) == before


def test_without_rights_it_is_a_leaf_and_says_so(lab):
    node = lab.node("one")
    before = host_state(node)
    less = 'set -- setpriv --inh-caps=-net_admin --bounding-set=-net_admin "$@"'
    daemon = Boxed(node, less, options=["--interface", "w0:mesh"])
    ready(daemon)
    assert call(daemon, "status")["mode"] == "leaf"
    assert "leaf" in node.run([*MESHD, "status", "--state-dir", str(daemon.state)]).stdout
    assert host_state(node) == before
    daemon.stop()
    assert daemon.process.returncode == Exit.OK


# --- the host -------------------------------------------------------------------------------------


def test_host_is_as_before_after_stop_and_after_a_crash(pair):
    one, two = pair
    three_state = host_state(two.place)
    two.stop()
    assert two.process.returncode == Exit.OK
    before = host_state(two.place)
    assert before != three_state
    assert not kernel_routes(two.place)
    ready(two)
    assert routed(two, one)
    two.kill()
    assert kernel_routes(two.place), "a crash leaves routes behind, or this test shows nothing"
    one.stop()
    ready(two)
    assert wait_for(lambda: one.address not in kernel_routes(two.place), WITHIN_S)
    ready(one)
    assert routed(two, one) and routed(one, two)
    two.stop()
    assert host_state(two.place) == before


def test_filter_comes_back_when_another_program_flushes_it(lab):
    node = lab.node("one")
    daemon = Daemon(node)
    ready(daemon)
    rules = node.run(["nft", "list", "ruleset"]).stdout
    assert "table inet meshd" in rules
    for _ in range(2):
        node.nft("flush ruleset\ntable inet other {}\n")
        assert wait_for(
            lambda: "inet meshd" in node.run(["nft", "list", "tables"]).stdout, WITHIN_S
        )
    node.nft("delete table inet other")
    assert without_counts(node.run(["nft", "list", "ruleset"]).stdout) == without_counts(rules)
    assert problems(daemon) == {}
    daemon.stop()
    assert node.run(["nft", "list", "ruleset"]).stdout == ""


def without_counts(rules):
    """Return rules without what their counters say."""
    return re.sub(r"packets \d+ bytes \d+", "", rules)


def test_second_daemon_on_one_host_is_refused(pair):
    one, two = pair
    before = host_state(one.place)
    folder = one.place.folder / "second"
    code, said = refused_run(one.place, "--interface", "w0:mesh", state=folder)
    assert code == Exit.ERROR and "6696/udp" in said
    assert host_state(one.place) == before
    assert routed(one, two)
