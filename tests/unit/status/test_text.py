from dataclasses import replace

from daemons.fake_host import NODE, OTHER, PROBLEM, snapshot

from meshd.core.snapshot import SessionStatus, SpaceStatus, to_json
from meshd.status.cells import clean, size
from meshd.status.text import headline, neighbours_text, routes_text, status_text, sync_percent

STATUS = """\
OK  abcd-efgh-ijkl-mnop  2 neighbours, 2 nodes, sync 100 %
address fd7c:38e3:d782::1, mesh pq4ohv4c, up 1 h 2 min, boot 7, version 0.1.0

links
  name   kind    state  protection
  mesh0  mesh    up     SAE
  wlan1  shared  down   unknown

neighbours
  node                 link   address  cost                heard  session  known for
  qrst-uvwx-yz23-4567  mesh0  fe80::2  96                  100%   yes      1 min
  -                    mesh0  fe80::3  not heard back yet  50%    no       4 s

sync
  space   role    feeds  entries  behind  size    peers  kept by  forks
  garden  writer  2      40       0       8.2 kB  1      1        0

dropped
  reason        count  where
  unknown-port  3      mesh0 2, wlan1 1
  see docs/drops.md"""

NAMES = """\
node                 link   address  cost                heard  session  known for  name
qrst-uvwx-yz23-4567  mesh0  fe80::2  96                  100%   yes      1 min      calls itself "B"
-                    mesh0  fe80::3  not heard back yet  50%    no       4 s        Ada, Adele"""

ROUTES = """\
   to                    node                 link   next hop  metric  feasible  age
*  fd7c:38e3:d782::2/128  qrst-uvwx-yz23-4567  mesh0  fe80::2   96      yes       59 s
*  fd7c:38e3:d782::3/128  aaaa-bbbb-cccc-dddd  mesh0  fe80::2   192     yes       58 s"""


def test_status_reads_as_it_should():
    assert status_text(to_json(snapshot())) == STATUS


def test_a_neighbour_that_is_not_heard_reads_as_that():
    value = to_json(snapshot())
    value["neighbours"][1]["rxcost"] = 0xFFFF
    assert "fe80::3  not heard  50%" in neighbours_text(value)
    assert value["neighbours"][1]["cost"] == 0xFFFF


def test_routes_read_as_they_should():
    lines = routes_text(to_json(snapshot())).splitlines()
    assert [line.split() for line in lines] == [line.split() for line in ROUTES.splitlines()]


def test_a_route_with_a_lora_hop_is_called_thin():
    value = to_json(snapshot())
    value["routes"][1]["thin"] = True
    head, near, far = (line.split() for line in routes_text(value).splitlines())
    assert head[-1] == "path" and near[-1] == "s" and far[-1] == "thin"
    assert "2 nodes (1 by a thin path)" in status_text(value)


def test_status_of_a_node_alone_has_no_empty_tables():
    alone = snapshot(
        links=(), neighbours=(), routes=(), sessions=(), spaces=(), drops={}, mode="leaf"
    )
    assert status_text(to_json(alone)) == (
        "ALONE  abcd-efgh-ijkl-mnop  leaf, 0 neighbours, 0 nodes, nobody to sync with\n"
        "address fd7c:38e3:d782::1, mesh pq4ohv4c, up 1 h 2 min, boot 7, version 0.1.0"
    )


def test_problem_is_the_first_word_and_has_its_remedy():
    text = status_text(to_json(snapshot(problems=(PROBLEM,))))
    assert text.startswith("DEGRADED  abcd-efgh-ijkl-mnop  2 neighbours, ")
    assert text.splitlines()[0].endswith(", 1 problem")
    assert (
        "problems\n  the disk is full [disk-full]\n    next: free some space in /var/lib/meshd"
        in text
    )


def test_name_stands_before_the_id():
    value = {**to_json(snapshot()), "name": "roof-1"}
    assert headline(value).startswith("OK  roof-1 (abcd-efgh-ijkl-mnop)  ")


def test_peers_are_shown_and_only_live_ones_are_counted():
    peers = (
        SessionStatus(OTHER, "192.0.2.7", "up", 61.0, 1000, 2000),
        SessionStatus("", "tcp://[2001:db8::1]:6697", "waiting", 0.0, 0, 0),
    )
    alone = {"neighbours": (), "routes": (), "links": (), "spaces": (), "drops": {}}
    text = status_text(to_json(snapshot(sessions=peers, **alone)))
    assert text.startswith("OK  abcd-efgh-ijkl-mnop  0 neighbours, 1 peer, 1 node, sync 100 %\n")
    assert [line.split() for line in text.splitlines()[3:]] == [
        ["peers"],
        ["node", "by", "state", "for", "received", "sent"],
        *(line.split() for line in (
            "qrst-uvwx-yz23-4567 192.0.2.7 up 1 min 1 s 1.0 kB 2.0 kB",
            "- tcp://[2001:db8::1]:6697 waiting - 0 B 0 B",
        )),
    ]  # fmt: skip
    dead = headline(to_json(snapshot(sessions=peers[1:], **alone)))
    assert dead.startswith("ALONE") and dead.endswith("0 neighbours, 0 nodes, nobody to sync with")


def test_route_that_is_not_in_use_counts_no_node():
    first, second = snapshot().routes
    gone = replace(second, selected=False, metric=0xFFFF)
    assert ", 1 node, " in headline(to_json(snapshot(routes=(first, gone))))


def test_sync_is_never_rounded_up_to_complete():
    def percent(entries, behind):
        space = SpaceStatus("s", None, "writer", 1, entries, behind, 0)
        return sync_percent(to_json(snapshot(spaces=(space,))))

    assert percent(100_000, 1) == 99
    assert percent(0, 5) == 0
    assert percent(0, 0) == 100


def test_one_node_on_two_links_is_one_neighbour():
    first = snapshot().neighbours[0]
    both = (first, type(first)("wlan1", "fe80::9", OTHER, 96, 96, 96, 1.0, 1.0, True))
    assert ", 2 nodes" in headline(to_json(snapshot(neighbours=both)))
    assert "  1 neighbour, " in headline(to_json(snapshot(neighbours=both)))


def test_nothing_from_elsewhere_reaches_the_terminal_raw():
    space = SpaceStatus("s", "a\x1b[2Jb\nc", "writer", 1, 1, 0, 0)
    text = status_text(to_json(snapshot(spaces=(space,))))
    assert "\x1b" not in text and "a\ufffd[2Jb\ufffdc" in text
    assert clean("ü€\u202e") == "ü€\ufffd"


def test_odd_values_are_shown_and_do_not_stop_it():
    for value in ({}, {"neighbours": 7, "drops": [], "spaces": [1, None], "node": 4}):
        assert status_text(value).startswith("ALONE")
    assert neighbours_text({"neighbours": [{}]}).count("-") >= 3


def test_units():
    assert [size(item) for item in (0, 999, 1000, 1_234_567, 5e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 MB",
        "5.0 TB",
    ]
    assert NODE not in status_text(to_json(snapshot()))


def test_name_that_a_neighbour_gives_itself_is_marked_and_stands_beside_its_id():
    first, second = snapshot().neighbours
    named = (replace(first, calls_itself="B"), replace(second, names=("Ada", "Adele")))
    assert neighbours_text(to_json(snapshot(neighbours=named))) == NAMES
    forged = replace(first, calls_itself="\x1b[2JBen")
    assert "\x1b" not in neighbours_text(to_json(snapshot(neighbours=(forged,))))


def test_sync_is_not_called_whole_while_neighbours_hold_something_else():
    def head(**fields):
        (space,) = snapshot().spaces
        return headline(to_json(snapshot(spaces=(replace(space, **fields),))))

    assert head().endswith("sync 100 %")
    assert head(unlike=1).endswith("sync under way")
    assert head(unheld=1).endswith("sync 100 %, 1 own entry not known elsewhere")
    assert head(unheld=2).endswith("2 own entries not known elsewhere")
    assert head(behind=10, unlike=1).endswith("sync 80 %")


def test_what_is_on_its_way_by_lora_stands_under_the_spaces():
    (space,) = snapshot().spaces
    waits = "entry 5 of Ada (20 kB) waits for pieces by LoRa\x1b"
    text = status_text(to_json(snapshot(spaces=(replace(space, waits=(waits,)),))))
    assert "garden: entry 5 of Ada (20 kB) waits for pieces by LoRa\ufffd" in text


def test_radio_that_hears_nobody_says_what_to_look_at():
    value = {"radios": [{"name": "lora0", "state": "up"}]}
    assert "set to the same frequency, spreading factor" in status_text(value)
    for other in (
        {"neighbours": [{"node": "a"}]},
        {"radios": [{"name": "lora0", "state": "away"}]},
    ):
        assert "same frequency" not in status_text({**value, **other})


def test_radio_that_hears_another_mesh_alone_asks_for_the_key_and_not_for_antennas():
    radio = {"name": "lora0", "state": "up", "heard": 10}
    value = {"radios": [radio], "drops": {"frame-foreign": {"lora0": 10}}}
    said = status_text(value)
    assert "10 frames of another mesh heard" in said and "same key_file" in said
    assert "same frequency" not in said
    for other in (
        {"radios": [{**radio, "heard": 11}]},
        {"drops": {"frame-foreign": {"lora1": 10}}},
    ):
        said = status_text({**value, **other})
        assert "same frequency" in said and "another mesh" not in said
    nothing = {"radios": [{**radio, "heard": 0}], "drops": {}}
    assert "same frequency" in status_text(nothing)
