"""``voxtune evaluate``."""
