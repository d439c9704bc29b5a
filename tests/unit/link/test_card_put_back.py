"""A card that was put back, among radios that do not listen before they talk."""

from copy import deepcopy
from dataclasses import replace

import pytest
from radios.mesh import Mesh

from meshd.simulation.media.modules import module_of


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_card_that_was_put_back_is_met_again_though_modems_do_not_listen(seed):
    """All who hear its stale beacon ask at different times, so that its answer is heard."""
    mesh = Mesh(3, seed=seed, running=False)
    for host in mesh.hosts:
        setting = host.lora.radio.setting
        host.lora.radio.setting = replace(setting, module=module_of("rn2483"))
        host.lora.power_on()
    mesh.until_complete(1200)
    back = mesh.hosts[0]
    card = deepcopy(back.store)
    for store in (back.store, card):
        back.crash()
        mesh.run(1)
        back.store = store
        back.start()
        mesh.run(120)
    assert mesh.hosts[1].node.snapshot(mesh.hosts[1].now).drops["beacon-stale"]
    assert len(back.routes) == 2
