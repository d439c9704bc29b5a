"""Bounds that more than one folder must agree on. What only one folder needs stands there."""

BABEL_PORT = 6696
MESHD_PORT = 6697

STREAM_CREDIT_BYTES = 256 * 1024
"""How many bytes may be under way between the engine and a stream's socket."""

STORE_READS_MAX = 16
"""Store reads in flight for one node."""

CHUNK_BYTES = 1024 * 1024
"""Plaintext bytes in each chunk of a file but the last."""

ENTRY_PAYLOAD_MAX = 32 * 1024
"""Plaintext bytes in one entry; what is larger is a file."""

INVITATION_START = "meshd:join/"
"""How the link of an invitation begins."""

DISTRESS_EACH_US = 600_000_000
"""A device calls for help once in so long, and on air one of its calls is before all else: who
calls always is not heard."""

BEACON_FRAME = 129
"""Bytes of a beacon that says its key, sealed: a radio that can not send one is of no use."""

RADIOS_MAX = 8
"""LoRa radios of one node: so many may be configured, and all of them are told."""

MESSAGE_TEXT_MAX = ENTRY_PAYLOAD_MAX - 69
"""Bytes of the text of a direct message: an entry holds it sealed."""
