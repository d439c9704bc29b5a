"""The page of documentation of the configuration file, made from the schema itself.

A test compares it with docs/configuration.md, so that the page never lags behind.
"""

from textwrap import fill

from meshd.config.schema import TABLES, TOP
from meshd.config.table import Table

_HEAD = """\
# Configuration

meshd needs no configuration file: `meshd run --interface wlan0` joins the open mesh and works. A
file holds what should survive in one place. It is TOML, named by `--config FILE`; without that
option `STATE_DIR/meshd.toml` is read when it exists. Options of `meshd run` go before the file: a
single value replaces the file's, and `--interface`, `--admit` and `--peer` replace its whole list.

The file is read strictly. An unknown key, a wrong type or a bad value stops the start with exit
code 7, and every mistake is listed with file and line:

```
meshd.toml:1: interfce: unknown key, did you mean "interface"?
meshd.toml:5: log_level: "loud" is not a choice (known: debug, info, warning, error)
```

## The state directory

`--state-dir`, else `MESHD_STATE_DIR`, else `/var/lib/meshd` for root and `~/.local/state/meshd` for
others. Only its owner may look inside. Where the group `control_group` exists, its members may pass
through to the control socket (the directory is then 0710 and the socket 0660); where it does not,
the directory is 0700 and the socket 0600.

| file | what it is |
|---|---|
| `device.key` | the device's secret keys, mode 0600; whoever has it is this node |
| `store.db`, `chunks/` | what is kept: feeds, and files as encrypted chunks |
| `airtime`, `airtime.copy` | what radios sent in this hour, as the law counts it over restarts |
| `counters`, `counters.copy` | the number of the last start, for when there is no store |
| `control.sock` | where the commands reach the daemon |
| `address` | the node's address, while the daemon is up |
| `lock` | held by the running daemon; holds its process id |
| `ballast` | 256 KiB that give way when a start finds the disk full |
| `host.json` | what was changed on the host and will be restored |
| `meshd.toml` | the configuration, if there is one |
"""


def markdown() -> str:
    """Return the whole page."""
    parts = [_HEAD, "## Keys\n", section(TOP, "The node")]
    parts += [section(table, title(table)) for table in TABLES]
    parts += ["## A file with every key\n", "```toml\n" + example() + "```\n"]
    return "\n".join(parts)


def example() -> str:
    """Return a valid file that sets every key."""
    blocks = []
    for table in (TOP, *TABLES):
        lines = [title(table).strip("`")] if table.name else []
        skipped = {"ca_file"}
        for key in table.keys:
            mark = "# " if key.name in skipped else ""
            lines.append(f"{mark}{key.name} = {key.example}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def title(table: Table) -> str:
    """Return how a table's head is written in a file."""
    return f"`[[{table.name}]]`" if table.many else f"`[{table.name}]`"


def section(table: Table, head: str) -> str:
    """Return a table's part of the page under the heading `head`."""
    rows = ["| key | value | default | what it does |", "|---|---|---|---|"]
    for key in table.keys:
        default = key.default if " " in key.default else f"`{key.default}`"
        rows.append(f"| `{key.name}` | {key.shape} | {default} | {key.about} |")
    about = fill(table.about, 128, break_long_words=False, break_on_hyphens=False)
    return f"### {head}\n\n{about}\n\n" + "\n".join(rows) + "\n"
