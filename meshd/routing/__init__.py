"""Babel (RFC 8966): what is announced, learned and chosen; `speaker.py` orders the rest.

Enters: links, datagrams of port 6696, costs of neighbours. Leaves: datagrams, and routes as events.
Must not know: sessions, spaces, the kernel.
"""
