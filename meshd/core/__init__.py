"""Time, timers, names, drop reasons, errors and the values that cross the engine's border.

Enters: nothing. Leaves: small values that every other folder may use.
Must not know: any sibling folder, any socket, any clock.
"""
