"""Encrypted sessions between two nodes, and how nodes find each other: `sessions.py` orders it.

Enters: links, knocks, streams and their bytes. Leaves: streams to open, bytes within credit, and
for the layer above records and bulks of nodes that proved who they are. Must not know: spaces,
routes.
"""
