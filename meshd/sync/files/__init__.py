"""Files of spaces: cut into chunks, fetched from peers, kept by relays; small ones by LoRa too.

Enters: requests of people, manifests in feeds, what peers ask and give. Leaves: chunks to be stored
and to be given, answers. Must not know: how entries reach others, how a session encrypts.
"""
