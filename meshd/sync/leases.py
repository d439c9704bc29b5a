"""Leases: what a relay promises to keep, granted before the bytes are taken.

Enters: the quota of this node, the bytes of the spaces it carries. Leaves: LEASE. A relay grants
each peer a block of bytes for a space and so many seconds of its own uptime; both ends count down
the entry bytes that go over. When the quota has no room it says so once, and takes nothing.
Ref: docs/wire-format.md#sync.
"""

from meshd.core.events import Notice
from meshd.sync.hub import Hub, Share
from meshd.wire.sync_messages import ENTRY_BYTES_MAX, Lease

GRANT_BLOCK_BYTES = 256 * 1024
GRANT_LEAST_BYTES = ENTRY_BYTES_MAX
"""Less than one entry of the largest size is not granted: it could only disappoint."""

LEASE_S = 90 * 24 * 3600
"""Uptime for which a relay keeps what it took. In this version it throws nothing away at all."""


class Leases:
    """The quota of a relay and what it granted; for a member, nothing to do."""

    __slots__ = ("_hub", "quota_bytes")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.quota_bytes = 0

    def used_bytes(self) -> int:
        """Return the bytes of all entries carried for others."""
        return sum(
            feed.bytes_total
            for space in self._hub.spaces.all()
            if space.carries_only
            for feed in space.feeds.values()
        )

    def free_bytes(self) -> int:
        """Return what is neither used nor granted."""
        granted = sum(share.granted for share in self._hub.all_shares())
        return max(0, self.quota_bytes - self.used_bytes() - granted)

    def offer(self, share: Share, now: int) -> bool:
        """Top up a peer's grant if it runs low; True when the peer may send more than before."""
        if share.granted >= max(GRANT_BLOCK_BYTES // 2, GRANT_LEAST_BYTES):
            return False
        block = min(GRANT_BLOCK_BYTES - share.granted, self.free_bytes())
        if share.granted + block < GRANT_LEAST_BYTES or block <= 0:
            if not share.refused:
                self._warn(share)
                share.refused = True
                self._hub.send(share.peer, Lease(share.number, 0, 0, refused=True), now)
            return False
        share.granted += block
        share.refused = False
        self._hub.send(share.peer, Lease(share.number, block, LEASE_S), now)
        return True

    def _warn(self, share: Share) -> None:
        space = self._hub.spaces.get(share.space)
        if space is None or any(each.refused for each in self._hub.shares(share.space)):
            return
        fields: dict[str, object] = {"space": space.text_id, "quota_bytes": self.quota_bytes}
        self._hub.ctx.emit(Notice("relay-full", fields, warning=True))

    def spend(self, share: Share, length: int) -> bool:
        """Count bytes that came under a grant; False when they were not granted."""
        if length > share.granted:
            return False
        share.granted -= length
        return True


def take(share: Share, message: Lease) -> None:
    """Note what a relay granted us."""
    if message.refused:
        share.lease = share.lease or 0
        share.refused = True
    else:
        share.lease = (share.lease or 0) + message.granted
        share.refused = False


def may_send(share: Share, length: int) -> bool:
    """Tell whether so many entry bytes may go to this peer, and count them if so."""
    if share.lease is None:
        return True
    if length > share.lease:
        return False
    share.lease -= length
    return True
