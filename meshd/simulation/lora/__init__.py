"""LoRa in the simulated world: the air as one more medium, and a host's radios on it.

Enters: frames of the engine. Leaves: what others hear, and what the frame was for.
"""
