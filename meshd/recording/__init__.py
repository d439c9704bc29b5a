"""Everything that a node is told, line by line in a file, so that a simulator can tell it again.

Enters: calls of the engine's border. Leaves: lines that replay to the same state.
Must not know: any protocol, the event loop.
"""
