"""The LoRa dialect of routing: who is a next hop, what is told when, what is asked for."""

from itertools import pairwise

from pytest import mark
from radios.talk import RULES, S, Talker, address, node, plain, prefix

from meshd.core.airtime import Modulation
from meshd.core.buckets import Buckets
from meshd.core.crowd import NEIGHBOURS_MAX
from meshd.core.events import RouteInstalled
from meshd.core.ids import address_text
from meshd.routing.lora.asked import ASKED_MAX, FLOOD_AFTER, WANT_AGAIN, Asked
from meshd.routing.lora.dialect import SILENT_MAX
from meshd.routing.lora.peer import DOUBT_SOON
from meshd.routing.lora.questions import SPARSE
from meshd.routing.lora.rules import rules_for
from meshd.routing.lora.words import AGAIN, LOST, RESEND, ROWS_MAX, STILL
from meshd.routing.requests import STARVE_US
from meshd.wire.lora_routes import DISTANCE_MAX, UNREACHABLE, Ask, NamedEntry, Routes, Want

OWN, B, C, D = 1, 2, 3, 4


def short(number):
    return node(number)[:2]


def names(teller, *rows, seqno=0, **more):
    """Return an item with named entries: (number, seqno, metric, heard)."""
    named = tuple(NamedEntry(node(n), s, m, heard=h) for n, s, m, h in rows)
    return Routes(seqno, named=named, **more)


def hears_me(*more, seqno=0, **options):
    return names(B, (OWN, 0, 15, True), *more, seqno=seqno, **options)


def one():
    """Return a node that hears B, and by it of D."""
    talker = Talker(OWN)
    talker.lora.heard(node(B), 10.0, 0)
    talker.lora.learn(node(B), hears_me((D, 4, 30, False)), 0)
    return talker


def ways(talker, number):
    return [(int.from_bytes(via, "big"), steps) for via, steps in talker.lora.ways(short(number))]


def told(talker, now):
    """Return metrics by NodeId of the item that is due by `now`."""
    said = talker.lora.build(now, 200)
    if said is None:
        return {}
    by_short = {row.node[:2]: row.node for row in talker.lora._words.rows.values()}
    plain_rows = {by_short[entry.short]: entry.metric for entry in said.entries}
    return plain_rows | {entry.node: entry.metric for entry in said.named}


def rest(talker, until_us):
    """Let time pass; return all that is said."""
    while (now := talker.lora.due_us()) < until_us:
        talker.at(now)
        if (said := talker.lora.build(now, 200)) is not None:
            yield said


def test_only_who_hears_us_is_a_next_hop():
    talker = Talker(OWN)
    lora = talker.lora
    lora.heard(node(B), 10.0, 0)
    lora.learn(node(B), names(B, (D, 4, 30, False)), 0)
    assert not lora.ways(short(B)) and not lora.ways(short(D))
    lora.learn(node(B), hears_me((D, 4, 30, False)), 0)
    assert ways(talker, B) == [(B, 15)]
    assert ways(talker, D) == [(B, 45)]
    far = (lora.distance(short(B)), lora.distance(short(D)), lora.distance(short(C)))
    assert far == (1, 3, DISTANCE_MAX)
    assert lora.distance(short(OWN)) == lora.distance(node(OWN)) == 0


def test_who_shows_that_it_hears_us_is_reached_before_it_says_so():
    talker = Talker(OWN)
    talker.lora.heard(node(B), None, 0)
    talker.lora.hears(node(B), 0)
    assert ways(talker, B) == [(B, 15)]
    assert talker.lora.cost(node(B)) == talker.lora.hop_cost == 15 * 256


def test_routes_leave_as_events_and_are_told_in_status():
    talker = one()
    events = [event for event in talker.ctx.events if isinstance(event, RouteInstalled)]
    assert RouteInstalled(prefix(D), "lora0", address(B), 45 * 256) in events
    (row,) = [row for row in talker.babel.routes(S) if row.prefix == str(prefix(D))]
    assert (row.link, row.next_hop, row.selected) == ("lora0", address_text(address(B)), True)
    assert row.router_id == address(D)[8:].hex(":", 2)


def test_a_neighbour_that_hears_us_no_more_is_left():
    talker = one()
    talker.lora.learn(node(B), names(B, (OWN, 0, UNREACHABLE, False), seqno=1), S)
    assert not talker.lora.ways(short(D))


def test_a_weak_link_costs_more():
    talker = one()
    talker.lora.heard(node(C), 1.0, 0)
    talker.lora.learn(node(C), names(C, (OWN, 0, 15, True), (D, 4, 30, False)), 0)
    assert ways(talker, D) == [(B, 45), (C, 48)]


def test_who_may_be_gone_is_a_next_hop_where_there_is_no_other_and_until_it_is_heard():
    talker = one()
    talker.lora.late({node(B)}, S)
    assert ways(talker, D) == [(B, 90)]
    talker.lora.heard(node(C), 10.0, S)
    talker.lora.learn(node(C), names(C, (OWN, 0, 15, True), (D, 4, 30, False)), S)
    assert ways(talker, D) == [(C, 45), (B, 90)]
    (row,) = [
        row for row in talker.babel.routes(S) if row.prefix == str(prefix(D)) and row.selected
    ]
    assert row.next_hop == address_text(address(C))
    talker.lora.heard(node(B), 10.0, 2 * S)
    assert ways(talker, D) == [(B, 45), (C, 45)]


@mark.parametrize("near", [2, SPARSE, SPARSE + 1])
def test_where_the_next_hop_may_be_gone_better_ways_are_asked_for_but_not_in_a_crowd(near):
    talker = one()
    for number in range(100, 98 + near):
        talker.lora.heard(node(number), 10.0, 0)
    told(talker, 60 * S)
    talker.lora.heard(node(C), 10.0, 60 * S)
    talker.lora.learn(node(C), names(C, (OWN, 0, 15, True), (D, 3, 15, False)), 60 * S)
    assert ways(talker, D) == [(B, 45)]
    assert not [want for said in rest(talker, 600 * S) for want in said.wants]
    talker.lora.late({node(B)}, 600 * S)
    wants = [want for said in rest(talker, 620 * S) for want in said.wants]
    assert wants == ([Want(short(D), 5)] if near <= SPARSE else [])


def test_a_hop_costs_what_its_spreading_factor_does():
    costs = [rules_for(Modulation(factor)).hop_cost * 256 for factor in range(7, 13)]
    assert (costs[0], costs[-1]) == (3_072, 4_096)
    assert costs == sorted(costs)


def test_what_was_told_bounds_what_is_believed():
    talker = one()
    assert told(talker, 60 * S)[node(D)] == 45
    talker.lora.heard(node(C), 10.0, 61 * S)
    hears = (OWN, 0, 15, True)
    talker.lora.learn(node(C), names(C, hears, (D, 4, 45, False)), 61 * S)
    assert [via for via, _ in ways(talker, D)] == [B]
    talker.lora.learn(node(C), names(C, hears, (D, 5, 45, False)), 62 * S)
    assert [via for via, _ in ways(talker, D)] == [B, C]


def test_what_was_told_is_kept_for_as_long_as_it_is_believed():
    talker = one()
    told(talker, 60 * S)
    talker.lora.learn(node(B), hears_me((D, 4, UNREACHABLE, False)), 61 * S)
    for hour in range(1, 4):
        talker.at(hour * 3600 * S)
    talker.lora.heard(node(C), 10.0, 3 * 3600 * S)
    stale = names(C, (OWN, 0, 15, True), (D, 4, 60, False))
    talker.lora.learn(node(C), stale, 3 * 3600 * S)
    assert not talker.lora.ways(short(D))


def test_a_lost_way_is_told_and_a_later_seqno_asked_for():
    talker = one()
    told(talker, 60 * S)
    talker.lora.heard(node(C), 10.0, 60 * S)
    talker.lora.learn(node(C), names(C, (OWN, 0, 15, True), (D, 4, 60, False)), 60 * S)
    talker.lora.learn(node(B), hears_me((D, 4, UNREACHABLE, False)), 61 * S)
    assert not talker.lora.ways(short(D))
    talker.at(61 * S + STARVE_US)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert said.wants == (Want(short(D), 5),)
    assert UNREACHABLE in {entry.metric for entry in said.entries}


def test_what_is_lost_and_not_answered_is_asked_for_again_ever_more_seldom():
    talker = one()
    told(talker, 60 * S)
    talker.lora.heard(node(C), 10.0, 60 * S)
    talker.lora.learn(node(C), names(C, (OWN, 0, 15, True), (D, 4, 60, False)), 60 * S)
    talker.lora.learn(node(B), hears_me((D, 4, UNREACHABLE, False)), 61 * S)
    asked = []
    for now in range(61 * S, 1_500 * S, S // 10):
        talker.at(now)
        said = talker.lora.build(now, 200)
        if said is not None and said.wants:
            assert said.wants == (Want(short(D), 5),)
            asked.append(now)
    pauses, want_us = [later - before for before, later in pairwise(asked)], RULES.want_us
    for pause, times in zip(pauses, RESEND, strict=True):
        assert (times - 1) * want_us <= pause <= (2 * times + 1) * want_us


def test_the_origin_answers_a_want_with_a_later_seqno():
    talker = one()
    talker.lora.learn(node(B), hears_me()._replace(wants=(Want(short(OWN), 1),)), S)
    assert talker.lora.build(talker.lora.due_us(), 200).seqno == 1
    talker.lora.learn(node(B), hears_me()._replace(wants=(Want(short(OWN), 700),)), 60 * S)
    assert talker.lora.build(talker.lora.due_us(), 200).seqno == 700


def test_the_origin_answers_a_want_when_it_has_nothing_else_to_say():
    talker, at = one(), 3000 * S
    list(rest(talker, at))
    talker.lora.learn(node(B), hears_me()._replace(wants=(Want(short(OWN), 700),)), at)
    assert talker.lora.awaited() and talker.lora.due_us() <= at + 2 * RULES.want_us
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert said.seqno == 700 and not said.entries and not talker.lora.awaited()
    talker.lora.unsaid(at + 60 * S)
    assert talker.lora.awaited()
    assert talker.lora.build(talker.lora.due_us(), 200).seqno == 700


def passed_on(asker, *rows):
    """Return when a want of D, heard again and again, goes on: this node has a way by B."""
    talker, on = one(), []
    talker.lora._questions._wants = Buckets(burst=10_000, interval_us=S, sources_max=1)
    talker.lora.heard(node(asker), 10.0, 0)
    talker.lora.learn(node(asker), hears_me(*rows), 0)
    for now in range(S, S + 2 * sum(WANT_AGAIN) * RULES.want_us, S // 4):
        talker.lora.learn(node(asker), hears_me()._replace(wants=(Want(short(D), 9),)), now)
        if talker.lora.due_us() <= now:
            said = talker.lora.build(now, 200)
            if said is not None and said.wants:
                assert said.wants == (Want(short(D), 9),)
                on.append(now)
    return on


def test_a_want_that_comes_back_goes_on_ever_more_seldom():
    on = passed_on(C)
    assert on[0] <= S + 2 * RULES.want_us
    pauses = [later - before for before, later in pairwise(on)]
    for pause, times in zip(pauses, (*WANT_AGAIN, WANT_AGAIN[-1]), strict=False):
        assert abs(pause - times * RULES.want_us) <= 2 * RULES.want_us + S
    assert len(WANT_AGAIN) <= len(pauses) <= len(WANT_AGAIN) + 1


@mark.parametrize(("asker", "rows"), [(B, ()), (C, ((D, 4, 20, False),))])
def test_a_want_goes_to_who_is_nearer_and_only_when_it_stays_elsewhere_too(asker, rows):
    on, all_on = passed_on(asker, *rows), passed_on(C)
    assert len(on) == len(all_on) - FLOOD_AFTER
    assert on[0] >= S + sum(WANT_AGAIN[:FLOOD_AFTER]) * RULES.want_us


def test_each_want_has_its_own_pauses_and_the_latest_are_remembered():
    asked = Asked(RULES)
    for number in range(ASKED_MAX + 1):
        assert asked.may_want(Want(short(D), number), S)
        assert not asked.may_want(Want(short(D), number), S)
    assert not asked.may_want(Want(short(D), 1), S)
    assert asked.may_want(Want(short(D), 0), S)


def test_who_passed_a_want_on_tells_the_answer_whatever_it_said_meanwhile():
    talker = one()
    talker.lora.heard(node(C), 10.0, 0)
    talker.lora.learn(node(C), hears_me(), 0)
    list(rest(talker, 3000 * S))
    at = 3000 * S
    talker.lora.learn(node(C), hears_me()._replace(wants=(Want(short(D), 5),)), at)
    talker.lora._words.tell(talker.lora._words.rows[node(D)], at)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert said.wants and [(e.short, e.seqno) for e in said.entries] == [(short(D), 4)]
    talker.lora.learn(node(B), hears_me((D, 5, 30, False)), at + 5 * S)
    due_us = talker.lora.due_us()
    assert talker.lora.awaited() and due_us <= at + 5 * S + 2 * RULES.want_us
    (entry,) = talker.lora.build(due_us, 200).entries
    assert (entry.short, entry.seqno) == (short(D), 5)


def test_a_want_is_answered_by_who_has_it():
    talker = one()
    list(rest(talker, 3000 * S))
    talker.lora.learn(node(B), hears_me()._replace(wants=(Want(short(D), 4),)), 3000 * S)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert [entry.short for entry in said.entries] == [short(D)] and not said.wants


def test_quiet_nodes_tell_all_once_a_period():
    talker, said = one(), []
    for hour in range(10):
        talker.lora.heard(node(B), 10.0, hour * 3600 * S)
        talker.lora.learn(node(B), hears_me((D, 4, 30, False)), hour * 3600 * S)
        said.append(len(list(rest(talker, (hour + 1) * 3600 * S))))
    assert 6 <= sum(said[1:]) <= 13


def test_all_that_is_learnt_at_the_start_is_told_within_minutes():
    talker, heard = one(), set()
    for start in range(10, 60, 10):
        rows = [(number, 0, 30, False) for number in range(start, start + 10)]
        talker.lora.learn(node(B), hears_me(*rows), 0)
    for said in rest(talker, 600 * S):
        heard |= {named.node for named in said.named if named.metric < UNREACHABLE}
    assert heard >= {node(number) for number in range(10, 60)}


def test_another_length_of_a_way_is_told_once_and_later():
    talker = one()
    list(rest(talker, 3600 * S))
    before = talker.lora.due_us()
    talker.lora.learn(node(B), hears_me((D, 5, 60, False)), 3600 * S)
    row = talker.lora._words.rows[node(D)]
    assert row.repeats == 1
    assert talker.lora.due_us() >= min(before, 3600 * S + STILL * RULES.soon_us)
    talker.lora.learn(node(B), hears_me((D, 6, UNREACHABLE, False)), 3600 * S)
    assert row.repeats == 2


def test_a_large_table_is_told_more_seldom():
    talker = one()
    for start in range(10, 410, 10):
        rows = [(number, 0, 30, False) for number in range(start, start + 10)]
        talker.lora.learn(node(B), hears_me(*rows), 0)
    assert talker.lora.period_us() > 5000 * S


def test_a_neighbour_that_stays_silent_is_no_next_hop_until_heard():
    talker = one()
    for _ in range(SILENT_MAX):
        talker.lora.failed(short(B), S, own=True)
    assert not talker.lora.ways(short(D))
    talker.lora.heard(node(B), 10.0, 2 * S)
    assert talker.lora.ways(short(D))


def test_silences_on_messages_of_others_count_now_and_then_and_it_is_asked():
    talker = one()
    list(rest(talker, 60 * S))
    now, apart_us = 61 * S, DOUBT_SOON * talker.lora.rules.soon_us
    for _ in range(9):
        talker.lora.failed(short(B), now, own=False)
    assert talker.lora.ways(short(D)), "a stranger can send as many as it likes at a time"
    asked = [ask for said in rest(talker, now + apart_us) for ask in said.asks]
    assert asked.count(Ask(short(B), short(OWN))) == 1
    for later in range(1, SILENT_MAX):
        talker.lora.failed(short(B), now + later * apart_us, own=False)
    assert not talker.lora.ways(short(D)), "it has said nothing for long, though it was asked"
    talker.lora.heard(node(B), 10.0, now + SILENT_MAX * apart_us)
    assert talker.lora.ways(short(D))


def lose(talker, *numbers):
    """Have B lose nodes at the first hour; return when this one said so until the fourth, of D."""
    times = []
    for hour in range(4):
        lost = [(number, 4, UNREACHABLE, False) for number in numbers if hour]
        talker.lora.heard(node(B), 10.0, hour * 3600 * S)
        talker.lora.learn(node(B), hears_me(*lost), hour * 3600 * S)
        for said in rest(talker, (hour + 1) * 3600 * S):
            gone = [entry.short for entry in said.entries if entry.metric == UNREACHABLE]
            gone += [entry.node[:2] for entry in said.named if entry.metric == UNREACHABLE]
            if short(D) in gone:
                times.append(talker.lora._words.rows[node(D)].said_us)
    return times


def test_who_missed_that_a_way_is_lost_hears_it_with_later_words():
    """Islands 14251: told twice and never again, it was believed for three and a half hours."""
    talker = one()
    times = lose(talker, D)
    assert len(times) == 4
    assert max(times[:2]) < (3600 + 300) * S
    assert times[2] - times[1] >= 3600 * S // AGAIN
    assert times[-1] < 3 * 3600 * S + 1800 * S
    assert node(D) not in talker.lora._words.rows


def test_what_was_lost_before_it_was_told_is_not_told_so_often():
    talker = one()
    talker.lora.learn(node(B), hears_me((D, 4, UNREACHABLE, False)), 0)
    assert len(lose(talker, D)) <= 2


def test_words_that_never_left_are_said_again_soon():
    talker, now = one(), 3600 * S
    list(rest(talker, now))
    talker.lora.learn(node(B), hears_me((D, 4, UNREACHABLE, False)), now)
    times = []
    while (due_us := talker.lora.due_us()) < now + 600 * S:
        if told(talker, due_us).get(node(D)) == UNREACHABLE:
            times.append(due_us)
            if len(times) < 5:
                talker.lora.unsaid(due_us)
    assert len(times) > 5 and times[4] - times[3] < 2 * RULES.soon_us * STILL


@mark.parametrize(("count", "left"), [(ROWS_MAX // 2, ROWS_MAX // 2), (ROWS_MAX, 0)])
def test_what_is_lost_gives_way_where_rows_are_many(count, left):
    words = Talker(OWN).lora._words
    for number in range(10, 10 + count):
        words.row(node(number), prefix(number)).lost = LOST
    words.forget()
    assert len(words.rows) == left


def test_what_nobody_repeats_is_forgotten():
    talker = one()
    list(rest(talker, 12 * 3600 * S))
    assert not talker.lora.ways(short(D))
    assert not talker.lora.peers
    assert not talker.lora._words.rows


def test_a_neighbour_that_restarts_is_asked_anew_and_relied_on_no_more():
    talker = one()
    talker.lora.learn(node(B), Routes(9, boot=7), S)
    assert not talker.lora.ways(short(B)) and not talker.lora.ways(short(D))


def test_all_is_said_again_for_who_began_anew_soon_and_at_most_so_often_in_a_period():
    talker, hour_s = one(), 3600
    for _ in rest(talker, 2 * hour_s * S):
        pass
    assert talker.lora.due_us() > (2 * hour_s + 600) * S
    seqno, words = talker.babel.seqno, []
    for second in range(2 * hour_s, 3 * hour_s):
        talker.lora._words.again(second * S)
        words += [(second, said) for said in rest(talker, (second + 1) * S)]
    times = [second - 2 * hour_s for second, _ in words]
    assert 20 <= times[0] < 40
    assert AGAIN // 2 < len(times) <= AGAIN
    assert min(later - sooner for sooner, later in pairwise(times)) >= hour_s // AGAIN
    assert all(said.seqno == seqno and said.named + said.entries for _, said in words)


def test_while_the_modem_is_away_nobody_is_reached():
    talker = one()
    talker.lora.modem(S, up=False)
    assert not talker.lora.ways(short(D))
    talker.lora.modem(2 * S, up=True)
    assert talker.lora.ways(short(D))


def test_a_radio_that_goes_takes_its_routes_along():
    talker = one()
    talker.babel.radio_down("lora0", S)
    assert talker.babel.route_to(address(D)) is None


def test_tables_are_bounded_and_say_so():
    talker = Talker(OWN)
    for number in range(2, NEIGHBOURS_MAX + 10):
        talker.lora.heard(node(number), 9.0, number)
        talker.lora.heard(node(B), 9.0, number)
        assert {node(number), node(B)} <= talker.lora.peers.keys()
    assert len(talker.lora.peers) == NEIGHBOURS_MAX
    for start in range(1000, 1000 + 2 * ROWS_MAX, 10):
        rows = [(number, 0, 9, False) for number in range(start, start + 10)]
        talker.lora.learn(node(B), hears_me(*rows)._replace(wants=(Want(short(start), 3),)), 0)
    assert len(talker.lora._words.rows) == ROWS_MAX
    assert len(talker.lora.build(talker.lora.due_us(), 235).encode()) <= 235
    assert {"lora-neighbours-full", "lora-routes-full", "lora-names-full"} <= talker.drops()


def test_plain_entries_are_read_with_names_from_elsewhere():
    talker = one()
    talker.lora.heard(node(C), 10.0, 0)
    talker.lora.learn(node(C), plain(C, [(OWN, 0, 15, True), (D, 4, 15, False)]), S)
    assert ways(talker, D) == [(C, 30), (B, 45)]


def test_a_name_that_is_not_known_is_asked_for_and_then_what_waited_is_read():
    talker = one()
    talker.lora.heard(node(C), 10.0, S)
    talker.lora.learn(node(C), plain(C, [(OWN, 0, 15, True), (9, 8, 15, False)]), S)
    assert not talker.lora.ways(node(9)) and not talker.lora.ways(short(C))
    assert "lora-name-unknown" in talker.drops()
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert said.asks == (Ask(short(C), short(9)),)
    talker.lora.learn(node(C), names(C, (9, 8, 15, False)), 60 * S)
    assert ways(talker, 9) == [(C, 30)]
    assert (C, 15) in ways(talker, C)


def test_who_is_asked_for_a_name_tells_it():
    talker = one()
    list(rest(talker, 600 * S))
    talker.lora.heard(node(B), 10.0, 600 * S)
    ask = hears_me()._replace(asks=(Ask(short(OWN), short(D)),))
    talker.lora.learn(node(B), ask, 600 * S)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert [entry.node for entry in said.named] == [node(D)]
    everything = hears_me()._replace(asks=(Ask(short(OWN), short(OWN)),))
    talker.lora.learn(node(B), everything, 700 * S)
    said = talker.lora.build(talker.lora.due_us(), 200)
    assert {entry.node for entry in said.named} == {node(B), node(D)}


def test_what_another_asks_is_not_asked_again():
    talker = one()
    talker.lora.heard(node(C), 10.0, S)
    talker.lora.learn(node(C), plain(C, [(9, 8, 15, False)]), S)
    asked = hears_me()._replace(asks=(Ask(short(C), short(9)),))
    talker.lora.learn(node(B), asked, 2 * S)
    assert not [ask for said in rest(talker, 100 * S) for ask in said.asks]
