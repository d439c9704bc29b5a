"""The reference of plan files, made from the schema itself.

A test looks for it in docs/simulator.md, so that the page never lags behind.
"""

from meshd.config.reference import section, title
from meshd.simulation.plan_schema import SUN, TABLES, TOP


def reference() -> str:
    """Return the part of the page that lists every key."""
    parts = [section(TOP, "The whole")]
    for table in TABLES:
        parts.append(section(table, title(table)))
        if table.name == "nodes":
            parts.append(section(SUN, "`sun`"))
    return "\n".join(parts)
