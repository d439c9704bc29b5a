"""A node's snapshot as MQTT topics and payloads, version 1.

Enters: a snapshot. Leaves: JSON objects of at most 4 KiB, each with `v`, `id`, `boot` and `seq`.
What is unknown is absent, units stand in the names, names never change within a version.
Ref: docs/mqtt.md.
"""

import json

from meshd.core.limits import RADIOS_MAX
from meshd.core.snapshot import NeighbourStatus, NodeSnapshot, RadioStatus

VERSION = 1
PAYLOAD_BYTES_MAX = 4096
NEIGHBOURS_MAX = 32
LINKS_MAX = 16
PROBLEMS_MAX = 16
CHANGE_MIN = 0.05
CHANGE_MIN_DB = 3.0
"""Decibels are a logarithm already, and a signal wavers by one or two."""
_INFINITE = 0xFFFF
_NEVER_A_CHANGE = {"seq", "up", "age", "heard_s", "drops", "sent", "heard", "tx_15s_pct"}
_DECIBELS = ("_db", "_dbm")
_SECONDS_15_MS, _HOUR_MS = 15_000, 3_600_000

Json = dict[str, object]


def topic(snapshot: NodeSnapshot, name: str) -> str:
    """Return the topic of one of this node's payloads."""
    return f"meshd/v{VERSION}/{snapshot.mesh}/{snapshot.node}/{name}"


def info(snapshot: NodeSnapshot) -> Json:
    """Return what seldom changes: name, version, mode, address, interfaces."""
    links = [{"if": link.name, "kind": link.kind} for link in snapshot.links[:LINKS_MAX]]
    shown = {**_head(snapshot), "ver": snapshot.version, "mode": snapshot.mode}
    if snapshot.name:
        shown["name"] = snapshot.name
    shown |= {"addr": snapshot.address, "ifaces": links}
    if snapshot.radios:
        shown["radios"] = [_radio_info(radio) for radio in snapshot.radios[:RADIOS_MAX]]
    return shown


def state(snapshot: NodeSnapshot) -> Json:
    """Return the main numbers."""
    routed = {route.node or route.prefix for route in snapshot.routes if route.selected}
    near = {row.node or row.address for row in snapshot.neighbours}
    net: Json = {"neigh": len(near), "nodes": len(routed - {snapshot.node}), "routes": len(routed)}
    qualities = [_quality(row) for row in snapshot.neighbours]
    if qualities:
        net |= {"best_q": max(qualities), "worst_q": min(qualities)}
    behind = sum(space.behind for space in snapshot.spaces)
    entries = sum(space.entries for space in snapshot.spaces)
    complete = 100 if not behind else min(99, 100 * entries // (entries + behind))
    sync: Json = {"spaces": len(snapshot.spaces), "behind": behind, "pct": complete}
    radios = {radio.name: _radio(radio) for radio in snapshot.radios[:RADIOS_MAX]}
    return {
        **_head(snapshot),
        "up": int(snapshot.uptime_s),
        "ver": snapshot.version,
        "net": net,
        **({"radio": radios} if radios else {}),
        "sync": sync,
        "drops": sum(sum(links.values()) for links in snapshot.drops.values()),
        "problems": [problem.code for problem in snapshot.problems[:PROBLEMS_MAX]],
    }


def neighbours(snapshot: NodeSnapshot) -> Json:
    """Return the best neighbours, at most 32, and how many there are in all."""
    ranked = sorted(snapshot.neighbours, key=lambda row: (row.cost, row.link, row.address))
    shown = {**_head(snapshot), "total": len(ranked)}
    return {**shown, "neighbours": [_neighbour(row) for row in ranked[:NEIGHBOURS_MAX]]}


def encode(payload: Json) -> bytes:
    """Return compact JSON; a list that makes it too long loses its tail."""
    while True:
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        longest = max(
            (key for key, value in payload.items() if isinstance(value, list) and value),
            key=lambda key: len(str(payload[key])),
            default=None,
        )
        if len(data) <= PAYLOAD_BYTES_MAX or longest is None:
            return data
        value = payload[longest]
        assert isinstance(value, list)
        payload = {**payload, longest: value[: len(value) * 3 // 4]}


def changed(old: object, new: object) -> bool:
    """Tell whether two payloads differ by more than 5 % somewhere that is not mere time."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = (old.keys() | new.keys()) - _NEVER_A_CHANGE
        return any(_differ(key, old.get(key), new.get(key)) for key in keys)
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip(old, new, strict=False)
        return len(old) != len(new) or any(changed(*pair) for pair in pairs)
    if isinstance(old, int | float) and isinstance(new, int | float):
        return abs(new - old) > CHANGE_MIN * max(abs(old), abs(new))
    return old != new


def _differ(key: str, old: object, new: object) -> bool:
    if key.endswith(_DECIBELS) and isinstance(old, int | float) and isinstance(new, int | float):
        return abs(new - old) >= CHANGE_MIN_DB
    return changed(old, new)


def _head(snapshot: NodeSnapshot) -> Json:
    return {"v": VERSION, "id": snapshot.node, "boot": snapshot.boot, "seq": snapshot.seq}


def _neighbour(row: NeighbourStatus) -> Json:
    shown: Json = {"id": row.node} if row.node else {"addr": row.address}
    shown |= {"if": row.link, "q": _quality(row), "age": int(row.age_s)}
    if row.last_heard_s is not None:
        shown["heard_s"] = int(row.last_heard_s)
    for name, cost in (("cost", row.cost), ("rxcost", row.rxcost), ("txcost", row.txcost)):
        if cost < _INFINITE:
            shown[name] = cost
    return shown | _known(rssi_dbm=row.rssi_dbm, snr_db=row.snr_db)


def _radio_info(radio: RadioStatus) -> Json:
    """Return what seldom changes of a radio: what it is, and how it is set."""
    return {"if": radio.name, "kind": radio.kind} | _known(
        model=radio.model,
        region=radio.region,
        freq_mhz=radio.frequency_mhz,
        sf=radio.spreading_factor,
        bw_khz=radio.bandwidth_khz,
        tx_dbm=radio.tx_dbm,
        protection=radio.protection,
    )


def _radio(radio: RadioStatus) -> Json:
    """Return the numbers of a radio; its airtime is that of the node in its band."""
    left_ms = radio.left_ms
    return {"state": radio.state} | _known(
        tx_15s_pct=_percent(radio.airtime_15_s_ms, _SECONDS_15_MS),
        tx_1h_pct=_percent(radio.airtime_hour_ms, _HOUR_MS),
        duty_max_pct=_percent(radio.airtime_hour_max_ms, _HOUR_MS),
        duty_left_s=None if left_ms is None else left_ms // 1000,
        noise_dbm=radio.noise_dbm,
        sent=radio.sent,
        heard=radio.heard,
        wait=radio.waiting,
    )


def _percent(part_ms: int | None, whole_ms: int) -> float | None:
    return None if part_ms is None else round(100 * part_ms / whole_ms, 2)


def _known(**values: object) -> Json:
    """Return what is known of these values: what is unknown is absent, never 0."""
    return {name: value for name, value in values.items() if value is not None}


def _quality(row: NeighbourStatus) -> float:
    return round(row.reach, 2)
