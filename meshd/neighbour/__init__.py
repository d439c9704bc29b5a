"""Who is there, and how well each is heard.

Enters: hellos, what neighbours say that they hear, deadlines. Leaves: costs, which `routing` reads.
Must not know: routes, sessions.
"""
