"""Where entries, small values and chunks are kept: in memory, or on disk with SQLite.

Enters: rows and queries of `core.events`. Leaves: `StoreImage`, answers, `StoreError`.
Must not know: what an entry says, who may read it, the event loop.
"""
