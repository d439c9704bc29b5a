"""A small disk of a test's own: a tmpfs in a user namespace, to be filled to the last byte."""

import shutil
import subprocess

import pytest


def boxed(folder, size, *argv):
    """Return how to run a command where a disk of that size is mounted at `folder`."""
    shell = f'mount -t tmpfs -o size={size} none "$0" && exec "$@"'
    box = ["unshare", "--user", "--map-root-user", "--mount"]
    return [*box, "sh", "-ec", shell, str(folder), *argv]


def need_small_disk(folder):
    """Skip a test where the host itself forbids such a mount; nothing else is a reason."""
    if shutil.which("unshare") is None or subprocess.run(boxed(folder, "1m", "true")).returncode:
        pytest.skip("this host lets nobody mount a tmpfs in a user namespace")
