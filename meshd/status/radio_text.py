"""LoRa radios of a snapshot as tables: how each is set, what it may send, what its hour went for.

Enters: the JSON form of a snapshot. Leaves: lines. It imports nothing of size: `meshd status` must
start fast.
"""

from meshd.status.cells import Row, clean, measured, number, rows_of, table

_PARTS = ("control", "relayed", "own", "unknown")
"""What an hour of airtime is spent for; unknown: before a restart."""


def radios_text(value: Row) -> str:
    """Return the table of radios, or nothing."""
    rows = [
        (
            row.get("name"),
            row.get("port"),
            row.get("state"),
            row.get("model") or row.get("kind"),
            row.get("region"),
            _channel(row),
            measured(row, "tx_dbm", "dBm"),
            measured(row, "noise_dbm", "dBm"),
            row.get("sent"),
            row.get("heard"),
            str(row["protection"]).split(":")[0] if "protection" in row else None,
        )
        for row in rows_of(value, "radios")
    ]
    head = ("name", "port", "state", "modem", "region", "channel", "power", "noise")
    return table((*head, "sent", "heard", "protection"), rows) if rows else ""


def advice_text(value: Row) -> str:
    """Return what the owner of each radio should know, and what to do; or nothing."""
    return "\n".join(
        f"{clean(row.get('name'))}: {clean(row['advice'])}"
        for row in rows_of(value, "radios")
        if row.get("advice")
    )


def duty_text(value: Row) -> str:
    """Return the airtime of the radios that may send, or nothing."""
    rows = [
        (
            row.get("name"),
            row.get("band"),
            _airtime(row, "airtime_15_s_ms"),
            _airtime(row, "airtime_hour_ms"),
            _airtime(row, "airtime_hour_max_ms") or "no limit",
            _airtime(row, "left_file_ms"),
            _airtime(row, "left_text_ms"),
            _airtime(row, "left_ms"),
            row.get("waiting"),
        )
        for row in rows_of(value, "radios")
        if row.get("band") is not None
    ]
    head = ("name", "band", "sent in 15 s", "in 1 h", "allowed")
    left = ("left for files", "messages", "distress", "waiting")
    return table((*head, *left), rows) if rows else ""


def spent_text(value: Row) -> str:
    """Return what the hour of each radio was spent for, or nothing."""
    rows = [
        (row.get("name"), *(_airtime(row, f"hour_{part}_ms") for part in _PARTS))
        for row in rows_of(value, "radios")
        if row.get("band") is not None
    ]
    return table(("name", "in 1 h for: control", *_PARTS[1:]), rows) if rows else ""


def _airtime(row: Row, key: str) -> str | None:
    return f"{number(row, key) / 1000:.1f} s" if key in row else None


def _channel(row: Row) -> str | None:
    if "frequency_mhz" not in row:
        return None
    rate = f"SF{int(number(row, 'spreading_factor'))}/{number(row, 'bandwidth_khz'):g}"
    return f"{number(row, 'frequency_mhz'):g} MHz {rate}"
