"""What the operator may say: the schema, a strict reader of TOML, and the page that describes it.

Enters: a file, text of options. Leaves: a `NodeConfig` that needs no further check, or one error
that names every mistake with file and line.
"""
