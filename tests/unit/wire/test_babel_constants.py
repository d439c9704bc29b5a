"""What the outside world fixed."""

from meshd.core.ids import ALL_BABEL_ROUTERS, address_text
from meshd.core.limits import BABEL_PORT


def test_group_and_port_are_those_of_rfc_8966():
    assert address_text(ALL_BABEL_ROUTERS) == "ff02::1:6"
    assert BABEL_PORT == 6696
