"""Two real daemons, each with an emulated radio on a pseudo-terminal, on one air."""

import json
import sys
from collections.abc import Iterator

import pytest
from radios.radio_site import SLACK_S, Site, two_sites

from meshd.lab.daemons import wait_for
from meshd.radio.kinds import KINDS
from meshd.runtime.key_file import make_key

DISCOVERY_S = 5.0
OPTIONS = {"meshtastic": ["short-fast"]}


@pytest.fixture
def sites(tmp_path, monkeypatch) -> Iterator[list[Site]]:
    yield from two_sites(tmp_path, monkeypatch)


def start(sites, kind="rnode", *faults):
    for site in sites:
        site.plug(kind, *faults)
    for site in sites:
        site.daemon.start()
    for site in sites:
        site.daemon.wait_ready()


def meet(sites):
    one, two = sites
    assert wait_for(
        lambda: two.daemon.node in one.neighbours() and one.daemon.node in two.neighbours(),
        DISCOVERY_S + SLACK_S,
    ), (one.radio(), one.daemon.log_end())


def test_two_daemons_find_each_other_and_again_after_a_pulled_plug(sites):
    one, two = sites
    start(sites)
    meet(sites)
    (row,) = one.daemon.ask("neighbours")["neighbours"]
    assert row["link"] == "lora0" and row["snr_db"] > 0
    (status,) = one.daemon.ask("radio", "list")["radios"]
    assert (status["state"], status["model"], status["region"]) == ("up", "RNode (ESP32)", "EU868")
    assert status["airtime_hour_max_ms"] == 360_000 and status["noise_dbm"] < -100
    assert 0 < status["airtime_hour_ms"] <= status["airtime_hour_max_ms"] - status["left_ms"]
    one.unplug()
    assert wait_for(lambda: one.radio()["state"] == "port gone", SLACK_S)
    (problem,) = one.daemon.ask("status")["problems"]
    assert problem["code"] == "radio-port-gone" and "tried again by itself" in problem["text"]
    assert problem["remedy"].startswith("plug the radio in")
    assert "frequency_mhz=869.525 sf=7 bandwidth_khz=125 power_dbm=14" in one.daemon.log_end()
    heard = two.radio()["heard"]
    one.plug()
    assert wait_for(lambda: one.radio()["state"] == "up", 2 * SLACK_S)
    assert wait_for(lambda: two.radio()["heard"] > heard, DISCOVERY_S + SLACK_S)
    assert one.daemon.ask("status")["problems"] == []
    assert two.daemon.ask("radio", "duty")["radios"][0]["band"] == "P"


@pytest.mark.parametrize("kind", KINDS)
def test_words_for_one_node_go_by_radio_and_their_states_are_told(sites, kind):
    one, two = sites
    for site in sites:
        site.configure(kind)
    start(sites, kind, *OPTIONS.get(kind, ()))
    meet(sites)
    words = ("message", two.daemon.node, "at the bridge", "--wait", "delivered", "--timeout", "90")
    sent = one.daemon.ask(*words, within_s=120)
    assert sent["state"] == "delivered"
    (came,) = two.daemon.ask("messages")["messages"]
    assert (came["id"], came["text"]) == (sent["id"], "at the bridge")
    value = one.daemon.ask("ping", two.daemon.node, "-c", "1", within_s=120)
    assert (value["medium"], value["hops"], value["received"]) == ("lora", 1, 1)


def test_radios_with_one_key_file_make_a_closed_mesh_and_without_it_one_is_silent(sites):
    one, two = sites
    keys = [site.folder / "lora.key" for site in sites]
    make_key(str(keys[0]))
    for site, key in zip(sites, keys, strict=True):
        site.config.write_text(site.config.read_text() + f'key_file = "{key}"\n')
    start(sites)
    assert wait_for(lambda: two.radio()["state"] == "no key", SLACK_S)
    (problem,) = two.daemon.ask("status")["problems"]
    assert problem["code"] == "radio-no-key" and "meshd radio key" in problem["remedy"]
    assert two.radio().get("sent", 0) == 0
    keys[1].write_text(keys[0].read_text())
    keys[1].chmod(0o600)
    meet(sites)
    assert "key_file" in one.radio()["protection"]
    keys[0].chmod(0o644)
    assert wait_for(lambda: one.daemon.ask("status")["problems"], SLACK_S)
    (problem,) = one.daemon.ask("status")["problems"]
    assert problem["code"] == "radio-key-doubt" and one.radio()["state"] == "up"
    keys[0].chmod(0o600)
    assert wait_for(lambda: not one.daemon.ask("status")["problems"], SLACK_S)


def test_a_board_that_repeats_others_is_used_and_its_owner_advised(sites):
    one, _ = sites
    one.configure("meshtastic")
    one.plug("meshtastic", "short-fast", "chatty")
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", SLACK_S)
    assert "CLIENT_MUTE" in one.radio()["advice"]
    (problem,) = one.daemon.ask("status")["problems"]
    assert problem["code"] == "radio-advice" and "repeats packets" in problem["text"]
    assert "meshtastic --set device.role CLIENT_MUTE" in problem["remedy"]


def test_a_board_that_is_set_otherwise_is_set_by_the_command_that_is_advised(sites):
    one, _ = sites
    one.configure("meshtastic")
    one.plug("meshtastic")
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "setting refused", 2 * SLACK_S), one.radio()
    command = f"meshd radio set {one.port} --set-board"
    (problem,) = one.daemon.ask("status")["problems"]
    assert command in one.radio()["advice"] and command in problem["remedy"]
    assert problem["code"] == "radio-setting-refused" and "SF11 at 250 kHz" in problem["text"]
    options = ("--set-board", "--config", str(one.config))
    done = one.daemon.ask("radio", "set", str(one.port), *options, within_s=150)
    assert done["board"]["written"] and "ShortFast" in done["board"]["after"]
    assert wait_for(lambda: one.radio()["state"] == "up", 60 + SLACK_S), one.radio()
    assert one.daemon.ask("status")["problems"] == []


def test_a_killed_daemon_finds_its_hour_again(sites):
    one, _ = sites
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio().get("airtime_hour_ms", 0) > 0, SLACK_S)
    one.daemon.kill()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", SLACK_S)
    # What the first claim of a start holds counts as spent.
    assert one.radio()["left_ms"] <= 360_000 - 1_000


def test_a_removed_ledger_spends_the_hour_and_is_told(sites):
    one, _ = sites
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["sent"] > 0, SLACK_S)
    one.daemon.stop()
    for file in one.daemon.state.glob("airtime*"):
        file.unlink()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", SLACK_S)
    assert (one.radio()["left_ms"], one.radio()["sent"]) == (0, 0)
    (problem,) = one.daemon.ask("status")["problems"]
    assert problem["code"] == "airtime-suspect" and "removed" in problem["text"]


def test_no_region_no_frame_and_advice(sites):
    one, _ = sites
    one.config.write_text(one.config.read_text().replace('region = "EU868"\n', ""))
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    status = one.radio()
    assert (status["state"], status["sent"]) == ("no region", 0)
    (problem,) = one.daemon.ask("status")["problems"]
    assert problem["code"] == "radio-no-region"
    advised = f"meshd radio set {one.port} --state-dir {one.daemon.state} --region NAME"
    assert advised in problem["remedy"]


def test_radio_that_can_not_be_set_so_stays_closed_and_all_else_goes_on(sites):
    one, _ = sites
    slow = 'port = "/dev/slow"\nkind = "ebyte"\nmodule_dbm = 22\nspreading_factor = 9\n'
    with one.config.open("a") as file:
        file.write(f'[[radio]]\n{slow}region = "EU868"\nfrequency_mhz = 865.125\n')
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", SLACK_S)
    status = one.daemon.ask("status")
    unfit = status["radios"][1]
    assert (unfit["port"], unfit["state"], unfit["sent"]) == ("/dev/slow", "unfit", 0)
    (problem,) = status["problems"]
    assert problem["code"] == "radio-unfit" and "meshd.toml:" in problem["text"]
    assert f"meshd radio set /dev/slow --state-dir {one.daemon.state}" in problem["remedy"]


def test_ebyte_of_unnamed_strength_stays_closed_and_all_else_goes_on(sites):
    one, _ = sites
    with one.config.open("a") as file:
        file.write('[[radio]]\nport = "/dev/mute"\nkind = "ebyte"\nregion = "EU868"\n')
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", SLACK_S)
    status = one.daemon.ask("status")
    assert (status["radios"][1]["state"], status["radios"][1]["sent"]) == ("unfit", 0)
    (problem,) = status["problems"]
    options = f"meshd radio set /dev/mute --state-dir {one.daemon.state} --module-dbm DBM;"
    assert problem["code"] == "radio-unfit" and problem["remedy"].startswith(options)


def test_another_kind_than_configured_is_named(sites):
    one, _ = sites
    one.plug("reyax")
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] in ("other kind", "silent"), 2 * SLACK_S)
    assert one.radio()["advice"]


def test_a_radio_of_unnamed_kind_is_asked_what_it_is(sites):
    one, _ = sites
    one.configure("auto")
    one.plug()
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "up", 2 * SLACK_S)
    assert one.radio()["kind"] == "rnode"


def test_a_found_module_of_unnamed_strength_stays_silent_and_the_key_is_named(sites):
    one, _ = sites
    one.configure("auto")
    one.plug("ebyte")
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] == "setting refused", 2 * SLACK_S)
    status = one.radio()
    assert (status["kind"], status["sent"]) == ("ebyte", 0) and "module_dbm" in status["advice"]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("rnode", "boot-log"),
        ("rnode", "late"),
        ("rnode", "garbage"),
        ("rnode", "resets"),
        ("meshcore", "late"),
        ("meshcore", "early-done"),
        ("meshcore", "no-done"),
        ("rak3172", "lies"),
    ],
)
def test_a_modem_with_bad_manners_is_used_all_the_same(sites, kind, fault):
    one, two = sites
    for site, ugly in ((one, (fault,)), (two, ())):
        site.configure(kind)
        site.plug(kind, *ugly)
        site.daemon.start()
    for site in sites:
        site.daemon.wait_ready()
    # One that restarts or says nothing of a frame is asked and set anew before it goes on.
    assert wait_for(
        lambda: two.daemon.node in one.neighbours() and one.daemon.node in two.neighbours(),
        4 * SLACK_S,
    ), (one.radio(), one.daemon.log_end())
    status = one.radio()
    assert status["airtime_hour_ms"] >= 40 * max(status["sent"], 1), "each frame counts in full"
    assert status["left_ms"] <= 360_000 - status["airtime_hour_ms"]


@pytest.mark.parametrize(
    ("kind", "fault", "states"),
    [
        ("rnode", "silent", {"silent"}),
        ("rnode", "old-firmware", {"other kind", "setting refused"}),
        ("rnode", "hangs", {"silent"}),
        ("meshcore", "keeps-radio", {"setting refused"}),
    ],
)
def test_a_modem_of_no_use_is_named_and_the_daemon_lives_on(sites, kind, fault, states):
    one, _ = sites
    one.configure(kind)
    one.plug(kind, fault)
    one.daemon.start()
    one.daemon.wait_ready()
    assert wait_for(lambda: one.radio()["state"] in states, 6 * SLACK_S), one.radio()
    assert one.radio()["advice"]
    codes = [problem["code"] for problem in one.daemon.ask("status")["problems"]]
    assert codes and codes[0].startswith("radio-")
    one.unplug()
    one.plug(kind)
    assert wait_for(lambda: one.radio()["state"] == "up", 4 * SLACK_S), one.radio()


def test_a_recording_of_radio_and_ledger_replays(sites, tmp_path):
    one, _two = sites
    tape = tmp_path / "tape"
    one.daemon.options += ["--record", str(tape)]
    start(sites)
    meet(sites)
    one.daemon.stop()
    done = one.run([sys.executable, "-m", "meshd", "replay", str(tape), "--json"])
    assert json.loads(done.stdout)["ended"] == "stopped"
