"""Serial ports and what hangs on them: opened, asked, tried by hand, set.

Enters: paths of ports. Leaves: events of modems. Must not know: what frames mean.
"""
