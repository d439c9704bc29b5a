"""The bounded tables of the session room: buckets, known keys."""

from meshd.core.buckets import Buckets
from meshd.session.known import KNOWN_MAX, TWINS_MAX, Keys, KnownPeers


def test_bucket_gives_its_burst_then_one_each_interval():
    buckets = Buckets(burst=3, interval_us=10, sources_max=4)
    assert [buckets.allow("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert [buckets.allow("a", now) for now in (9, 10, 11, 20)] == [False, True, False, True]
    assert buckets.allow("b", 20)


def test_buckets_forget_the_source_that_was_quiet_longest():
    buckets = Buckets(burst=1, interval_us=1000, sources_max=2)
    for source in "abac":
        buckets.allow(source, 0)
    assert len(buckets) == 2
    assert not buckets.allow("a", 1) and buckets.allow("b", 1)


def test_known_keys_are_bounded_and_the_oldest_goes():
    known = KnownPeers()
    for number in range(KNOWN_MAX + 10):
        assert known.meet(number.to_bytes(10, "big"), Keys(bytes(32), bytes(32)))
    assert len(known) == KNOWN_MAX
    assert known.static((9).to_bytes(10, "big")) is None
    assert known.static((10).to_bytes(10, "big")) == bytes(32)
    assert known.static(None) is None


def test_names_go_with_the_keys_of_their_nodes():
    known = KnownPeers()
    known.named(b"stranger", "Ben")
    assert known.names() == {}
    for number in range(KNOWN_MAX + 1):
        node = number.to_bytes(10, "big")
        known.meet(node, Keys(bytes(32), bytes(32)))
        known.named(node, f"n{number}")
    assert len(known.names()) == KNOWN_MAX == len(known.nodes())
    known.named(node, "")
    assert node not in known.names()


def test_new_session_key_of_the_same_device_replaces_the_old():
    known = KnownPeers()
    assert known.meet(b"n", Keys(b"device", b"old")) and known.meet(b"n", Keys(b"device", b"new"))
    assert known.static(b"n") == b"new"


def test_twins_are_refused_from_then_on_and_bounded():
    known = KnownPeers()
    nodes = [number.to_bytes(10, "big") for number in range(TWINS_MAX + 5)]
    for node in nodes:
        assert known.meet(node, Keys(b"one", b""))
        assert not known.meet(node, Keys(b"two", b""))
        assert not known.meet(node, Keys(b"one", b""))
    assert sum(not known.meet(node, Keys(b"one", b"")) for node in nodes) == TWINS_MAX
