"""What goes on over many LoRa hops: objects for everybody, told on by as few as will do.

Enters: items of frames, and objects of this node. Leaves: items to send, objects that arrived.
Must not know: keys, modems, the law, what objects mean.
"""
