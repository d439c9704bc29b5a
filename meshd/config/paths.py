"""Where a node keeps its state, and what the files there are called.

Enters: the environment. Leaves: paths as text. Imported by every command, so it loads nothing else.
"""

import os

SYSTEM_STATE_DIR = "/var/lib/meshd"
KEY_FILE = "device.key"
LOCK_FILE = "lock"
BALLAST_FILE = "ballast"
ADDRESS_FILE = "address"
CONTROL_SOCKET = "control.sock"
CONFIG_FILE = "meshd.toml"
CONTROL_GROUP = "meshd-admin"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Where Linux tells this boot of the machine from every other one."""


def default_state_dir() -> str:
    """Return $MESHD_STATE_DIR, else the system's place for root, else the user's own."""
    said = os.environ.get("MESHD_STATE_DIR")
    if said:
        return os.path.abspath(said)
    if os.geteuid() == 0:
        return SYSTEM_STATE_DIR
    return os.path.expanduser("~/.local/state/meshd")
