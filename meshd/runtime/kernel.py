"""What meshd sets up in the host's kernel, and takes down again: address, routes, rules, filter.

In: the links to work on, and the `RouteInstalled`/`RouteRemoved` of the routing engine. Out: a
kernel that forwards for the mesh, and after `stop` (or, after a crash, `recover`) a host that is as
it was. Everything carries our protocol number 143 or stands in `STATE_DIR/host.json`.

Policy of the route tables, in order of their rules:

    6696         to the mesh's /48    table 6696: nodes of the mesh, and `unreachable` for the rest
    6697         from an opened link  table 6697: what else was learned from the air
    6698         from an opened link  unreachable: the host's own routes are not for strangers
    32766        (the host's)         table main
    32800        all                  table 6697 again, for this host's own traffic

So nothing from the air precedes a network that the host knows, and a packet that came in over an
interface that forwards only because of meshd never meets the table main. Blocking calls, no thread:
netlink answers in microseconds. Ref: docs/decisions/0001-route-writes.md.
"""

import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from meshd.config.values import Admit
from meshd.core.errors import UsageError
from meshd.core.events import LinkKind, RouteInstalled, RouteRemoved
from meshd.core.ids import Prefix, address_text, is_link_local
from meshd.runtime import firewall, netlink, sysctl
from meshd.runtime.claim import claim, require_rights
from meshd.runtime.firewall import Policy
from meshd.runtime.hostfile import HostFile
from meshd.runtime.netlink import KernelError, NetlinkSocket, NextHop, RouteKey, decode, encode

TABLE_MESH, TABLE_OTHER = 6696, 6697
_RULE_MESH, _RULE_TRANSIT, _RULE_TRANSIT_END, _RULE_OTHER = 6696, 6697, 6698, 32800
_FR_ACT_TO_TBL, _FR_ACT_UNREACHABLE = 1, 7
_RTN_UNICAST, _RTN_UNREACHABLE = 1, 7
_METRIC_WORST = 0xFFFFFFFF
_RTM_F_CLONED = 0x200
_FLUSH_ROUNDS_MAX = 16
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
_LIFETIME_FOREVER = 0xFFFFFFFF
_MULTICAST = Prefix(b"\xff" + bytes(15), 8)


class Kernel:
    """One network namespace, as one daemon uses it. `address` is our packed mesh address.

    Call `recover`, then `start`; `stop` in every case. All methods may be called again: what is
    there already stays.
    """

    def __init__(
        self, *, state_dir: Path, address: bytes, mesh: Prefix, admit: Sequence[Admit] = ()
    ) -> None:
        self._address = address
        self._mesh = mesh
        self._admit = tuple(admit)
        self._record = HostFile(state_dir)
        self._sysctl = sysctl.Sysctl(self._record)
        self._links: dict[str, LinkKind] = {}
        self._host_forwarded = False
        self._lan: tuple[Prefix, ...] = ()
        self._netlink: NetlinkSocket | None = None
        self._claimed: socket.socket | None = None
        self._codecs: netlink.Codecs | None = None

    # --- life -------------------------------------------------------------------------------------

    def recover(self) -> tuple[Prefix, ...]:
        """Undo what a run that crashed left behind; return the prefixes of its routes.

        Raises: KernelError.
        """
        self._open()
        self._record.load()
        left = tuple(self._left_routes(TABLE_MESH)) + tuple(self._left_routes(TABLE_OTHER))
        self._clean()
        return left

    def start(self, links: Mapping[str, LinkKind]) -> None:
        """Set up the host for `links`, which need not exist yet; undo it all when that fails.

        Raises: KernelError.
        """
        self._open()
        sysctl.require_ipv6()
        self._host_forwarded = sysctl.host_forwards()
        self._links = {firewall.check_name(name): kind for name, kind in links.items()}
        try:
            self._lan = self._read_lan()
            firewall.install(self._policy())
            self._add_address()
            self._request(self._base_rules(), ignore=errno.EEXIST)
            self._request([self._unreachable()], ignore=errno.EEXIST)
            for name, kind in self._links.items():
                self._set_up_link(name, kind)
        except KernelError:
            with contextlib.suppress(KernelError):  # The first failure is the one to tell.
                self.stop()
            raise

    def stop(self) -> None:
        """Take down everything, and leave the host as it was. Raises: KernelError."""
        if self._netlink is None:
            return
        try:
            self._links = {}
            self._clean()
        finally:
            self._netlink.close()
            self._netlink = None
            if self._claimed:
                self._claimed.close()
                self._claimed = None

    # --- links ------------------------------------------------------------------------------------

    def link_added(self, name: str, kind: LinkKind) -> None:
        """Take an interface into the mesh, or set it up again after it went and came back.

        Raises: KernelError.
        """
        firewall.check_name(name)
        if self._links.get(name) is not kind:
            self._links[name] = kind
            self._lan = self._read_lan()
            firewall.install(self._policy())
        self._set_up_link(name, kind)

    def link_removed(self, name: str) -> None:
        """Give an interface back to the host. One that merely went away stays in the filter.

        Raises: KernelError.
        """
        if self._links.pop(name, None) is None:
            return
        self._delete_rules(name)
        self._sysctl.undo([name])
        self._lan = self._read_lan()
        firewall.install(self._policy())

    def mend_filter(self) -> None:
        """Set up the filter again after another program removed it. Raises: KernelError."""
        firewall.install(self._policy())

    def _set_up_link(self, name: str, kind: LinkKind) -> None:
        conf = f"conf/{name}"
        if kind is LinkKind.MESH:
            self._sysctl.set([(f"{conf}/accept_redirects", "0"), (f"{conf}/accept_ra", "0")])
        if self._is_opened(name):
            self._request(self._transit_rules(name), ignore=errno.EEXIST)
        if self._host_forwarded:
            return
        if sysctl.can_force("default"):
            self._sysctl.set([(f"{conf}/force_forwarding", "1")])
        else:
            self._sysctl.forward_everywhere()

    def _is_opened(self, name: str) -> bool:
        return self._links[name] is LinkKind.MESH or not self._host_forwarded

    def _policy(self) -> Policy:
        mesh = tuple(name for name, kind in self._links.items() if kind is LinkKind.MESH)
        return Policy(
            own=self._address,
            mesh=self._mesh,
            admit=self._admit,
            mesh_links=mesh,
            shared_links=tuple(name for name in self._links if name not in mesh),
            opened=tuple(name for name in self._links if self._is_opened(name)),
            opened_all=not self._host_forwarded and not sysctl.can_force("default"),
            lan=self._lan,
        )

    # --- routes -----------------------------------------------------------------------------------

    def apply(self, changes: Sequence[RouteInstalled | RouteRemoved]) -> list[tuple[Prefix, str]]:
        """Write route changes in order; return those that the kernel refused, and why.

        A route with an empty next hop leads to the interface itself.
        Raises: KernelError when nothing can be written at all.
        """
        failed: list[tuple[Prefix, str]] = []
        indices: dict[str, int] = {}
        batch: list[bytes] = []
        sent: list[RouteInstalled | RouteRemoved] = []
        for change in changes:
            key = self._key(change.prefix)
            if isinstance(change, RouteRemoved):
                batch.append(netlink.route_removal(key))
            elif not change.link:
                # Two messages: the kernel would keep the old route beside the new one. So it is
                # below, where a route leads to an interface that knows no neighbours.
                batch.append(netlink.route_removal(key))
                sent.append(RouteRemoved(change.prefix))
                batch.append(netlink.unreachable_message(key))
            else:
                index = indices.get(change.link) or _index(change.link)
                if not index:
                    failed.append((change.prefix, f"there is no interface {change.link}"))
                    continue
                indices[change.link] = index
                if not change.next_hop:
                    batch.append(netlink.route_removal(key))
                    sent.append(RouteRemoved(change.prefix))
                hop = NextHop(index, change.next_hop)
                batch.append(netlink.route_message(key, hop, self._address))
            sent.append(change)
        for refusal in self._socket().request(batch):
            change = sent[refusal.place]
            if isinstance(change, RouteRemoved) and refusal.errno in (errno.ESRCH, errno.ENODEV):
                continue  # The kernel removed it already, with its interface.
            failed.append((change.prefix, refusal.text))
        return failed

    def protected(self) -> tuple[Prefix, ...]:
        """Return the host's own networks, never to be accepted from the air.

        Those are the prefixes of table main and the routers that its default routes lead to. The
        filter follows what is found. Call it again when `LinkMonitor.take_host_changed` says so.
        Raises: KernelError.
        """
        lan = self._read_lan()
        if lan != self._lan:
            self._lan = lan
            firewall.install(self._policy())
        return tuple(dict.fromkeys(prefix for prefix, _ in self._main_prefixes()))

    def _key(self, prefix: Prefix) -> RouteKey:
        table = TABLE_MESH if self._mesh.contains(prefix) else TABLE_OTHER
        return RouteKey(table, prefix.address, prefix.length)

    def _read_lan(self) -> tuple[Prefix, ...]:
        mesh = {_index(name) for name, kind in self._links.items() if kind is LinkKind.MESH}
        found = {prefix for prefix, index in self._main_prefixes() if index not in mesh}
        return tuple(sorted(prefix for prefix in found if not self._mesh.contains(prefix)))

    def _main_prefixes(self) -> list[tuple[Prefix, int]]:
        """Return each prefix of table main with the interface it is on, and global routers."""
        found = []
        for data in self._dump_routes(netlink.RT_TABLE_MAIN):
            fields, attributes = decode(self._codec().route, data)
            if fields["type"] != _RTN_UNICAST or fields["flags"] & _RTM_F_CLONED:
                continue
            text = attributes.get("RTA_DST")
            if not fields["dst_len"]:
                text, length = attributes.get("RTA_GATEWAY"), 128
            else:
                length = fields["dst_len"]
            if text is None:
                continue
            address = socket.inet_pton(socket.AF_INET6, text)
            prefix = Prefix(address, length)
            if not is_link_local(address) and not _MULTICAST.contains(prefix):
                found.append((prefix, int(attributes.get("RTA_OIF", 0))))
        return found

    def _dump_routes(self, table: int) -> list[bytes]:
        item = encode(
            netlink.RTM_GETROUTE,
            0,
            self._codec().route,
            {"family": socket.AF_INET6, "attrs": [("RTA_TABLE", table)]},
        )
        return [data for data in self._socket().dump(item) if _route_table(data) == table]

    # --- setting up -------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._netlink is not None:
            return
        require_rights()
        self._claimed = claim()
        self._codecs = netlink.load_codecs()
        self._netlink = NetlinkSocket()

    def _add_address(self) -> None:
        """Give the loopback interface our address, for use by our routes only.

        Preferred lifetime 0: the host chooses it as a source for nothing that does not ask for it.
        """
        index = _index("lo")
        if not self._is_up(index):
            self._record.loopback_was_down = True
            self._record.save()
            self._request([_switch(index, up=True)])
        item = {
            "family": socket.AF_INET6,
            "prefixlen": 128,
            "index": index,
            "attrs": [
                ("IFA_ADDRESS", address_text(self._address)),
                ("IFA_FLAGS", _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE),
                ("IFA_CACHEINFO", {"ifa_preferred": 0, "ifa_valid": _LIFETIME_FOREVER}),
            ],
        }
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        self._request([encode(netlink.RTM_NEWADDR, flags, self._codec().address, item)])

    def _is_up(self, index: int) -> bool:
        item = netlink.message(netlink.RTM_GETLINK, 0, netlink.INTERFACE.pack(0, 0, index, 0, 0))
        data = self._socket().ask(item)
        _, _, _, flags, _ = netlink.INTERFACE.unpack_from(data, netlink.HEADER.size)
        return bool(flags & netlink.IFF_UP)

    def _base_rules(self) -> list[bytes]:
        to_mesh = [("FRA_DST", address_text(self._mesh.address)), ("FRA_TABLE", TABLE_MESH)]
        return [
            self._rule(_RULE_MESH, to_mesh, dst_len=self._mesh.length),
            self._rule(_RULE_OTHER, [("FRA_TABLE", TABLE_OTHER)]),
        ]

    def _transit_rules(self, name: str) -> list[bytes]:
        come_in = ("FRA_IIFNAME", name)
        return [
            self._rule(_RULE_TRANSIT, [come_in, ("FRA_TABLE", TABLE_OTHER)]),
            self._rule(_RULE_TRANSIT_END, [come_in], action=_FR_ACT_UNREACHABLE),
        ]

    def _rule(
        self,
        priority: int,
        attrs: list[tuple[str, Any]],
        *,
        dst_len: int = 0,
        action: int = _FR_ACT_TO_TBL,
    ) -> bytes:
        common = [("FRA_PRIORITY", priority), ("FRA_PROTOCOL", netlink.ROUTE_PROTOCOL)]
        value = {
            "family": socket.AF_INET6,
            "dst_len": dst_len,
            "action": action,
            "attrs": [*attrs, *common],
        }
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        return encode(netlink.RTM_NEWRULE, flags, self._codec().rule, value)

    def _unreachable(self) -> bytes:
        value = {
            "family": socket.AF_INET6,
            "dst_len": self._mesh.length,
            "proto": netlink.ROUTE_PROTOCOL,
            "type": _RTN_UNREACHABLE,
            "attrs": [
                ("RTA_TABLE", TABLE_MESH),
                ("RTA_DST", address_text(self._mesh.address)),
                ("RTA_OIF", _index("lo")),
                ("RTA_PRIORITY", _METRIC_WORST),
            ],
        }
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        return encode(netlink.RTM_NEWROUTE, flags, self._codec().route, value)

    # --- taking down ------------------------------------------------------------------------------

    def _clean(self) -> None:
        """Remove all that is ours, the filter last, and read back that it is gone.

        What fails does not keep the rest from being removed. Raises: KernelError, the first one.
        """
        failures = []
        steps: list[Callable[[], None]] = [
            self._delete_rules,
            partial(self._flush, netlink.RTM_DELROUTE, partial(self._our_routes, TABLE_MESH)),
            partial(self._flush, netlink.RTM_DELROUTE, partial(self._our_routes, TABLE_OTHER)),
            partial(self._flush, netlink.RTM_DELADDR, self._our_addresses),
            self._sysctl.undo,
            self._restore_loopback,
            firewall.remove,
        ]
        for step in steps:
            try:
                step()
            except KernelError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _restore_loopback(self) -> None:
        if self._record.loopback_was_down:
            self._request([_switch(_index("lo"), up=False)])
            self._record.loopback_was_down = False
            self._record.save()

    def _delete_rules(self, name: str = "") -> None:
        """Delete our rules: all of them, or those for packets coming in from `name`."""
        self._flush(netlink.RTM_DELRULE, lambda: self._our_rules(name))

    def _flush(self, kind: int, read: Callable[[], list[bytes]]) -> None:
        """Delete what `read` returns until it returns nothing."""
        for _ in range(_FLUSH_ROUNDS_MAX):
            found = read()
            if not found:
                return
            gone = [netlink.message(kind, 0, data[netlink.HEADER.size :]) for data in found]
            refused = self._socket().request(gone)
            if len(refused) == len(gone) and refused[0].errno not in (errno.ENOENT, errno.ESRCH):
                raise netlink.refused_error("undoing", refused[0].errno, refused[0].text)
        raise KernelError(
            "somebody else keeps adding routes or rules under meshd's protocol number 143",
            remedy="see `ip -6 rule` and `ip -6 route show table all proto 143`",
        )

    def _our_rules(self, name: str) -> list[bytes]:
        ours = []
        item = encode(netlink.RTM_GETRULE, 0, self._codec().rule, {"family": socket.AF_INET6})
        for data in self._socket().dump(item):
            _, attributes = decode(self._codec().rule, data)
            fits = not name or attributes.get("FRA_IIFNAME") == name
            if attributes.get("FRA_PROTOCOL") == netlink.ROUTE_PROTOCOL and fits:
                ours.append(data)
        return ours

    def _our_routes(self, table: int) -> list[bytes]:
        place = netlink.HEADER.size + 5  # rtm_protocol
        return [data for data in self._dump_routes(table) if data[place] == netlink.ROUTE_PROTOCOL]

    def _left_routes(self, table: int) -> Iterator[Prefix]:
        for data in self._our_routes(table):
            fields, attributes = decode(self._codec().route, data)
            text = attributes.get("RTA_DST")
            if fields["type"] == _RTN_UNICAST and text is not None:
                yield Prefix(socket.inet_pton(socket.AF_INET6, text), fields["dst_len"])

    def _our_addresses(self) -> list[bytes]:
        """Return the /128 addresses within the mesh that stand on the loopback interface."""
        ours = []
        index = _index("lo")
        value = {"family": socket.AF_INET6, "index": index}
        item = encode(netlink.RTM_GETADDR, 0, self._codec().address, value)
        for data in self._socket().dump(item):
            fields, attributes = decode(self._codec().address, data)
            text = attributes.get("IFA_ADDRESS")
            if fields["index"] != index or fields["prefixlen"] != 128 or text is None:
                continue
            if self._mesh.contains(Prefix(socket.inet_pton(socket.AF_INET6, text), 128)):
                ours.append(data)
        return ours

    # --- tools ------------------------------------------------------------------------------------

    def _socket(self) -> NetlinkSocket:
        if self._netlink is None:
            raise UsageError("call recover() or start() first")
        return self._netlink

    def _codec(self) -> netlink.Codecs:
        if self._codecs is None:
            raise UsageError("call recover() or start() first")
        return self._codecs

    def _request(self, batch: Iterable[bytes], *, ignore: int = 0) -> None:
        """Send messages that must all succeed, or fail with `ignore`."""
        for refusal in self._socket().request(list(batch)):
            if refusal.errno != ignore:
                raise netlink.refused_error("setting up", refusal.errno, refusal.text)


def _index(name: str) -> int:
    """Return an interface's index, 0 when there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _switch(index: int, *, up: bool) -> bytes:
    body = netlink.INTERFACE.pack(
        socket.AF_UNSPEC, 0, index, netlink.IFF_UP if up else 0, netlink.IFF_UP
    )
    return netlink.message(netlink.RTM_NEWLINK, 0, body)


def _route_table(data: bytes) -> int:
    """Return the table of a route message: an attribute, or a byte for those below 256."""
    said = netlink.attributes(data, netlink.HEADER.size + 12).get(netlink.RTA_TABLE)
    return int.from_bytes(said, sys.byteorder) if said else data[netlink.HEADER.size + 4]
