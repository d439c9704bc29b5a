"""Modems of one kind on one desk, opened: one alone, or two that are set."""

from meshd.radio.modem import Broken, Configured
from meshd.simulation.modems.desk import Desk
from meshd.simulation.schedule import SECOND


def alone(make, emulator, *, faults=()):
    """One modem that is being opened."""
    plug = Desk().plug(make(), emulator, faults=faults)
    plug.open()
    return plug


def pair(make, emulator, *, faults=(), others=(), loss_db=110.0):
    """Two modems that are set, or of no use; `faults` are those of the first."""
    desk = Desk(loss_db=loss_db)
    plugs = [desk.plug(make(), emulator, faults=names) for names in (faults, others)]
    for plug in plugs:
        plug.open()
    for plug in plugs:
        plug.wait(Configured | Broken, 30 * SECOND)
    return plugs
