"""Spaces over LoRa: entries go out once for all in earshot, who lacks some asks for them.

Enters: events of spaces, what radios heard, time. Leaves: objects and items for radios, entries to
be judged by spaces. Must not know: sessions, files, how a frame travels.
"""
