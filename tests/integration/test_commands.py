"""The commands against a real daemon, running and stopped: exit codes, ids, the address file."""

import ipaddress
import json
import signal

import pytest
from daemons.faulty import call, problems, ready

from meshd.core.errors import Exit
from meshd.lab.daemons import MESHD, Daemon, wait_for

pytestmark = pytest.mark.netns

WITHIN_S = 60


def code(daemon, *words, user=()):
    """Run a command; return its exit code, and check that data and talk went where they belong."""
    done = daemon.place.run([*user, *daemon.argv(*words)], check=False)
    assert "Traceback" not in done.stderr
    if done.returncode in (Exit.OK, Exit.DEGRADED):
        assert str(json.loads(done.stdout.splitlines()[0])["schema"]).startswith("meshd.")
    else:
        said = json.loads(done.stdout)
        assert (said["schema"], said["code"]) == ("meshd.error/1", done.returncode)
        assert any(line.startswith(("meshd: ", "usage: ")) for line in done.stderr.splitlines())
    return done.returncode


def test_exit_codes_and_files_of_a_node_through_its_life(lab):
    node = lab.node("one")
    daemon = Daemon(node, options=["--interface", "w0:mesh", "--interface", "nothing0"])
    address = daemon.state / "address"
    assert code(daemon, "id") == Exit.NOT_FOUND
    assert code(daemon, "init") == Exit.OK and code(daemon, "init") == Exit.OK
    named = daemon.ask("id")
    assert code(daemon, "status") == Exit.NOT_RUNNING and not address.exists()
    for words in (["neighbours"], ["routes"], ["log", "x"], ["post", "x", "y"], ["space", "list"]):
        assert code(daemon, *words) == Exit.NOT_RUNNING

    ready(daemon)
    assert daemon.ask("id").items() >= named.items()
    assert len(str(named["node"])) == 16
    assert address.read_text() == f"{named['address']}\n"
    assert ipaddress.ip_address(str(named["address"])) in ipaddress.ip_network("fd00::/8")
    assert address.stat().st_mode & 0o777 == 0o644
    for words in (["status"], ["neighbours"], ["routes"], ["id"], ["version"], ["space", "list"]):
        assert code(daemon, *words) == Exit.OK
    assert code(daemon, "status", "--check") == Exit.DEGRADED, "nothing0 is missing"
    for words in (["log", "x"], ["post", "x", "y"], ["invite", "x"], ["get", "x", "y", "z"]):
        assert code(daemon, *words) == Exit.NOT_FOUND, words
    assert code(daemon, "statsu") == Exit.USAGE
    assert code(daemon, "post") == Exit.USAGE
    assert code(daemon, "join", "meshd:join/nonsense") == Exit.USAGE
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    # Else there is only one user here, or nobody else may run this Python.
    if node.run([*stranger, *MESHD, "version"], check=False).returncode == 0:
        assert code(daemon, "status", user=stranger) == Exit.DENIED

    daemon.stop()
    assert daemon.process.returncode == Exit.OK
    assert not address.exists() and not (daemon.state / "control.sock").exists()
    assert code(daemon, "status") == Exit.NOT_RUNNING
    ready(daemon)
    daemon.kill()
    assert code(daemon, "status") == Exit.NOT_RUNNING, "the socket of the dead is there still"
    assert daemon.ask("id").items() >= named.items()


def test_interface_that_is_down_or_has_no_ipv6_is_explained(lab):
    node = lab.node("one", up=False)
    with node.inside():
        with open("/proc/sys/net/ipv6/conf/w0/disable_ipv6", "w") as file:
            file.write("1")
    daemon = Daemon(node)
    ready(daemon)
    assert "ip link set w0 up" in problems(daemon)["link-down"]["remedy"]
    node.ip("link set w0 up")
    assert wait_for(lambda: "link-no-address" in problems(daemon), WITHIN_S)
    assert "disable_ipv6" in problems(daemon)["link-no-address"]["remedy"]
    node.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/w0/disable_ipv6"])
    assert wait_for(lambda: problems(daemon) == {}, WITHIN_S)
    assert [link["name"] for link in call(daemon, "status")["links"]] == ["w0"]


@pytest.fixture
def unhung():
    """A hangup as it comes to who was not started by `nohup`, as these tests may be."""
    found = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, found)


@pytest.mark.usefixtures("unhung")
@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_signals_that_end_it_restore_the_host(lab, name):
    node = lab.node("one")
    daemon = Daemon(node)
    ready(daemon)
    assert "meshd" in node.run(["nft", "list", "tables"]).stdout
    node.run(["kill", f"-{name}", str(daemon.pid)])
    assert daemon.process.wait(WITHIN_S) == Exit.OK
    assert "meshd" not in node.run(["nft", "list", "tables"]).stdout
    assert node.run([*MESHD, "version"]).returncode == Exit.OK


def test_node_with_nothing_to_use_says_so_and_its_spaces_know_its_name(lab):
    daemon = Daemon(lab.node("one", radio=False), options=["--name", "roof-1"])
    ready(daemon)
    assert "--interface" in str(problems(daemon)["nothing-to-use"]["remedy"])
    for words, name in (([], "roof-1"), (["--as", "Ada"], "Ada")):
        space = str(daemon.ask("space", "create", f"of {name}", *words)["space"])
        assert daemon.ask("space", "members", space)["members"][0]["name"] == name
