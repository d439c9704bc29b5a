"""Spaces: genesis, membership, keys, feeds of signed entries; `spaces.py` orders the rest.

Enters: entries and join requests of peers, requests of people, what the store held. Leaves: rows to
commit, events for sync, replies. Must not know: sessions, how entries travel.
"""
