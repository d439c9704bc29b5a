"""Who is behind the signing keys of a space: cards that its membership records carry, encrypted.

Enters: membership records that hold. Leaves: devices and names, as far as this node can read them,
and the name of the space. A card counts only when the device it names has signed it.
Ref: docs/wire-format.md#membership.
"""

from meshd.core import crypto
from meshd.core.errors import WireError
from meshd.space import entries
from meshd.space.keys import SpaceKeys
from meshd.space.membership import (
    HEIRS_MAX,
    MembershipLog,
    device_commitment,
    device_statement,
)
from meshd.wire import membership as wire
from meshd.wire.entry import Entry, Kind
from meshd.wire.membership import Admit, InviteCard, MemberCard, Record, Successor


class Cards:
    """The cards of one space by signing key; of two for one key that with the lower digest."""

    __slots__ = ("_cards", "_invites", "_keys", "_log", "_space", "space_name")

    def __init__(self, space: bytes, keys: SpaceKeys, log: MembershipLog) -> None:
        self.space_name = ""
        self._space = space
        self._keys = keys
        self._log = log
        self._cards: dict[bytes, tuple[bytes, MemberCard]] = {}
        self._invites: dict[bytes, InviteCard] = {}

    def of(self, author: bytes) -> MemberCard | None:
        """Return the card behind a signing key, by way of the keys that it succeeded."""
        for _ in range(HEIRS_MAX + 1):
            if author in self._cards:
                return self._cards[author][1]
            admission = self._log.admission(author)
            if admission is None or not isinstance(admission.record, Successor):
                return None
            author = admission.record.old
        return None

    def invite(self, digest: bytes) -> InviteCard | None:
        """Return the encrypted part of the INVITE with this hash, if this node could read it."""
        return self._invites.get(digest)

    def learn(self, author: bytes, entry: Entry, record: Record, digest: bytes) -> None:
        """Take the card that a record carries; what cannot be read teaches nothing."""
        if isinstance(record, Successor):
            return
        opened = entries.open_entry(self._keys, self._space, author, entry)
        if opened is None:
            return
        try:
            if entry.head.kind == Kind.FOUNDING:
                founding = wire.decode_founding_card(opened.payload)
                self.space_name = founding.space_name
                self._learn(author, founding.card, digest)
            elif isinstance(record, Admit):
                card = wire.decode_member_card(opened.payload)
                if device_commitment(card.device, card.signature) == record.commitment:
                    self._learn(record.author, card, digest)
            elif entry.head.kind == Kind.INVITE:
                self._invites[digest] = wire.decode_invite_card(opened.payload)
        except WireError:
            return

    def _learn(self, author: bytes, card: MemberCard, digest: bytes) -> None:
        if not crypto.verify(card.device, device_statement(self._space, author), card.signature):
            return
        known = self._cards.get(author)
        if known is None or digest < known[0]:
            self._cards[author] = (digest, card)
