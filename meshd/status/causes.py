"""Why a node does not answer, in a sentence and with a next step, as far as this node can know.

Enters: a node's status and what `who` says of the other node, both as JSON. Leaves: what is so, and
what to do. Only what is so is said: where several causes are possible, all of them are named.
"""

from meshd.status.cells import Row, clean, grouped, rows_of


def silence(status: Row, who: Row) -> tuple[str, str]:
    """Return why `who` may not have answered, and what to do next; texts for people."""
    closed = [row for row in rows_of(status, "radios") if row.get("state") != "up"]
    near = grouped(who.get("nearest"))
    if who.get("heard") is False and (near or not (who.get("way") or closed)):
        return (
            "nothing was heard of that node since this one started",
            f"is the id right? {near} is known here" if near else "is the id right?",
        )
    if who.get("way"):
        by = (
            "LoRa" if who["way"] == "lora" else "IP and LoRa" if "lora" in str(who["way"]) else "IP"
        )
        return (
            f"there is a way to it by {by}: it may be off, out of reach, or without airtime",
            "`meshd routes` and `meshd neighbours` show how well it is reached; `meshd status`"
            " shows what this node may still send",
        )
    if closed:
        listed = ", ".join(f"{clean(row.get('name'))}: {clean(row.get('state'))}" for row in closed)
        advice = next((clean(row["advice"]) for row in closed if row.get("advice")), "")
        return f"a radio of this node is not at work ({listed})", advice or "`meshd radio list`"
    if status.get("mode") == "leaf" and not status.get("radios"):
        return (
            "this node runs as a leaf (--leaf, or no root): it syncs, but has no routes to ping by",
            "run it as root and without --leaf",
        )
    if status.get("mode") == "leaf":
        return (
            "there is no way to it by LoRa now, and a leaf has no routes by WiFi or cable",
            "`meshd neighbours` shows whom the radio hears; who came in reach is known in a minute",
        )
    return (
        "there is no route to it now",
        "`meshd routes` shows whom there are; is it running, and near enough?",
    )
