"""Drives one `Kernel` by JSON lines on stdin, in whatever namespace it was started in."""

import ctypes
import json
import os
import struct
import sys
from pathlib import Path
from time import perf_counter, process_time

from meshd.core.events import LinkKind, RouteInstalled, RouteRemoved
from meshd.core.ids import parse_prefix
from meshd.runtime import firewall, netlink, sysctl
from meshd.runtime.firewall import Admit
from meshd.runtime.kernel import Kernel
from meshd.runtime.netlink import KernelError


def change(item):
    prefix = parse_prefix(item[0])
    if len(item) == 1:
        return RouteRemoved(prefix)
    return RouteInstalled(prefix, item[1], parse_prefix(item[2]).address, 256)


class Driver:
    def make(self, state_dir, address, mesh, admit=(), **hindrances):
        self.hinder(**hindrances)
        self.kernel = Kernel(
            state_dir=Path(state_dir),
            address=parse_prefix(address).address,
            mesh=parse_prefix(mesh),
            admit=tuple(Admit(*item) for item in admit),
        )

    def hinder(self, old_kernel=False, no_nft=False, drop_rights=False):
        """Make the host one that lacks something, before the kernel is touched."""
        if old_kernel:
            sysctl.can_force = lambda name: False
        if no_nft:
            firewall._SBIN = os.environ["PATH"] = ""
        if drop_rights:
            header = struct.pack("=Ii", 0x20080522, 0)  # Capabilities, version 3, of this process.
            assert ctypes.CDLL(None).capset(header, bytes(24)) == 0

    def die_after(self, writes):
        """End the process, as a power cut would, before one more setting is written."""
        write, left = sysctl._write, [writes]

        def counted(path, value):
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            write(path, value)

        sysctl._write = counted

    def codec_us(self, count):
        """Return the CPU time that pyroute2's codec takes for one route message."""
        start = process_time()
        for number in range(count):
            value = {
                "family": 10,
                "dst_len": 128,
                "proto": 143,
                "attrs": [
                    ("RTA_TABLE", 6696),
                    ("RTA_DST", f"fd01:203:405::{number:x}"),
                    ("RTA_GATEWAY", "fe80::1"),
                    ("RTA_PREFSRC", "fd01:203:405::2"),
                    ("RTA_OIF", 1),
                    ("RTA_PRIORITY", 1024),
                ],
            }
            netlink.encode(netlink.RTM_NEWROUTE, 0x500, netlink.load_codecs().route, value)
        return (process_time() - start) * 1e6 / count

    def recover(self):
        self.kernel.recover()

    def start(self, links):
        self.kernel.start({name: LinkKind(kind) for name, kind in links.items()})

    def stop(self):
        self.kernel.stop()

    def link_added(self, name, kind):
        self.kernel.link_added(name, LinkKind(kind))

    def link_removed(self, name):
        self.kernel.link_removed(name)

    def protected(self):
        return sorted(str(prefix) for prefix in self.kernel.protected())

    def apply(self, changes):
        return [[str(prefix), why] for prefix, why in self.kernel.apply(list(map(change, changes)))]

    def timed(self, changes):
        values = [change(item) for item in changes]
        wall, cpu = perf_counter(), process_time()
        failed = self.kernel.apply(values)
        return {
            "failed": len(failed),
            "wall_us": (perf_counter() - wall) * 1e6 / len(values),
            "cpu_us": (process_time() - cpu) * 1e6 / len(values),
        }


def main():
    driver = Driver()
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        try:
            answer = {"value": getattr(driver, verb)(**arguments)}
        except KernelError as error:
            answer = {"error": error.text, "remedy": error.remedy, "code": int(error.code)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
