"""What became of the messages: who should have had each, who had it, and how long it took.

Enters: messages as they are asked, accepted, refused and delivered, in virtual time. Leaves: counts
and shares by kind of traffic, percentiles of delay, and the same by time of asking. The rules are
the same for meshd and its rivals. Must not know: how anything is carried.

What is counted: a pair of message and intended receiver. Somebody whose device is off asks nothing
(`skipped`), and whose device dies before it answers has asked nothing either. What a node refused
(`failed`) did not arrive: it is due like all else. A receiver whose device was never on from the
asking to the end is `absent` and owed nothing; one that is off now and on later is owed the
message. A call is not kept for later: whom it finds without power is `absent` too. `reachable`
counts only pairs between which, at the time of asking, a chain of working links went both ways.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from meshd.simulation.outcome import Json

_SHARES = ((50, "p50"), (90, "p90"), (99, "p99"), (100, "max"))
_ERRORS_MAX = 20
_NAMED_MAX = 20
LOST_POWER = "the device lost its power before it answered"
_APART = "no chain of working links joined the two"
_LATE = {
    "broadcast": "it was not there by the end",
    "direct": "it did not get through in time",
    "message": "it was not there by the end",
    "file": "it was not there whole by the end",
}


@dataclass(slots=True, eq=False)
class Message:
    """One thing that somebody asked for. `accepted`: its node promised to keep it.

    `off` are receivers that are owed nothing, since they had no power when it had to come at once.
    """

    kind: str
    sender: int
    asked_us: int
    due: dict[int, bool]
    got_us: dict[int, int] = field(default_factory=dict)
    accepted: bool = False
    error: str = ""
    off: frozenset[int] = frozenset()

    def delivered(self, receiver: int, now: int) -> None:
        """Note the first arrival at an intended receiver."""
        if receiver in self.due:
            self.got_us.setdefault(receiver, now)


class Score:
    """All messages of a run."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._messages: dict[str, list[Message]] = {kind: [] for kind in kinds}
        self._skipped: dict[str, int] = {}
        self._on: dict[int, int] = {}

    def ask(
        self, kind: str, sender: int, now: int, due: dict[int, bool], *, off: Iterable[int] = ()
    ) -> Message:
        """Begin a message; `due` tells of each intended receiver whether it can be reached now.

        `off`: receivers without power now. A call owes them nothing.
        """
        made = Message(kind, sender, now, due)
        if kind == "direct":
            made.off = frozenset(off)
        self._messages[kind].append(made)
        return made

    def skip(self, kind: str) -> None:
        """Note that somebody would have asked, but their device was off."""
        self._skipped[kind] = self._skipped.get(kind, 0) + 1

    def seen_on(self, host: int, now: int) -> None:
        """Note that a host is running at this time."""
        self._on[host] = now

    def kinds(self) -> list[Json]:
        """Return one table for each kind."""
        return [
            {"kind": kind, "skipped": self._skipped.get(kind, 0), **self._table(messages)}
            for kind, messages in self._messages.items()
        ]

    def total(self) -> Json:
        """Return the table of everything together."""
        everything = [one for messages in self._messages.values() for one in messages]
        return {"skipped": sum(self._skipped.values()), **self._table(everything)}

    def hosts(self, names: Sequence[str]) -> list[Json]:
        """Return what became of each host's messages, and of those that it should have had."""
        rows = [_HostRow() for _ in names]
        for messages in self._messages.values():
            for one, receiver in self._pairs(messages):
                rows[one.sender].sent(receiver, arrived=receiver in one.got_us)
                got_us = one.got_us.get(receiver)
                rows[receiver].received(None if got_us is None else got_us - one.asked_us)
        return [row.as_json(name, names) for name, row in zip(names, rows, strict=True)]

    def buckets(self, bucket_us: int, count: int) -> list[Json]:
        """Return what became of the messages asked in each stretch of time."""
        grouped: list[list[Message]] = [[] for _ in range(count)]
        for messages in self._messages.values():
            for one in messages:
                grouped[min(one.asked_us // bucket_us, count - 1)].append(one)
        return [self._bucket(group) for group in grouped]

    def _bucket(self, group: list[Message]) -> Json:
        pairs = self._pairs(group)
        delays = _delays(pairs)
        return {
            "asked": len(group),
            "due": len(pairs),
            "delivered": len(delays),
            "delay_ms": _percentiles(delays),
        }

    def _table(self, messages: list[Message]) -> Json:
        pairs = self._pairs(messages)
        near = [(one, receiver) for one, receiver in pairs if one.due[receiver]]
        delays, near_delays = _delays(pairs), _delays(near)
        owed = sum(len(one.due) for one in messages if one.error != LOST_POWER)
        return {
            "asked": len(messages),
            "accepted": sum(one.accepted for one in messages),
            "failed": _most(one.error for one in messages if one.error),
            "undelivered": _most(
                _why(one, receiver) for one, receiver in pairs if receiver not in one.got_us
            ),
            "absent": owed - len(pairs),
            **_share(len(delays), len(pairs)),
            "reachable": _share(len(near_delays), len(near)),
            "delay_ms": _percentiles(delays),
        }

    def _pairs(self, messages: list[Message]) -> list[tuple[Message, int]]:
        return [
            (one, receiver)
            for one in messages
            if one.error != LOST_POWER
            for receiver in one.due
            if receiver in one.got_us
            or (receiver not in one.off and self._on.get(receiver, -1) >= one.asked_us)
        ]


class _HostRow:
    """One host as a sender and as a receiver."""

    def __init__(self) -> None:
        self._arrived: dict[int, bool] = {}
        self._sent = [0, 0]
        self._due = 0
        self._delays: list[int] = []

    def sent(self, receiver: int, *, arrived: bool) -> None:
        """Count one message of it for somebody."""
        self._sent[0] += 1
        self._sent[1] += arrived
        self._arrived[receiver] = self._arrived.get(receiver, False) or arrived

    def received(self, delay_us: int | None) -> None:
        """Count one message for it, which took so long, or never came."""
        self._due += 1
        if delay_us is not None:
            self._delays.append(delay_us)

    def as_json(self, name: str, names: Sequence[str]) -> Json:
        """Return the row; `unreached` names whom nothing of it ever reached."""
        missed = [names[number] for number in sorted(self._arrived) if not self._arrived[number]]
        times = _percentiles(sorted(self._delays))
        return {
            "name": name,
            "sent": _share(self._sent[1], self._sent[0]),
            "received": _share(len(self._delays), self._due),
            "delay_ms": times and times["p50"],
            "reached": len(self._arrived) - len(missed),
            "wanted": len(self._arrived),
            "unreached": missed[:_NAMED_MAX],
        }


def _delays(pairs: Sequence[tuple[Message, int]]) -> list[int]:
    return sorted(
        one.got_us[receiver] - one.asked_us for one, receiver in pairs if receiver in one.got_us
    )


def _share(delivered: int, due: int) -> Json:
    share = round(100 * delivered / due, 2) if due else None
    return {"due": due, "delivered": delivered, "percent": share}


def _percentiles(delays: list[int]) -> Json | None:
    """Return milliseconds by the nearest rank; None when nothing arrived."""
    if not delays:
        return None
    last = len(delays)
    return {
        name: round(delays[max(0, -(-share * last // 100) - 1)] / 1000, 1)
        for share, name in _SHARES
    }


def _why(one: Message, receiver: int) -> str:
    """Return why a message is not there."""
    if one.error:
        return f"refused: {one.error}"
    return _LATE[one.kind] if one.due[receiver] else _APART


def _most(reasons: Iterable[str]) -> Json:
    """Return how often each reason came, the rarest beyond a bound together."""
    counts: dict[str, int] = {}
    for one in reasons:
        counts[one] = counts.get(one, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept: Json = dict(ranked[:_ERRORS_MAX])
    if len(ranked) > _ERRORS_MAX:
        kept["others"] = sum(count for _, count in ranked[_ERRORS_MAX:])
    return kept
