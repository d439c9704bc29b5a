"""Plans: what a world is made of and what happens in it, read from TOML.

Enters: text. Leaves: `Plan` values that obey the rules, or one clear error.
"""
