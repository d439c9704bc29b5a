"""Small messages from device to device: sealed for one, by whatever way there is, with true states.

Enters: requests of people, sealed bodies from radios and datagrams, entries with letters. Leaves:
sealed bodies, answers, entries, rows, notices. Must not know: frames, airtime, how ways are found.
"""
