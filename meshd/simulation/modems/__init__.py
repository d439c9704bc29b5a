"""Emulated LoRa modems: what is on the other end of the serial line, down to the ugly cases.

Enters: bytes from a host, frames from a simulated air. Leaves: bytes to it, frames on the air.
Must not know: meshd's dialects, so that a mistake is not made twice.
"""
