"""What all tests share: namespaces where possible, Hypothesis without a clock, alike in CI."""

import os
import signal

import pytest
from hypothesis import settings

from meshd.lab import namespaces as laboratory

settings.register_profile("house", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("house")

TEST_S_MAX = 420


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Fail a test that hangs, by name, instead of the whole run."""

    def hung(*_):
        raise TimeoutError(f"{item.nodeid} took more than {TEST_S_MAX} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(TEST_S_MAX)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let every other worker begin with the tests that wait, the others with those that compute."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from daemons.workers import WaitersFirst  # here, for xdist may be missing

    return WaitersFirst(config, log)


def pytest_collection_modifyitems(items):
    """Skip what needs namespaces where there are none, and say why."""
    wanting = [item for item in items if item.get_closest_marker("netns")]
    why = laboratory.obstacle() if wanting else None
    for item in wanting:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture
def lab(tmp_path):
    """A lab of namespaces for one test, gone at its end."""
    with laboratory.Lab("test", folder=tmp_path) as made:
        yield made
