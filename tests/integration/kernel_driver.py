"""Drives one `Kernel` by JSON lines on stdin, in whatever namespace it was started in."""

import ctypes
import json
import os
import struct
import sys
from pathlib import Path
from select import select
from time import perf_counter, process_time

from meshd.core.events import LinkKind, RouteInstalled, RouteRemoved
from meshd.core.ids import OPEN_MESH_ID, parse_prefix
from meshd.runtime import firewall, netlink, sysctl
from meshd.runtime.firewall import Admit
from meshd.runtime.kernel import Kernel
from meshd.runtime.netlink import KernelError
from meshd.runtime.tun import Tun
from meshd.wire.ip_lora import Packet


def change(item):
    prefix = parse_prefix(item[0])
    if len(item) == 1:
        return RouteRemoved(prefix)
    next_hop = parse_prefix(item[2]).address if item[2] else b""
    return RouteInstalled(prefix, item[1], next_hop, 256)


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

    def tun_open(self):
        """Make the device and take it into the mesh, as a daemon with a radio does."""
        self.tun = Tun()
        self.kernel.link_added(self.tun.name, LinkKind.MESH)

    def tun_read(self):
        """Return the next packet of the kernel that goes to one node, in hex."""
        while select([self.tun], [], [], 2.0)[0]:
            for packet in self.tun.read():
                if packet[24] != 0xFF:
                    return packet.hex()
        return None

    def tun_count(self):
        """Read until nothing comes any more; return how many packets came."""
        count = 0
        while select([self.tun], [], [], 0.5)[0]:
            count += len(list(self.tun.read()))
        return count

    def tun_write(self, packet):
        self.tun.write(bytes.fromhex(packet))

    def tun_answer(self):
        """Answer the next echo as the node that it is for; return who asked whom."""
        asked = Packet.decode(bytes.fromhex(self.tun_read()), OPEN_MESH_ID)
        answer = asked._replace(
            source=asked.destination,
            destination=asked.source,
            content=asked.content._replace(reply=True),
        )
        self.tun.write(answer.encode(OPEN_MESH_ID))
        return [asked.source.hex(), asked.destination.hex(), asked.hop_limit]

    def tun_close(self):
        self.tun.close()

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
