"""meshd: a mesh that routes and syncs. See docs/ARCHITECTURE.md for the way through the house."""

__version__ = "0.1.0"
