"""Real daemons in network namespaces: the demo, and the stage for tests and benchmarks.

Enters: programs, links, commands. Leaves: what the public command line answers.
Must not know: how a node decides anything, virtual time.
"""
