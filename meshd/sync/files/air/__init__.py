"""Small files by LoRa: offered, given in pieces of which any so many do, passed on by who has them.

Enters: offers, pieces and wants that radios heard. Leaves: the same for radios, whole files. Must
not know: who else fetches by sessions, how a frame travels.
"""
