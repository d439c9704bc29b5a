"""Random cruel plans, judged and shrunk: `python -m meshd.simulation.swarm`, or `make sim`.

Enters: seeds. Leaves: the smallest plans that break a rule. Must not know: what the rules are.
"""
