"""Who is meant by what a person writes, and whether this node ever heard of that node.

Enters: ids and names that people write, what other parts of the node know of others. Leaves: ids
of nodes, or a RequestError that lists them. A member's name is vouched for by its space. A name
that a node gives itself is its word alone: it may be pinged by it, and never be written to.
Must not know: ways, keys.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv6Address

from meshd.core.alike import nearest
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.ids import (
    grouped,
    host_prefix,
    mesh_prefix,
    node_of_address,
    node_text,
    parse_node,
)
from meshd.core.snapshot import NeighbourStatus
from meshd.space.spaces import Spaces

ALIKE_MAX = 2
"""Letters in which a mistyped id may differ from the one that was meant."""

_NO_DIGITS = "0189"
_ID_LETTERS = 16

NAMED_MAX = 4
"""Nodes of one name that an error lists."""

Nodes = Callable[[], Iterable[bytes]]
Said = Callable[[], Mapping[bytes, str]]


class People:
    """The nodes that `node` knows of. `sources` and `said` are filled by who knows more."""

    def __init__(self, node: bytes, spaces: Spaces, *, mesh: bytes) -> None:
        self.sources: list[Nodes] = [self._members]
        self.in_earshot: Nodes = set
        self.said: list[Said] = []
        self.mesh = mesh
        self.node = node
        self._spaces = spaces

    def find(self, text: str, *, said: bool = False) -> bytes:
        """Return the NodeId that `text` means: an id, an address, a member's name; this node's too.

        `said`: the name that a node gives itself will do, where no member has it.

        Raises: RequestError when nobody has that name, or more than one.
        """
        try:
            return self._of_address(text) if ":" in text else parse_node(text)
        except UsageError:
            pass
        members = dict.fromkeys(self._named(text))
        if len(members) > 1:
            members.pop(self.node, None)
        if len(members) == 1:
            return next(iter(members))
        if members:
            raise RequestError(
                f"{text!r} is the name of {len(members)} nodes: {_listed(members)}",
                code=Exit.NOT_FOUND,
                remedy="give the id of the one that you mean",
            )
        callers = [node for node, name in self.names().items() if name == text]
        if said and len(callers) == 1:
            return callers[0]
        if callers:
            who = "a node calls itself so" if len(callers) == 1 else "nodes call themselves so"
            raise RequestError(
                f"{text!r} is no member of a space here; {who}, as anybody may: {_listed(callers)}",
                code=Exit.NOT_FOUND,
                remedy="if it is the one that you mean, give its id",
            )
        raise self._misread(text) or RequestError(
            f"{text!r} is nobody known here",
            code=Exit.NOT_FOUND,
            remedy=self._guess(text, said=said)
            + "give its id, it looks like k7q2-m6xw-abcd-efgh; `meshd neighbours` and"
            " `meshd space members SPACE` show those that are known" + self._nameless(said),
        )

    def heard(self, node: bytes) -> bool:
        """Tell whether anything was ever heard of a node, since this one started or on its disk."""
        return node == self.node or any(node in source() for source in self.sources)

    def nearest(self, node: bytes) -> bytes | None:
        """Return the known node whose id differs from an unknown one by a letter or two."""
        return self._alike(node_text(node))

    def _alike(self, wanted: str) -> bytes | None:
        best, least = None, ALIKE_MAX + 1
        for known in dict.fromkeys(one for source in self.sources for one in source()):
            pairs = zip(wanted, node_text(known), strict=True)
            unlike = sum(one != other for one, other in pairs)
            if 0 < unlike < least:
                best, least = known, unlike
        return best

    def names(self) -> dict[bytes, str]:
        """Return what other nodes call themselves."""
        return {node: name for said in self.said for node, name in said().items()}

    def vouched(self, node: bytes) -> list[tuple[str, str]]:
        """Return a member's names, each with the space that vouches for it."""
        return [
            (member.name, space.name or space.text_id[:8])
            for space in self._spaces.all()
            for member in space.members()
            if member.node == node and member.name
        ]

    def members(self) -> dict[str, tuple[str, ...]]:
        """Return the names that spaces vouch for, by the id of the node as text."""
        vouched: dict[str, dict[str, None]] = {}
        for space in self._spaces.all():
            for member in space.members():
                if member.node and member.name:
                    vouched.setdefault(node_text(member.node), {})[member.name] = None
        return {node: tuple(names) for node, names in vouched.items()}

    def named(self, *neighbours: NeighbourStatus) -> tuple[NeighbourStatus, ...]:
        """Return neighbours with the names that are known of them."""
        said, vouched = self.names(), self.members()
        own_words = {node_text(node): name for node, name in said.items()}
        return tuple(
            replace(
                row,
                names=vouched.get(row.node or "", ()),
                calls_itself=own_words.get(row.node or ""),
            )
            for row in neighbours
        )

    def about(self, node: bytes) -> dict[str, object]:
        """Return what is known of a node, for people."""
        value: dict[str, object] = {"node": node_text(node), "own": node == self.node}
        value["heard"] = self.heard(node)
        if not value["heard"] and (near := self.nearest(node)) is not None:
            value["nearest"] = node_text(near)
        value["names"] = [{"name": name, "space": space} for name, space in self.vouched(node)]
        if calls_itself := self.names().get(node):
            value["calls_itself"] = calls_itself
        return value

    def _misread(self, text: str) -> RequestError | None:
        """Return what to say of an id with a digit that no id has, None when it is none."""
        letters = text.lower().replace("-", "").replace(" ", "")
        wrong = "".join(digit for digit in _NO_DIGITS if digit in letters)
        if (
            not wrong
            or len(letters) != _ID_LETTERS
            or not (letters.isascii() and letters.isalnum())
        ):
            return None
        near = self._alike(letters)
        guess = f"did you mean {grouped(node_text(near))}? " if near is not None else ""
        return RequestError(
            f"{text!r} is no id: none has {' or '.join(wrong)} in it",
            code=Exit.NOT_FOUND,
            remedy=f"{guess}an id has letters and the digits 2 to 7: perhaps l or i for 1, o for 0,"
            " b for 8, g for 9",
        )

    def _of_address(self, text: str) -> bytes:
        """Return the node of an address of this mesh. Raises: UsageError."""
        try:
            packed = IPv6Address(text).packed
        except AddressValueError as error:
            raise UsageError(f"{text!r} is no address") from error
        if not mesh_prefix(self.mesh).contains(host_prefix(packed)):
            raise UsageError(f"{text} is not an address of this mesh")
        return node_of_address(packed)

    def _named(self, text: str) -> list[bytes]:
        return [
            member.node
            for space in self._spaces.all()
            for member in space.members()
            if member.node and member.name == text
        ]

    def _guess(self, text: str, *, said: bool) -> str:
        """Return a question for the name, or the id, that a mistyped one may be; "" for none."""
        members = self._members()
        words = {
            member.name.lower(): member.name
            for space in self._spaces.all()
            for member in space.members()
        }
        if said:
            words |= {name.lower(): name for name in self.names().values()}
        words |= {grouped(node_text(node)): grouped(node_text(node)) for node in members}
        near = nearest(text.lower(), words)
        return f'did you mean "{words[near]}"? else ' if near is not None else ""

    def _nameless(self, said: bool) -> str:
        """Return why a name may not be known yet: neighbours by LoRa tell theirs late."""
        if not said:
            return ""
        names = self.names()
        count = sum(node not in names for node in self.in_earshot())
        who = "one neighbour has" if count == 1 else f"{count} neighbours have"
        later = "a name comes by LoRa about a minute after the first meeting"
        return f"; {who} told no name yet: {later}" if count else ""

    def _members(self) -> set[bytes]:
        return {
            member.node for space in self._spaces.all() for member in space.members() if member.node
        }


def _listed(nodes: Iterable[bytes]) -> str:
    ids = [grouped(node_text(node)) for node in nodes]
    more = f" and {len(ids) - NAMED_MAX} more" if len(ids) > NAMED_MAX else ""
    return ", ".join(ids[:NAMED_MAX]) + more
