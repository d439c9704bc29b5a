"""What carries frames between simulated hosts: wires, IP radios, LoRa.

Enters: sizes of frames and positions. Leaves: who hears them, when, and how strongly.
"""
