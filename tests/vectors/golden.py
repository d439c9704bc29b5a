"""What the makers of golden bytes share."""


def shown(value):
    """Return a value as JSON has it: bytes in hex, tuples with names as objects."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "_asdict"):
        return {name: shown(item) for name, item in value._asdict().items()}
    return [shown(item) for item in value] if isinstance(value, tuple) else value
