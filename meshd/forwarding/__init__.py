"""What goes on over many LoRa hops: objects for everybody, messages to one, IP packets.

Enters: opened frames, and what this node has to send. Leaves: frames for the link, what arrived.
Must not know: modems, what objects and messages mean.
"""
