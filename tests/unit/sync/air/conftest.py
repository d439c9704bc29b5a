"""Two members of a space in earshot of each other, who have met."""

import pytest
from devices.air_net import MINUTE, AirNet


@pytest.fixture
def net():
    net = AirNet()
    net.anna, net.ben = net.home(2)
    net.run(5 * MINUTE)
    return net
