"""What a person sees of a run: the log while it runs, words and a page after it.

Enters: outcomes and events. Leaves: text, SVG, HTML. Must not know: how a world is run.
"""
