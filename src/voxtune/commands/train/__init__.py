"""``voxtune train``."""
