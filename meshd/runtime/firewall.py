"""The packet filter that keeps the host as closed as it was before meshd: nftables, one table.

In: a `Policy`. Out: the text of table `inet meshd`, handed to `nft -f -` as one transaction, so
that there is no moment without it. No other table is touched, and `accept` here only ends this
table: a firewall that the host has keeps its say.

What arrives on a mesh interface comes from strangers: of it, and of whatever is sent to a mesh
address on any interface, only ICMPv6, our ports and the admitted ones pass. Other traffic of a
shared interface is the host's own affair. In transit a packet may only go from one interface of
the mesh to another; what the host forwarded before it still forwards. Datagrams of meshd itself are
not tracked: each forged source would take a place in the host's table. Ref: docs/threats.md.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from ipaddress import IPv6Network, collapse_addresses
from typing import NamedTuple

from meshd.config.values import Admit
from meshd.core.errors import Exit
from meshd.core.ids import Prefix, address_text
from meshd.core.limits import BABEL_PORT, MESHD_PORT
from meshd.runtime.netlink import RIGHTS_REMEDY, KernelError
from meshd.runtime.tun import TUN_NAME

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TIMEOUT_S = 20
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-")
_NAME_LEN_MAX = 15


class Policy(NamedTuple):
    """What the table is made from.

    `mesh_links` and `shared_links` are interface names; `opened` are those that forward only
    because meshd switched it on, `opened_all` says that every interface of the host does. `lan`
    are the prefixes of the host's other networks, which the mesh neither reaches nor sends from.
    """

    own: bytes
    mesh: Prefix
    admit: tuple[Admit, ...]
    mesh_links: tuple[str, ...]
    shared_links: tuple[str, ...]
    opened: tuple[str, ...]
    opened_all: bool
    lan: tuple[Prefix, ...]


def check_name(name: str) -> str:
    """Return an interface name that may stand in a ruleset.

    Raises: KernelError.
    """
    if not 0 < len(name) <= _NAME_LEN_MAX or not _NAME_LETTERS.issuperset(name):
        raise KernelError(
            f"{name!r} is not an interface name that meshd can filter",
            code=Exit.CONFIG,
            remedy="use at most 15 letters, digits and . _ @ - in it",
        )
    return name


def install(policy: Policy) -> None:
    """Install the table, or replace it in one transaction.

    Raises: KernelError.
    """
    _nft(_REMOVE + ruleset(policy))


def remove() -> None:
    """Remove the table if there is one; without nft there is none. Raises: KernelError."""
    if _program() is not None:
        _nft(_REMOVE)


def ruleset(policy: Policy) -> str:
    """Return the table's text."""
    links = policy.mesh_links + policy.shared_links
    own, mesh = address_text(policy.own), str(policy.mesh)
    hexadecimal = f"0x{policy.mesh.address[:6].hex()}"
    ports = f"{BABEL_PORT}, {MESHD_PORT}"
    others = "meta nfproto ipv6 counter drop" if policy.opened_all else ""
    return f"""
table inet meshd {{
  set mesh {{ type ifname; {_elements(policy.mesh_links)} }}
  set links {{ type ifname; {_elements(links)} }}
  set opened {{ type ifname; {_elements(policy.opened)} }}
  set lan {{ type ipv6_addr; flags interval; {_prefixes(policy.lan)} }}
  {_TALKERS if TUN_NAME in policy.mesh_links else ""}

  chain spoofed {{
    {_answers(policy)}
    ip6 saddr {own} counter drop comment "our own address, from outside"
    iifname != @links ip6 saddr {mesh} counter drop comment "a mesh address, from elsewhere"
    iifname @mesh ip6 saddr @lan counter drop comment "an address of our LAN, from the mesh"
  }}
  chain admitted {{
    ct state established,related accept
    icmpv6 type {{ {_ICMPV6} }} accept
    udp dport {{ {_ports("udp", policy.admit, BABEL_PORT, MESHD_PORT)} }} accept
    tcp dport {{ {_ports("tcp", policy.admit, MESHD_PORT)} }} accept
    counter drop comment "a port that is not open to the mesh"
  }}
  chain transit {{
    ct state established,related accept
    meta nfproto ipv4 counter drop comment "IPv4 from the mesh"
    ip6 saddr fe80::/10 counter drop
    ip6 daddr @lan counter drop comment "to our LAN"
    oifname != @links counter drop comment "out of the mesh"
  }}
  chain prerouting {{
    type filter hook prerouting priority -300; policy accept;
    iifname @mesh ip6 daddr {mesh} ip6 daddr != {own} notrack
    iifname @links ip6 saddr {mesh} ip6 daddr {mesh} ip6 daddr != {own} notrack
    iifname @links ip6 daddr {{ {own}, {_NEARBY} }} udp dport {{ {ports} }} notrack
  }}
  chain output {{
    type filter hook output priority -300; policy accept;
    oifname @links ip6 daddr {{ {mesh}, {_NEARBY} }} udp sport {{ {ports} }} notrack
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "lo" accept
    jump spoofed
    icmpv6 type nd-redirect @th,192,48 {hexadecimal} counter drop comment "a redirect"
    iifname @mesh goto admitted
    ip6 daddr {mesh} goto admitted
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    jump spoofed
    {_slowly(policy)}
    iifname @mesh goto transit
    iifname @links ip6 saddr {mesh} goto transit
    iifname @links ip6 daddr {mesh} goto transit
    iifname @opened meta nfproto ipv6 goto transit
    {others}
  }}
}}
"""


_TALKERS = "set talkers { type ether_addr; size 256; flags dynamic, timeout; timeout 30s; }"
_NEARBY = "fe80::/10, ff02::/16"
_REMOVE = "table inet meshd {}\ndelete table inet meshd\n"
_ICMPV6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request,"
    " echo-reply, mld-listener-query, mld-listener-report, mld-listener-done,"
    " mld2-listener-report, nd-neighbor-solicit, nd-neighbor-advert"
)


def _answers(policy: Policy) -> str:
    """Let in what meshd itself says of packets that LoRa does not carry, in this node's name.

    Nothing else writes to that device, and nothing from the air gets there in this node's name.
    """
    if TUN_NAME not in policy.mesh_links:
        return ""
    own = address_text(policy.own)
    types = "destination-unreachable, packet-too-big"
    return f'iifname "{TUN_NAME}" ip6 saddr {own} icmpv6 type {{ {types} }} return'


def _slowly(policy: Policy) -> str:
    """Let no neighbour send the radios more than they ever carry: meshd looks at each packet."""
    if TUN_NAME not in policy.mesh_links:
        return ""
    to_radio, each = f'oifname "{TUN_NAME}"', "limit rate over 20/second burst 40 packets"
    return f"""{to_radio} update @talkers {{ ether saddr {each} }} counter drop
    {to_radio} limit rate over 200/second burst 200 packets counter drop"""


def _elements(names: Iterable[str]) -> str:
    listed = ", ".join(f'"{check_name(name)}"' for name in sorted(set(names)))
    return f"elements = {{ {listed} }};" if listed else ""


def _prefixes(prefixes: Iterable[Prefix]) -> str:
    networks = collapse_addresses(IPv6Network((item.address, item.length)) for item in prefixes)
    listed = ", ".join(str(network) for network in networks)
    return f"elements = {{ {listed} }};" if listed else ""


def _ports(protocol: str, admit: Iterable[Admit], *own: int) -> str:
    ports = {*own, *(item.port for item in admit if item.protocol == protocol)}
    return ", ".join(str(int(port)) for port in sorted(ports))


def _program() -> str | None:
    return shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def _nft(text: str) -> None:
    program = _program()
    if program is None:
        raise KernelError(
            "the program nft is missing: without it meshd would open this host to the mesh",
            remedy="install the package nftables (apt install nftables, opkg install nftables)"
            " or use leaf mode",
        )
    try:
        done = subprocess.run(
            [program, "-f", "-"], input=text, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{program} cannot be run: {error}") from error
    if done.returncode == 0:
        return
    said = next((line for line in done.stderr.splitlines() if line.strip()), "no reason given")
    if "not permitted" in done.stderr:
        raise KernelError(f"nft: {said}", code=Exit.DENIED, remedy=RIGHTS_REMEDY)
    raise KernelError(
        f"nft: {said}", remedy="the kernel needs nf_tables with inet, ct and counter support"
    )
