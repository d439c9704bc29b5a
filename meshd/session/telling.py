"""What people are shown of sessions, and of configured peers that have none.

Enters: the roster of sessions, the targets that are dialled. Leaves: statuses and problems.
"""

from meshd.core.ids import node_text
from meshd.core.snapshot import Problem, SessionStatus
from meshd.session.peers import PEER_TRIES, Targets
from meshd.session.roster import Roster


def statuses(roster: Roster, targets: Targets, now: int) -> tuple[SessionStatus, ...]:
    """Return the sessions, and the configured peers that have none."""
    up = [
        SessionStatus(
            node=node_text(conn.peer.node) if conn.peer else "",
            via=conn.ends.way,
            state="up",
            age_s=(now - conn.up_us) / 1e6,
            rx_bytes=conn.rx_bytes,
            tx_bytes=conn.tx_bytes,
        )
        for conn in roster.all()
    ]
    waiting = [
        SessionStatus(
            node=node_text(target.node) if target.node else "",
            via=str(target.key[1]),
            state="dialling" if target.dialling else "waiting",
            age_s=0.0,
            rx_bytes=0,
            tx_bytes=0,
        )
        for target in targets.all()
        if target.key[0] == "peer" and roster.of_node(target.node) is None
    ]
    return (*up, *waiting)


def problems(roster: Roster, targets: Targets) -> tuple[Problem, ...]:
    """Return a problem for each configured peer that was tried again and is not reached."""
    return tuple(
        Problem(
            "peer-unreachable",
            f"no connection to peer {target.key[1]}",
            "is its address right, does meshd run there, does a firewall block it? "
            "It is tried again at least once a minute",
        )
        for target in targets.all()
        if target.key[0] == "peer"
        and target.failures >= PEER_TRIES
        and roster.of_node(target.node) is None
    )
