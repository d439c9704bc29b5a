"""LoRa modems on serial ports, each in its own dialect: modem bytes <-> radio frames.

Enters: bytes from the port, frames to send, time. Leaves: bytes for the port, events.
Must not know: what a frame holds, the law, other links, ports and pins as the system names them.
"""
