"""``voxtune simulate``."""
