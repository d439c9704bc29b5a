"""The reference of plan files, made from the schema itself.

A test looks for it in docs/simulator.md, so that the page never lags behind.
"""

from meshd.config.reference import section, title
from meshd.simulation.plan.schema import SUN, TABLES, TOP
from meshd.simulation.plan.uses import FAULT_KEYS, PARTITION_KEYS


def reference() -> str:
    """Return the part of the page that lists every key."""
    parts = [section(TOP, "The whole")]
    for table in TABLES:
        parts.append(section(table, title(table)))
        if table.name == "nodes":
            parts.append(section(SUN, "`sun`"))
    return "\n".join([*parts, _fault_keys()])


def _fault_keys() -> str:
    """Return which keys each kind of fault uses, beside its times."""
    rows = ["| kind | keys that it uses |", "|---|---|"]
    for kind, keys in FAULT_KEYS.items():
        several = PARTITION_KEYS.items() if kind == "partition" else [("", keys)]
        for mode, used in several:
            shown = ", ".join(f"`{key}`" for key in used)
            rows.append(f"| {kind}{mode and f', {mode}'} | {shown} |")
    return "\n".join(rows) + "\n"
