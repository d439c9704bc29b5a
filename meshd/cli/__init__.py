"""The commands: one file a group of them, imported only when one of its commands is given.

Enters: words of a command line. Leaves: data on stdout (text, or JSON of the same value), talk on
stderr, an exit code. It asks the daemon over the control socket and knows nothing of its inside.
"""
