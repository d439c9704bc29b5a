"""Nodes with a LoRa radio each, in virtual time: they find each other and keep to the law."""

import pytest
from radios.mesh import SF7, Mesh, radio

from meshd.config.regions import law_of
from meshd.core import crypto
from meshd.core.airtime import Modulation, airtime_us
from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.core.drops import DropReason
from meshd.core.events import AirtimeImage, AirtimeSave, RadioLink, RadioSend
from meshd.core.limits import BEACON_FRAME
from meshd.forwarding.radio_hour import SAVE_AGAIN_US
from meshd.link.ledger import Priority
from meshd.link.lora import LATE_GAPS, LATE_LEAST_US, USUAL_INTERVALS, USUAL_LEAST_US
from meshd.link.lora_neighbours import GAP_MAX, LoraNeighbours
from meshd.wire.lora_beacon import SALT_LEN, Beacon
from meshd.wire.lora_frame import FrameKind, overhead
from meshd.wire.lora_payload import Local

S = 1_000_000
EU_LINK = RadioLink(
    "lora0",
    "rnode",
    869_525_000,
    SF7,
    14,
    tuple(airtime_us(SF7, size + 1) for size in range(255)),
    listens=True,
)


def drops(host):
    return host.node.snapshot(host.now).drops


@pytest.mark.parametrize("seed", range(1, 6))
def test_two_that_start_together_know_each_other_within_five_seconds(seed):
    assert Mesh(2, seed=seed).until_complete(5) <= 5


@pytest.mark.parametrize("seed", range(1, 4))
def test_five_that_start_together_know_each_other_soon(seed):
    assert Mesh(5, seed=seed).until_complete(20) <= 10


def test_a_newcomer_is_answered_long_after_the_others_began():
    mesh = Mesh(3, running=False)
    for host in mesh.hosts[:2]:
        host.lora.power_on()
    mesh.run(3600)
    mesh.hosts[2].lora.power_on()
    assert mesh.until_complete(5) <= 5


def test_same_seed_same_frames():
    def story(seed):
        mesh = Mesh(5, seed=seed)
        mesh.run(600)
        return [(radio(host), host.node.snapshot(host.now).neighbours) for host in mesh.hosts]

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_a_quiet_mesh_says_less_and_less():
    mesh = Mesh(5)
    mesh.run(4 * 3600)
    before = sum(radio(host).sent for host in mesh.hosts)
    mesh.run(4 * 3600)
    spent = sum(radio(host).sent for host in mesh.hosts) - before
    assert spent <= 5 * 12  # each at least once in two of the longest intervals
    assert mesh.complete()


def test_lost_beacons_and_silence_show():
    mesh = Mesh(2)
    mesh.until_complete()
    one, two = mesh.hosts
    assert one.node.snapshot(one.now).neighbours[0].snr_db is not None
    two.crash()
    mesh.run(3 * 3600)
    assert mesh.known(one) == []
    assert any(notice.kind == "radio-neighbour-lost" for notice in one.notices)


def test_who_went_soon_is_silent_for_longer_than_usual_soon():
    mesh = Mesh(2)
    mesh.until_complete()
    one, two = mesh.hosts
    mesh.run(60)
    (row,) = one.node.snapshot(one.now).neighbours
    assert row.last_heard_s < row.usual_silence_s
    two.crash()
    mesh.run(11 * 60)
    (row,) = one.node.snapshot(one.now).neighbours
    assert 11 * 60 <= row.last_heard_s < 13 * 60
    assert 120 <= row.usual_silence_s < row.last_heard_s


def test_of_two_that_are_there_none_is_silent_for_longer_than_usual_for_long():
    mesh = Mesh(2)
    mesh.until_complete()
    looks = late = 0
    for _ in range(360):
        mesh.run(60)
        for host in mesh.hosts:
            (row,) = host.node.snapshot(host.now).neighbours
            looks, late = looks + 1, late + (row.last_heard_s > row.usual_silence_s)
    assert late / looks < 0.05


def test_who_was_met_late_may_be_silent_for_two_of_the_longest_intervals():
    mesh = Mesh(2, running=False)
    one, two = mesh.hosts
    one.lora.power_on()
    mesh.run(3600)
    two.lora.power_on()
    mesh.until_complete(60)
    (row,) = two.node.snapshot(two.now).neighbours
    link = two.node.radios.links["lora0"]
    assert row.usual_silence_s == USUAL_INTERVALS * link.trickle.longest_us // S
    (row,) = one.node.snapshot(one.now).neighbours
    assert row.usual_silence_s == USUAL_LEAST_US // S


def test_a_restarted_node_is_a_new_boot_of_a_known_neighbour():
    mesh = Mesh(2)
    mesh.until_complete()
    one, two = mesh.hosts
    two.crash()
    mesh.run(10)
    two.start()
    assert mesh.until_complete(4000) > 0
    assert len(mesh.known(one)) == 1


def test_the_hour_outlives_a_power_cut():
    mesh = Mesh(2, region="EU868")
    mesh.run(30)
    host = mesh.hosts[0]
    left_ms = radio(host).left_ms
    host.crash()
    host.start()
    mesh.run(1)
    # Another boot of the machine: what was claimed of the hour counts as just spent.
    assert radio(host).left_ms < left_ms


def test_nothing_is_sent_before_its_claim_is_on_the_disk():
    node, sent, saves = _node()
    node.handle_timeout(5 * S)
    _drain(node, sent, saves)
    assert sent == [] and len(saves) == 1
    node.airtime_saved(saves[0].number, True, 6 * S)
    _drain(node, sent, saves)
    assert len(sent) == 1 and sent[0].link == "lora0"


def test_a_failed_write_is_tried_again_later_and_nothing_is_sent():
    node, sent, saves = _node()
    node.airtime_saved(saves[0].number, False, S)
    node.handle_timeout(2 * S)
    _drain(node, sent, saves)
    assert len(saves) == 1
    node.handle_timeout(S + SAVE_AGAIN_US)
    _drain(node, sent, saves)
    assert sent == [] and len(saves) == 2


def test_a_stop_gives_the_claim_back():
    node, sent, saves = _node()
    node.airtime_saved(saves[0].number, True, 2 * S)
    node.stop(3 * S)
    _drain(node, sent, saves)
    assert saves[-1].number == 0


def test_a_radio_that_the_law_forbids_is_a_problem_and_silent():
    node, sent, saves = _node(EU_LINK._replace(tx_dbm=30))
    node.handle_timeout(60 * S)
    _drain(node, sent, saves)
    assert sent == []
    (problem,) = node.snapshot(60 * S).problems
    assert problem.code == "radio-law" and "30 dBm" in problem.text


def test_a_beacon_with_its_key_has_the_length_that_radios_are_judged_by():
    beacon = Beacon(bytes(32), 0, bytes(SALT_LEN), 0, signature=bytes(64))
    assert overhead(FrameKind.BEACON) + len(beacon.encode()) == BEACON_FRAME


def test_a_radio_whose_frames_hold_no_beacon_is_a_problem_and_silent():
    node, sent, saves = _node(EU_LINK._replace(airtimes_us=EU_LINK.airtimes_us[:BEACON_FRAME]))
    node.handle_timeout(60 * S)
    _drain(node, sent, saves)
    assert sent == []
    (problem,) = node.snapshot(60 * S).problems
    assert problem.code == "radio-slow" and f"leave {BEACON_FRAME - 1} bytes" in problem.text


def test_a_radio_whose_hour_holds_no_beacon_is_a_problem_and_silent():
    slow = tuple(4 * us for us in EU_LINK.airtimes_us)
    node, sent, saves = _node(
        EU_LINK._replace(frequency_hz=869_000_000, tx_dbm=10, airtimes_us=slow)
    )
    node.handle_timeout(60 * S)
    _drain(node, sent, saves)
    assert sent == []
    (problem,) = node.snapshot(60 * S).problems
    assert problem.code == "radio-slow" and "gives 3.6 s in any hour" in problem.text


def test_a_listen_first_band_wants_a_radio_that_listens():
    plan = EU_LINK._replace(frequency_hz=922_000_000, tx_dbm=5, listens=False)
    node, _, _ = _node(plan, region="JP920")
    assert node.snapshot(S).problems[0].code == "radio-law"


def test_a_frame_that_the_modem_lost_is_counted_and_the_radio_goes_on():
    node, sent, saves = _node()
    node.airtime_saved(saves[0].number, True, 2 * S)
    node.handle_timeout(4 * S)
    _drain(node, sent, saves)
    node.radio_not_sent("lora0", DropReason.MODEM_SILENT, True, 5 * S)
    node.radio_not_sent("lora0", DropReason.MODEM_SILENT, True, 5 * S)  # nothing is under way
    assert node.snapshot(5 * S).drops == {"modem-silent": {"lora0": 1}}
    for now in range(6, 60):
        node.handle_timeout(now * S)
    _drain(node, sent, saves)
    assert len(sent) == 2


def test_a_radio_that_came_back_keeps_its_neighbours():
    mesh = Mesh(2)
    mesh.until_complete()
    host = mesh.hosts[0]
    host.input(host.node.radio_down, "lora0")
    assert radio(host).state == "down" and mesh.known(host) == []
    host.input(host.node.radio_up, host.node.radios.links["lora0"].radio)
    assert len(mesh.known(host)) == 1
    assert host.node.poll_timeout() is not None


def test_foreign_noise_is_counted_and_changes_nothing():
    mesh = Mesh(1)
    host = mesh.hosts[0]
    for frame in (b"", b"noise", bytes(255), bytes(300)):
        host.input(host.node.radio_heard, "lora0", frame, None, None)
    host.input(host.node.radio_heard, "lora9", b"x", -100.0, 1.0)
    assert drops(host) == {"frame-malformed": {"lora0": 4}, "unknown-link": {"lora9": 1}}


def test_a_frame_that_nothing_here_uses_is_a_named_drop():
    mesh = Mesh(2)
    mesh.until_complete()
    one, two = mesh.hosts
    later = Local(31, b"of a later version")
    two.input(lambda now: two.node.radios.tell("lora0", later, Priority.TEXT, now))
    mesh.run(5)
    assert drops(one)[DropReason.FRAME_UNUSED] == {"lora0": 1}


def test_an_item_too_long_for_the_modem_is_refused():
    mesh = Mesh(1)
    host = mesh.hosts[0]
    long = Local(31, bytes(host.node.radios.room("lora0") + 1))
    assert not host.node.radios.tell("lora0", long, Priority.TEXT, host.now)
    assert drops(host) == {"modem-too-long": {"lora0": 1}}


def test_a_modem_tells_what_it_left_out():
    node, _, _ = _node()
    node.radio_dropped("lora0", DropReason.MODEM_GARBAGE, S)
    assert node.snapshot(S).drops == {"modem-garbage": {"lora0": 1}}


def test_what_a_board_sent_by_itself_is_taken_from_the_hour():
    mesh = Mesh(1)
    mesh.run(60)
    host = mesh.hosts[0]
    before_ms = radio(host).airtime_hour_ms
    host.input(host.node.radio_aired, "lora0", (before_ms + 5_000) * 1_000, 600 * S)
    assert abs(radio(host).airtime_hour_ms - before_ms - 5_000) <= 1
    assert radio(host).hour_unknown_ms >= 4_999
    host.input(host.node.radio_aired, "lora1", 5 * S, 600 * S)
    assert radio(host).airtime_hour_ms <= before_ms + 5_001


def test_a_machine_that_slept_has_its_hour_gone_by():
    mesh = Mesh(1)
    mesh.run(60)
    host = mesh.hosts[0]
    assert radio(host).airtime_hour_ms > 0
    host.input(host.node.radios_clock, 2 * 3600 * S)
    assert radio(host).airtime_hour_ms == 0


def test_who_is_silent_for_far_longer_than_ever_before_may_be_gone_and_another_way_goes_before():
    mesh = Mesh(2)
    mesh.run(60)
    one, other = mesh.hosts
    link, ways = one.node.radios.links["lora0"], one.node.radios.meshes["lora0"].ways
    (row,), cost = link.neighbours, ways.cost(other.node.id)
    until_us = row.heard_us + max(LATE_GAPS * row.gap_us, LATE_LEAST_US)
    assert not link.late(until_us)
    assert link.late(until_us + 1) == {other.node.id}
    other.crash()
    mesh.run((until_us - one.now) // S)
    assert ways.cost(other.node.id) == cost
    mesh.run(1_200)
    assert ways.cost(other.node.id) > cost


def test_a_slow_rate_paces_its_beacons_slower():
    fast, slow = Mesh(1), Mesh(1, modulation=Modulation(12, 125_000))
    links = [mesh.hosts[0].node.radios.links["lora0"] for mesh in (fast, slow)]
    assert links[0].trickle.shortest_us == 2 * S
    assert links[1].trickle.shortest_us > 20 * S


# --- the table ------------------------------------------------------------------------------------


def _name(number):
    return crypto.digest(b"%d" % number, size=10)


def test_the_table_is_bounded_and_the_longest_silent_goes():
    table = LoraNeighbours()
    for number in range(NEIGHBOURS_MAX + 5):
        table.heard(_name(number), number)
        table.heard(_name(0), number)
    assert len(table) == NEIGHBOURS_MAX
    assert any(row.node == _name(0) for row in table)
    assert not any(row.node == _name(1) for row in table)


def test_gaps_in_counters_are_losses():
    row = LoraNeighbours().heard(_name(1), 0)
    for counter in (10, 11, 14, 15):
        row.frame(counter)
    assert (row.received, row.lost) == (4, 2)
    row.frame(13)  # late, not lost
    assert (row.received, row.lost) == (5, 1)
    row.frame(10_000)
    assert row.lost <= 1 + GAP_MAX


def test_signals_are_smoothed_and_may_be_missing():
    row = LoraNeighbours().heard(_name(1), 0)
    row.signal(None, None)
    assert row.snr_db is None
    row.signal(-100.0, 4.0)
    row.signal(None, 0.0)
    assert (row.rssi_dbm, row.snr_db) == (-100.0, 3.0)


@pytest.mark.parametrize("region", ["EU868", "US915"])
def test_status_tells_of_the_hour_what_put_reckons_with(region):
    link = EU_LINK if region == "EU868" else EU_LINK._replace(frequency_hz=915_000_000)
    node, sent, saves = _node(link, region=region)
    node.airtime_saved(saves[-1].number, True, S) if saves else None
    _drain(node, sent, saves)
    (radio,) = node.snapshot(2 * S).radios
    budget = node.radios.budget(radio.name, 2 * S)
    assert radio.left_file_ms == budget.left_us // 1000
    limited = region == "EU868"
    assert (radio.left_ms is not None) == (radio.left_text_ms is not None) == limited
    if limited:
        assert radio.left_file_ms < radio.left_text_ms < radio.left_ms


def _node(link=EU_LINK, *, region="EU868"):
    """A node with a radio, what it wants to send and to have stored."""
    mesh = Mesh(1, running=False)
    node = mesh.hosts[0].node
    node.radios_start(AirtimeImage(law_of(region), bytes(16), 0, None), 0)
    node.radio_up(link, S)
    sent, saves = [], []
    _drain(node, sent, saves)
    return node, sent, saves


def _drain(node, sent, saves):
    while (item := node.poll_transmit()) is not None:
        sent += [item] if isinstance(item, RadioSend) else []
    while (event := node.poll_event()) is not None:
        saves += [event] if isinstance(event, AirtimeSave) else []
