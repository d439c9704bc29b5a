"""Formats: bytes <-> frozen values, one file a format.

Enters: bytes from the air, a stream or the store. Leaves: values, or `WireError`. What exists as a
value can be encoded; past this folder nothing is raw. Must not know: who sent it, what it is for.
"""
