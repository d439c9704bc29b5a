"""Worlds to try meshd in: many nodes in one process, under virtual time.

Enters: a seed, a topology, what happens when. Leaves: the very same `Node`s, driven and observed.
Must not know: how a node decides anything.
"""
