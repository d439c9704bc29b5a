"""A node's snapshot for people and machines: text, MQTT topics.

Enters: frozen snapshots, or their JSON. Leaves: lines, payloads. Must not know: the engine.
"""
