"""One LoRa link's state: sealed frames, who sent them, and the airtime that the law leaves.

Pure: time, entropy and what the disk holds come in as arguments.
"""
