"""What people are shown of sessions, and of configured peers that have none.

Enters: the roster of sessions, the targets that are dialled. Leaves: statuses and problems.
"""

from meshd.core.drops import DropReason
from meshd.core.events import NAME_UNASKED, NAME_UNKNOWN, NO_ANSWER, NO_ROUTE, REFUSED
from meshd.core.ids import node_text
from meshd.core.snapshot import Problem, SessionStatus
from meshd.session.peers import PEER_TRIES, Target, Targets
from meshd.session.roster import Roster

_AGAIN = "It is tried again at least once a minute"
_RUNS = "does meshd run there, on that port?"
_ONLINE = "is this machine online?"
_CAUSES = {
    NAME_UNKNOWN: ("there is no such name", "is the name right, as the others know it?"),
    NAME_UNASKED: (
        "no name server answers, so nobody knows its address",
        f"{_ONLINE} An address in place of the name needs no name server",
    ),
    REFUSED: ("its machine answers, and nothing takes connections on that port", _RUNS),
    NO_ROUTE: ("this machine has no way to that address", f"{_ONLINE} Is the address right?"),
    NO_ANSWER: (
        "nothing answers there",
        f"is its address right, {_RUNS[:-1]}, does a firewall block it?",
    ),
    DropReason.NODE_SELF.value: ("that is this node itself", "give another node's address"),
    DropReason.SESSION_OTHER_MESH.value: (
        "a node of another mesh answers",
        "give the address of a node of this one",
    ),
}
"""Why a configured peer is not reached, for people, and what to do."""


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
        _unreachable(target)
        for target in targets.all()
        if target.key[0] == "peer"
        and target.failures >= PEER_TRIES
        and roster.of_node(target.node) is None
    )


def _unreachable(target: Target) -> Problem:
    usual = (target.why, f"is its address right, {_RUNS}")
    cause, remedy = _CAUSES.get(target.why, usual)
    text = f"no connection to peer {target.key[1]}: {cause}"
    end = "" if remedy.endswith("?") else "."
    return Problem("peer-unreachable", text, f"{remedy}{end} {_AGAIN}")
