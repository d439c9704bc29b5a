"""The distance vector on LoRa: who is a next hop, what is told when, what is asked for."""

from random import Random

from meshd.routing.lora import (
    DESTINATIONS_MAX,
    NEIGHBOURS_MAX,
    SILENT_MAX,
    LoraRoutes,
    Rules,
)
from meshd.wire.lora_routes import DISTANCE_MAX, UNREACHABLE, RouteEntry, Routes, Want

S = 1_000_000
OWN, B, C, D = b"\x00\x01", b"\x00\x02", b"\x00\x03", b"\x00\x04"
RULES = Rules(soon_us=20 * S)


def hears_me(*more, seqno=0):
    return Routes(seqno, (RouteEntry(OWN, 0, 15, heard=True), *more))


def one():
    routes = LoraRoutes(OWN, RULES, Random(1), 0)
    routes.heard(B, 10.0, 0)
    routes.learn(B, hears_me(RouteEntry(D, 4, 30, heard=False)), 0)
    return routes


def entries(routes, now):
    said = routes.build(now, 200)
    return {entry.short: entry for entry in said.entries} if said else {}


def test_only_who_hears_us_is_a_next_hop():
    routes = LoraRoutes(OWN, RULES, Random(1), 0)
    routes.heard(B, 10.0, 0)
    routes.learn(B, Routes(0, (RouteEntry(D, 4, 30, heard=False),)), 0)
    assert not routes.ways(B)
    assert not routes.ways(D)
    routes.learn(B, hears_me(), 0)
    assert routes.ways(B) == [(B, 15)]
    assert routes.ways(D) == [(B, 45)]
    assert (routes.distance(B), routes.distance(D), routes.distance(C)) == (1, 3, DISTANCE_MAX)


def test_a_neighbour_that_hears_us_no_more_is_left():
    routes = one()
    routes.learn(B, Routes(1, (RouteEntry(OWN, 0, UNREACHABLE, heard=False),)), S)
    assert not routes.ways(D)


def test_a_weak_link_costs_more():
    routes = one()
    routes.heard(C, 1.0, 0)
    routes.learn(C, hears_me(RouteEntry(D, 4, 30, heard=False)), 0)
    assert routes.ways(D) == [(B, 45), (C, 48)]


def test_what_was_told_bounds_what_is_believed():
    routes = one()
    assert entries(routes, 60 * S)[D].metric == 45
    routes.heard(C, 10.0, 61 * S)
    routes.learn(C, hears_me(RouteEntry(D, 4, 45, heard=False)), 61 * S)
    assert [via for via, _ in routes.ways(D)] == [B]
    routes.learn(C, hears_me(RouteEntry(D, 5, 45, heard=False)), 62 * S)
    assert [via for via, _ in routes.ways(D)] == [B, C]


def test_a_lost_way_is_told_and_a_later_seqno_asked_for():
    routes = one()
    entries(routes, 60 * S)
    routes.learn(B, hears_me(RouteEntry(D, 4, 60, heard=False)), 61 * S)
    assert not routes.ways(D)
    said = routes.build(routes.due_us(), 200)
    assert said.wants == (Want(D, 5),)
    assert {entry.short: entry.metric for entry in said.entries}[D] == UNREACHABLE


def test_the_origin_answers_a_want_with_a_later_seqno():
    routes = one()
    routes.learn(B, hears_me()._replace(wants=(Want(OWN, 5),)), S)
    assert routes.build(routes.due_us(), 200).seqno == 5


def test_a_want_goes_on_once():
    routes = one()
    for now in (S, 2 * S):
        routes.learn(B, hears_me()._replace(wants=(Want(D, 9),)), now)
    assert routes.build(routes.due_us(), 200).wants == (Want(D, 9),)
    routes.learn(B, hears_me()._replace(wants=(Want(D, 9),)), 90 * S)
    assert all(not said.wants for said in rest(routes, 400 * S))


def rest(routes, until_us):
    while (now := routes.due_us()) < until_us:
        yield routes.build(now, 200)


def test_quiet_nodes_tell_all_once_a_period():
    routes, said = one(), []
    for hour in range(10):
        routes.heard(B, 10.0, hour * 3600 * S)
        routes.learn(B, hears_me(RouteEntry(D, 4, 30, heard=False)), hour * 3600 * S)
        said.append(len(list(rest(routes, (hour + 1) * 3600 * S))))
    assert 6 <= sum(said[1:]) <= 13


def test_a_large_table_is_told_more_seldom():
    routes = one()
    for number in range(400):
        entry = RouteEntry(bytes((1 + number // 250, number % 250)), 0, 30, heard=False)
        routes.learn(B, hears_me(entry), 0)
    assert routes.period_us() > 5000 * S


def test_a_neighbour_that_stays_silent_is_no_next_hop_until_heard():
    routes = one()
    for _ in range(SILENT_MAX):
        routes.failed(B, S)
    assert not routes.ways(D)
    routes.heard(B, 10.0, 2 * S)
    assert routes.ways(D)


def test_what_nobody_repeats_is_forgotten():
    routes = one()
    list(rest(routes, 9 * 3600 * S))
    assert not routes.ways(D)
    assert not routes.neighbours
    assert not routes.known


def test_tables_are_bounded():
    routes = LoraRoutes(OWN, RULES, Random(1), 0)
    for number in range(2 * DESTINATIONS_MAX):
        short = (number + 10).to_bytes(2, "big")
        routes.heard(short, 9.0, 0)
        entry = RouteEntry((number + 3000).to_bytes(2, "big"), 0, 9, heard=False)
        routes.learn(short, hears_me(entry)._replace(wants=(Want(entry.short, 3),)), 0)
    assert len(routes.neighbours) == NEIGHBOURS_MAX
    assert len(routes.known) <= DESTINATIONS_MAX
    assert len(routes.build(routes.due_us(), 235).encode()) <= 235
