"""Boards with Meshtastic's firmware as modems: the API of their port, the mesh they stand in.

Enters: bytes from the port, frames to send, the wanted setting, time. Leaves: bytes for the port,
events, what a board is set to. Must not know: what a frame holds, the law, other links.
"""
