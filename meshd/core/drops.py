"""Named reasons for everything that is refused or lost, and their counters.

A reason is at once a counter, a field in the log and what a test asserts. Each one must be used
somewhere in meshd and named in a test (tests/test_tidy.py).
"""

from collections import Counter
from enum import StrEnum


class DropReason(StrEnum):
    """Why a frame, a value or a request was dropped."""

    # Any datagram
    UNKNOWN_LINK = "unknown-link"
    UNKNOWN_PORT = "unknown-port"
    INGRESS_BUSY = "ingress-busy"
    DATAGRAM_UNSENT = "datagram-unsent"

    # session/
    KNOCK_MALFORMED = "knock-malformed"
    KNOCK_MISPLACED = "knock-misplaced"
    KNOCK_LIMITED = "knock-limited"
    SESSION_STRANGER = "session-stranger"
    SESSION_VERSION = "session-version"
    SESSION_OTHER_MESH = "session-other-mesh"
    SESSION_FULL = "session-full"
    SESSION_EVICTED = "session-evicted"
    HANDSHAKE_FORGED = "handshake-forged"
    HANDSHAKE_MALFORMED = "handshake-malformed"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    HANDSHAKE_BUSY = "handshake-busy"
    HANDSHAKE_LIMITED = "handshake-limited"
    CERTIFICATE_FORGED = "certificate-forged"
    NODE_UNEXPECTED = "node-unexpected"
    NODE_SELF = "node-self"
    NODE_TWIN = "node-twin"
    RECORD_FORGED = "record-forged"
    RECORD_MALFORMED = "record-malformed"
    ECHO_MALFORMED = "echo-malformed"
    ECHO_LIMITED = "echo-limited"
    ECHO_UNASKED = "echo-unasked"

    # space/
    ENTRY_MALFORMED = "entry-malformed"
    ENTRY_ERASED = "entry-erased"
    ENTRY_SIGNATURE = "entry-signature"
    ENTRY_AUTHOR = "entry-author"
    ENTRY_RIGHT = "entry-right"
    ENTRY_KIND = "entry-kind"
    ENTRY_GAP = "entry-gap"
    EPOCH_UNKNOWN = "epoch-unknown"
    AUTHOR_UNKNOWN = "author-unknown"
    FEED_FROZEN = "feed-frozen"
    FEEDS_FULL = "feeds-full"
    FORK_SUSPECTED = "fork-suspected"
    FORK_UNPROVEN = "fork-unproven"
    MEMBERSHIP_MISSING = "membership-missing"
    MEMBERSHIP_INVALID = "membership-invalid"
    MEMBERSHIP_FULL = "membership-full"
    STORE_CLOSED = "store-closed"
    INVITE_UNKNOWN = "invite-unknown"
    INVITE_EXPIRED = "invite-expired"
    INVITE_REVOKED = "invite-revoked"
    INVITE_USED_UP = "invite-used-up"
    JOIN_MALFORMED = "join-malformed"
    JOIN_PROOF = "join-proof"
    JOIN_ANSWER = "join-answer"

    # wire/babel, neighbour, routing
    BABEL_MALFORMED = "babel-malformed"
    BABEL_TLV_MALFORMED = "babel-tlv-malformed"
    BABEL_TLV_UNKNOWN = "babel-tlv-unknown"
    BABEL_SUB_TLV_MANDATORY = "babel-sub-tlv-mandatory"
    BABEL_IPV4 = "babel-ipv4"
    BABEL_SOURCE = "babel-source"
    BABEL_OWN_PACKET = "babel-own-packet"
    BABEL_STRANGER = "babel-stranger"
    BABEL_NEIGHBOURS_FULL = "babel-neighbours-full"
    BABEL_ROUTES_FULL = "babel-routes-full"
    BABEL_SOURCES_FULL = "babel-sources-full"
    BABEL_REQUESTS_FULL = "babel-requests-full"
    BABEL_OWN_PREFIX = "babel-own-prefix"
    BABEL_PROTECTED_PREFIX = "babel-protected-prefix"
    BABEL_DEFAULT_ROUTE = "babel-default-route"
    BABEL_WIDE_PREFIX = "babel-wide-prefix"
    BABEL_MARTIAN = "babel-martian"
    BABEL_NEXT_HOP = "babel-next-hop"
    BABEL_UNFEASIBLE = "babel-unfeasible"
    BABEL_SEQNO_RATE = "babel-seqno-rate"
    BABEL_SEQNO_JUMP = "babel-seqno-jump"
    BABEL_DUMP_LIMITED = "babel-dump-limited"
    BABEL_ANSWER_LIMITED = "babel-answer-limited"
    BABEL_REQUEST_DUPLICATE = "babel-request-duplicate"
    BABEL_REQUEST_HOPS = "babel-request-hops"
    BABEL_REQUEST_LOST = "babel-request-lost"

    # sync/files
    FILE_MALFORMED = "file-malformed"
    FILE_UNSHARED = "file-unshared"
    FILE_MANIFEST = "file-manifest"
    FILE_TABLE_FULL = "file-table-full"
    FILE_ADDRESS = "file-address"
    FILE_ASKS_FULL = "file-asks-full"
    FILE_STALLED = "file-stalled"
    FILE_QUIET = "file-quiet"
    FILE_UNASKED = "file-unasked"
    FILE_PIECE_UNFIT = "file-piece-unfit"
    FILE_WRONG_BYTES = "file-wrong-bytes"
    FILE_QUOTA = "file-quota"
    PIECE_MALFORMED = "piece-malformed"
    PIECE_UNSIGNED = "piece-unsigned"
    PIECE_FORGED = "piece-forged"
    PIECE_UNKNOWN = "piece-unknown"
    PIECES_FULL = "pieces-full"
    PIECES_SPENT = "pieces-spent"
    PIECES_WRONG = "pieces-wrong"
    PIECES_UNKEPT = "pieces-unkept"

    # forwarding/
    CAST_STALE = "cast-stale"
    CAST_FULL = "cast-full"
    CAST_URGENT = "cast-urgent"
    CAST_TOO_LONG = "cast-too-long"
    CAST_REPEATED = "cast-repeated"
    CAST_WANTS_FULL = "cast-wants-full"
    CAST_VAIN = "cast-vain"

    # forwarding/: IP over LoRa
    PACKET_MALFORMED = "packet-malformed"
    PACKET_FOREIGN = "packet-foreign"
    PACKET_HEADERS = "packet-headers"
    PACKET_PROTOCOL = "packet-protocol"
    PACKET_PORT = "packet-port"
    PACKET_CHECKSUM = "packet-checksum"
    PACKET_TOO_LONG = "packet-too-long"
    PACKET_NO_WAY = "packet-no-way"
    PACKET_HOPS = "packet-hops"
    PACKET_SPOOFED = "packet-spoofed"
    PACKET_UNNAMED = "packet-unnamed"
    PACKET_UNPROVEN = "packet-unproven"
    PACKET_FULL = "packet-full"
    PACKET_LATE = "packet-late"
    PACKET_UNANSWERED = "packet-unanswered"

    # messages/
    NAME_UNPROVEN = "name-unproven"
    LETTER_MALFORMED = "letter-malformed"
    LETTER_STRANGER = "letter-stranger"
    LETTER_FORGED = "letter-forged"
    LETTER_OLD = "letter-old"
    LETTER_LIMITED = "letter-limited"
    LETTER_SENDERS_FULL = "letter-senders-full"
    LETTER_FULL = "letter-full"
    LETTER_UNASKED = "letter-unasked"
    LETTER_UNOPENED = "letter-unopened"
    LETTER_PREKEY_OLD = "letter-prekey-old"

    # radio/
    MODEM_GARBAGE = "modem-garbage"
    MODEM_TOO_LONG = "modem-too-long"
    MODEM_CHANNEL_TAKEN = "modem-channel-taken"
    MODEM_REFUSED = "modem-refused"
    MODEM_SILENT = "modem-silent"
    MODEM_OTHER_KIND = "modem-other-kind"
    MODEM_SETTING = "modem-setting"
    MODEM_RESET = "modem-reset"
    MODEM_GONE = "modem-gone"
    MODEM_PORT = "modem-port"

    # sync/
    SYNC_MALFORMED = "sync-malformed"
    SYNC_ORDER = "sync-order"
    SYNC_UNSHARED = "sync-unshared"
    SYNC_UNASKED = "sync-unasked"
    SYNC_INBOX_FULL = "sync-inbox-full"
    SYNC_TABLE_FULL = "sync-table-full"
    SYNC_GAP = "sync-gap"
    SYNC_STALLED = "sync-stalled"
    SYNC_SLOW = "sync-slow"
    SYNC_LEASE = "sync-lease"
    JOIN_LIMITED = "join-limited"
    AIR_MALFORMED = "air-malformed"
    AIR_ASIDE_FULL = "air-aside-full"
    AIR_CROWDED = "air-crowded"
    AIR_FLOOD = "air-flood"
    AIR_UNPROVEN = "air-unproven"
    AIR_WANTS_FULL = "air-wants-full"

    # link/: frames
    FRAME_MALFORMED = "frame-malformed"
    FRAME_FOREIGN = "frame-foreign"
    FRAME_STRANGER = "frame-stranger"
    FRAME_FORGED = "frame-forged"
    FRAME_REPLAYED = "frame-replayed"
    FRAME_OWN = "frame-own"
    BEACON_MALFORMED = "beacon-malformed"
    BEACON_FORGED = "beacon-forged"
    BEACON_STALE = "beacon-stale"
    CHALLENGE_LIMITED = "challenge-limited"
    SOURCES_FULL = "sources-full"
    FRAME_UNTRUSTED = "frame-untrusted"
    FRAME_UNUSED = "frame-unused"

    # link/: queue, airtime
    LORA_QUEUE_FULL = "lora-queue-full"
    LORA_QUEUE_LATE = "lora-queue-late"
    LORA_MALFORMED = "lora-malformed"
    LORA_NEIGHBOURS_FULL = "lora-neighbours-full"
    LORA_ROUTES_FULL = "lora-routes-full"
    LORA_NAMES_FULL = "lora-names-full"
    LORA_NAME_UNKNOWN = "lora-name-unknown"
    LORA_WANTS_RATE = "lora-wants-rate"
    DIRECT_NO_WAY = "direct-no-way"
    DIRECT_UNANSWERED = "direct-unanswered"
    DIRECT_HOP_SILENT = "direct-hop-silent"
    DIRECT_HOP_LIMIT = "direct-hop-limit"
    DIRECT_FULL = "direct-full"
    DIRECT_ODD = "direct-odd"
    AIRTIME_SPENT = "airtime-spent"
    AIRTIME_SHARE = "airtime-share"
    AIRTIME_TOO_LONG = "airtime-too-long"
    AIRTIME_UNSAVED = "airtime-unsaved"


class Drops:
    """Counters by (reason, link). The number of links is bounded by the owner of the links."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[tuple[DropReason, str]] = Counter()

    def count(self, reason: DropReason, link: str = "") -> None:
        """Count one drop; `link` is the interface or session kind it came by, if any."""
        self._counts[reason, link] += 1

    def total(self, reason: DropReason) -> int:
        """Return how often `reason` was counted on all links together."""
        return sum(count for (known, _), count in self._counts.items() if known is reason)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return {reason: {link: count}}, sorted, for snapshots."""
        table: dict[str, dict[str, int]] = {}
        for (reason, link), count in sorted(self._counts.items()):
            table.setdefault(reason.value, {})[link or "-"] = count
        return table
