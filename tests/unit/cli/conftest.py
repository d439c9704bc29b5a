"""The daemon that commands of these tests ask."""

import pytest
from daemons.fake_host import served


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("MESHD_STATE_DIR", str(tmp_path))
    with served(tmp_path) as (host, _):
        yield host
