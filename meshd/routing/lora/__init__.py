"""The LoRa dialect of Babel: ways told and asked for in few bytes; `dialect.py` is its face.

Enters: ROUTES items, who is heard how well, choices of the table. Leaves: the same, to be said.
Must not know: frames, keys, the channel. Ref: docs/decisions/0010-lora-routes.md.
"""
