"""Sync: vectors, wants, entries, forks, leases and joins over sessions; files have their own part.

Enters: events of sessions and spaces, answers of the store, local requests. Leaves: records,
verified entries, replies. Must not know: how a session encrypts, how a space judges.
"""
