"""How others do it: engines of the same five verbs, from their published descriptions."""
