"""Sync: vectors, wants, entries, forks, leases, joins, files over sessions; some of it by LoRa too.

Enters: events of sessions, spaces and radios, answers of the store, local requests. Leaves:
records, items for radios, verified entries, replies. Must not know: how a session encrypts, how a
space judges, how frames travel.
"""
